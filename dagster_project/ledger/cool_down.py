"""Says whom a signal has acted on within its cool-down, so that planning and the intent ask the same question."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from dagster_project.contracts.vocabulary import ActionState, Kind
from dagster_project.ledger.pruned import dialect_insert, entities_acted_since
from dagster_project.ledger.schema import actions, facts
from dagster_project.ledger.transitions import chunks

COOL_DOWN = "cool_down"  # why an event, or an action that was planned before, is not acted on


def note_cool_down(connection: Connection, signal: str, cool_down: timedelta | None) -> None:
    """Keeps what the signal's file says, for the intent: a run's transaction knows the ledger alone."""
    if cool_down == cool_down_of(connection, signal):
        return
    name = _name(signal)
    if cool_down is None:
        connection.execute(delete(facts).where(facts.c.name == name))
        return
    statement = dialect_insert(connection, facts).values(name=name, value=str(cool_down.total_seconds()))
    changed = {"value": statement.excluded.value}
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))


def cool_down_of(connection: Connection, signal: str) -> timedelta | None:
    """The cool-down that the last build was planned with."""
    value = connection.execute(select(facts.c.value).where(facts.c.name == _name(signal))).scalar()
    return None if value is None else timedelta(seconds=float(value))


def acted_since(
    connection: Connection, signal: str, entity_ids: Iterable[str], since: datetime
) -> dict[str, set[str | None]]:
    """Those of these entities who were acted on after a moment, each with the events that it was for (None: pruned)."""
    found: dict[str, set[str | None]] = {}
    for some in chunks(sorted(set(entity_ids))):
        delivered = (
            actions.c.signal == signal,
            actions.c.entity_id.in_(some),
            actions.c.kind == Kind.OPENED.value,
            actions.c.state == ActionState.DELIVERED.value,
            actions.c.settled_at > since,
        )
        for row in connection.execute(select(actions.c.entity_id, actions.c.event_id).where(*delivered)):
            found.setdefault(row.entity_id, set()).add(row.event_id)
        for entity_id in entities_acted_since(connection, signal, Kind.OPENED.value, some, since):
            found.setdefault(entity_id, set()).add(None)
    return found


def _name(signal: str) -> str:
    return f"{COOL_DOWN}:{signal}"
