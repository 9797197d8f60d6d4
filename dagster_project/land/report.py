"""What a landing did and what can go wrong in one, in words for the person who started it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


class LandingError(Exception):
    """A landing that was refused; whatever the landing tables held before, they still hold."""


@dataclass(frozen=True, slots=True)
class TableLanding:
    """One landing table after a landing."""

    table: str
    rows: int  # rows that the table holds now
    origin: str  # the file, the file that it was derived from, or "generator"
    rows_read: int  # rows of the file; equals `rows` unless the table was derived
    ignored_columns: tuple[str, ...] = ()  # columns of the file that no landing column carries

    def __str__(self) -> str:
        ignored = f"; not used: {', '.join(self.ignored_columns)}" if self.ignored_columns else ""
        return f"{self.table}: {self.rows:,} rows, {self.origin}{ignored}"


@dataclass(frozen=True, slots=True)
class LandingReport:
    """All landing tables after a landing, in the order of `LANDING_TABLES`."""

    as_of: datetime
    tables: tuple[TableLanding, ...]

    def __str__(self) -> str:
        return "\n".join((f"landed as of {self.as_of.isoformat(timespec='seconds')}", *map(str, self.tables)))

    def rows(self, table: str) -> int:
        """Rows that the landing table named holds now.

        Raises:
            KeyError: no landing table has that name.
        """
        for landed in self.tables:
            if landed.table == table:
                return landed.rows
        raise KeyError(table)
