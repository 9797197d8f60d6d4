"""What runs did and what they left to be tried again: counts by state, latencies, and the causes of waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import IN_QUEUE, actions, attempts, builds


@dataclass(frozen=True)
class RunSummary:
    states: dict[str, int]  # of the actions and groups that the run attempted
    p50_seconds: float | None  # commit of the build to delivery
    p95_seconds: float | None


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile: the smallest value that at least `share` of the values do not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * share // 1))
    return ordered[int(rank) - 1]


def summarize_run(database: Database, run_id: str) -> RunSummary:
    with database.reading() as connection:
        rows = connection.execute(
            select(actions.c.state, actions.c.settled_at, builds.c.captured_at)
            .join(builds, builds.c.build_id == actions.c.build_id)
            .where(actions.c.action_id.in_(select(attempts.c.action_id).where(attempts.c.run_id == run_id)))
        ).all()
    states: dict[str, int] = {}
    for row in rows:
        states[row.state] = states.get(row.state, 0) + 1
    took = [(row.settled_at - row.captured_at).total_seconds() for row in rows if row.state == "delivered"]
    return RunSummary(states=states, p50_seconds=percentile(took, 0.5), p95_seconds=percentile(took, 0.95))


@dataclass(frozen=True)
class Retries:
    """Work that was tried, or could not be begun, and waits for another try."""

    destination: str
    reason: str
    count: int  # actions and groups
    next_at: datetime

    def __str__(self) -> str:
        return f"{self.count} at {self.destination} ({self.reason}), the first at {self.next_at:%H:%M:%S} UTC or later"


def read_retries(database: Database, signal: str) -> list[Retries]:
    """What of a signal waits to be tried again, by destination and cause. What stands behind it is not counted."""
    parts = (actions.c.destination, actions.c.reason)
    query = select(*parts, func.count().label("n"), func.min(actions.c.due_at).label("next_at"))
    tried = (IN_QUEUE, actions.c.state == "waiting", actions.c.is_ready, actions.c.reason != "")
    with database.reading() as connection:
        rows = connection.execute(query.where(*tried, actions.c.signal == signal).group_by(*parts).order_by(*parts))
        return [Retries(row.destination, row.reason, row.n, row.next_at) for row in rows]
