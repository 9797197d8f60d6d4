"""What the reader asks of every warehouse, so that no query knows which one it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

QUERY_WITHIN_SECONDS = 45  # less than the 60 seconds that a sensor's evaluation may take


class WarehouseUnavailable(Exception):
    """The warehouse cannot be read now (locked, down, or not built yet); the next pass catches up."""


class WarehouseConnection(Protocol):
    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query whose parameters are written as %s."""
        ...


def first_line(error: BaseException) -> str:
    """What a driver said, short enough for a skip reason."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
