"""What is wrong with flagged rows is told before a build, for every defect that the capture refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from dagster_project.detect.row_defects import row_defects


def row(entity_id: str | None = "a", **values: Any) -> dict[str, Any]:
    sound = {"severity": "low", "score": 0.5, "reason": "r", "observed_at": datetime(2026, 3, 1, tzinfo=UTC)}
    return {"entity_id": entity_id, **sound, **values}


def test_sound_rows_have_none() -> None:
    assert row_defects([]) == []
    assert row_defects([row(), row("b", score=None), row("c", score=Decimal("1.5"))]) == []


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([row(None)], "1 row(s) without entity_id, for example severity low"),
        ([row("  "), row(None)], "2 row(s) without entity_id, for example severity low, severity low"),
        ([row(), row(), row("b")], "1 row(s) repeat an entity_id (is a join one to many?), for example a"),
        (
            [row(severity="urgent")],
            "1 row(s) with a severity other than low, medium, high, critical, for example a has urgent",
        ),
        (
            [row(severity=None)],
            "1 row(s) with a severity other than low, medium, high, critical, for example a has None",
        ),
        ([row(observed_at=None)], "1 row(s) without observed_at, for example a"),
        ([row(score=float("nan"))], "1 row(s) with a number that is not finite, for example a"),
        ([row(amount=Decimal("Infinity"))], "1 row(s) with a number that is not finite, for example a"),
    ],
)
def test_each_defect_is_counted_and_named(rows: list[dict[str, Any]], told: str) -> None:
    assert row_defects(rows) == [told]


def test_all_defects_are_told_at_once_with_three_examples_each() -> None:
    rows = [row(str(number), severity="x", score=float("inf")) for number in range(5)]
    assert [defect.partition(",")[0].split()[0] for defect in row_defects(rows)] == ["5", "5"]
    assert row_defects(rows)[1].endswith("for example 0, 1, 2")
