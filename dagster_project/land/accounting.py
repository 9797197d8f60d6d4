"""What staging made of the landed rows, read back after a build: rows read = rows used + rows rejected, by reason."""

from __future__ import annotations

from dataclasses import dataclass

from dagster_project.contracts.warehouse import WarehouseTarget
from dagster_project.land.connection import transaction


@dataclass(frozen=True, slots=True)
class TableAccount:
    """One landing table's rows after staging."""

    table: str
    rows_read: int
    rows_used: int
    rejected_by_reason: dict[str, int]

    def __str__(self) -> str:
        rejected = sum(self.rejected_by_reason.values())
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in self.rejected_by_reason.items())
        told = f" ({reasons})" if reasons else ""
        return f"{self.table}: {self.rows_read:,} read = {self.rows_used:,} used + {rejected:,} rejected{told}"

    @property
    def is_balanced(self) -> bool:
        """Whether every row that was read is either used or rejected with a reason."""
        return self.rows_read == self.rows_used + sum(self.rejected_by_reason.values())


def read_accounting(target: WarehouseTarget) -> tuple[TableAccount, ...]:
    """One account a landing table, by name, as the last dbt build found them.

    Raises:
        LandingError: dbt has not built the reports yet, or the warehouse cannot be read.
    """
    with transaction(target) as connection:
        accounts = connection.rows(
            f"select landing_table, rows_read, rows_used from {target.schema}.landing_accounting order by landing_table"
        )
        rejections = connection.rows(
            f"select landing_table, reason, count(*) from {target.schema}.rejected_rows group by 1, 2 order by 1, 2"
        )
    reasons: dict[str, dict[str, int]] = {}
    for table, reason, count in rejections:
        reasons.setdefault(table, {})[reason] = int(count)
    return tuple(TableAccount(table, int(read), int(used), reasons.get(table, {})) for table, read, used in accounts)
