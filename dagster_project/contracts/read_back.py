"""What a destination can say later about a record that an action made: what was written, and what stands there now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from dagster_project.contracts.destination import Request


@dataclass(frozen=True, slots=True)
class ReadBack:
    """One record read back. Both mappings name the same things, in the destination's own words."""

    expected: Mapping[str, str]  # what the request wrote
    found: Mapping[str, str]  # what the record has now; a name that is absent there is left out
    carriers: int | None = None  # how many records carry the action's key; None where that cannot be asked
    changed_at: datetime | None = None  # when the record was last changed, by whomever; None where it is not told


@runtime_checkable
class ReadsBack(Protocol):
    """A connector that can read back some of its operations' records."""

    readable: frozenset[str]  # operations

    async def read_back(
        self, operation: str, request: Request, external_id: str, result: Mapping[str, str]
    ) -> ReadBack | None:
        """The record of a delivered action; None where it is gone.

        Parameters: what was done; the request as it was sent; the ids that its outcome gave.
        Raises LookupFailed when it cannot be read now.
        """
        ...

    def written_by(self, operation: str, request: Request) -> frozenset[str]:
        """The names in `ReadBack.expected` that this request writes anew, whatever an earlier one wrote there."""
        ...


def as_json(read: ReadBack) -> str:
    """A record that was read back, to be kept beside its verdict."""
    changed_at = None if read.changed_at is None else read.changed_at.isoformat()
    return json.dumps(
        {
            "expected": dict(read.expected),
            "found": dict(read.found),
            "carriers": read.carriers,
            "changed_at": changed_at,
        },
        sort_keys=True,
    )
