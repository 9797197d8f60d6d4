"""Says what is wrong with flagged rows before a build: the capture's own checks, for looking ahead only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from dagster_project.contracts.vocabulary import Severity

SHOWN = 3
_SEVERITIES = frozenset(severity.value for severity in Severity)


def row_defects(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence for each kind of defect, with the count and up to three examples; empty where the rows may be built.

    Parameters: rows by column name, with entity_id, severity, score, reason and observed_at.
    """
    named = [(_id_of(row), row) for row in rows]
    twice = [name for name, count in Counter(name for name, _ in named if name).items() if count > 1]
    found = [
        ("without entity_id", [f"severity {row['severity']}" for name, row in named if not name]),
        ("repeat an entity_id (is a join one to many?)", sorted(twice)),
        (
            f"with a severity other than {', '.join(Severity)}",
            [f"{name} has {row['severity']}" for name, row in named if row["severity"] not in _SEVERITIES],
        ),
        ("without observed_at", [name for name, row in named if row["observed_at"] is None]),
        ("with a number that is not finite", [name for name, row in named if not _is_finite(row.values())]),
    ]
    return [_sentence(what, examples) for what, examples in found if examples]


def _id_of(row: Mapping[str, Any]) -> str:
    return "" if row["entity_id"] is None else str(row["entity_id"]).strip()


def _is_finite(values: Iterable[Any]) -> bool:
    return all(math.isfinite(value) for value in values if isinstance(value, float | Decimal))


def _sentence(what: str, examples: Sequence[str]) -> str:
    return f"{len(examples)} row(s) {what}, for example {', '.join(examples[:SHOWN])}"
