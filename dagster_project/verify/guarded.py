"""What the guards did: every action that was not simply sent, with the reason and exactly what is held back."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select

from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import actions, requests


def read_guarded(database: Database) -> list[str]:
    """One line for each reason why work was suppressed or held."""
    with database.reading() as connection:
        rows = connection.execute(
            select(actions.c.signal, actions.c.state, actions.c.reason, func.count().label("n"))
            .where(actions.c.state.in_(("held", "suppressed")), actions.c.group_id.is_(None))
            .group_by(actions.c.signal, actions.c.state, actions.c.reason)
            .order_by(actions.c.signal, actions.c.state)
        ).all()
    return [f"{row.signal}: {row.n} {row.state} by {row.reason}" for row in rows]


def held_lines(database: Database, shows_requests: bool = True) -> Iterator[str]:
    """Everything that waits for a person: what, why, and the request as it would be sent."""
    with database.reading() as connection:
        rows = connection.execute(
            select(actions, requests.c.arguments_json)
            .outerjoin(requests, requests.c.action_id == actions.c.action_id)
            .where(actions.c.state == "held", actions.c.group_id.is_(None))
            .order_by(actions.c.planned_at)
        ).all()
    for row in rows:
        what = f"{row.action_id}  {row.signal} {row.step} for {row.entity_id or 'a group'} at {row.destination}"
        yield f"{what}: {row.reason}. {row.detail}"
        if shows_requests and row.arguments_json:
            yield f"    would send {row.operation}: {row.arguments_json}"
