"""What one run did, for its materialization: counts by state and how long the delivered work took since its build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import actions, attempts, builds


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
