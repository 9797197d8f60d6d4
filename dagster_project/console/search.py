"""Finds what a person has in hand: an entity, an event, an action or its key, or a destination's own id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, or_, select

from dagster_project.ledger.schema import actions, attempts, events
from dagster_project.verify.explain import event_ids_of

SUGGESTED = 20
EVENTS_SHOWN = 50
LAST_CHARACTER = "\uffff"


@dataclass(frozen=True)
class Hit:
    """A subject whose story can be told, and what it was found by."""

    subject: str
    found_by: str


def find(connection: Connection, wanted: str, seen: frozenset[str] | None) -> list[Hit]:
    """What goes by exactly this name; where nothing does, the entities whose id begins so."""
    if not wanted:
        return []
    exact = list(dict.fromkeys(_exact(connection, wanted, seen)))
    return exact or [Hit(entity, "entity") for entity in _begin_so(connection, wanted, seen)]


def _exact(connection: Connection, wanted: str, seen: frozenset[str] | None) -> list[Hit]:
    found: list[Hit] = []
    for column, name in ((events.c.entity_id, "entity"), (events.c.event_id, "event")):
        query = _seen(select(column), events.c.signal, seen).where(column == wanted).limit(1)
        if connection.execute(query).first() is not None:
            found.append(Hit(wanted, name))
    query = _seen(select(actions.c.action_id, actions.c.is_group), actions.c.signal, seen)
    for row in connection.execute(query.where(actions.c.action_id == wanted)):
        found.append(Hit(row.action_id, "group" if row.is_group else "action"))
    external = query.where(actions.c.external_id == wanted, actions.c.external_id.is_not(None)).limit(SUGGESTED)
    return found + [Hit(row.action_id, "external id") for row in connection.execute(external)]


def _begin_so(connection: Connection, wanted: str, seen: frozenset[str] | None) -> Sequence[str]:
    entity = events.c.entity_id
    query = _seen(select(entity), events.c.signal, seen).where(entity >= wanted, entity < wanted + LAST_CHARACTER)
    query = query.where(func.substr(entity, 1, len(wanted)) == wanted)
    return connection.execute(query.distinct().order_by(entity).limit(SUGGESTED)).scalars().all()


def _seen(query: Any, column: Any, seen: frozenset[str] | None) -> Any:
    return query if seen is None else query.where(column.in_(sorted(seen)))


def story_events(connection: Connection, subject: str, seen: frozenset[str] | None) -> tuple[Sequence[str], bool]:
    """The ids of the events that a story is about, the oldest first, and whether older ones are left out."""
    matches = or_(events.c.entity_id == subject, events.c.event_id.in_([subject, *event_ids_of(connection, subject)]))
    query = _seen(select(events.c.event_id), events.c.signal, seen).where(matches)
    newest = query.order_by(events.c.emitted_at.desc(), events.c.episode.desc()).limit(EVENTS_SHOWN + 1)
    found: Sequence[str] = connection.execute(newest).scalars().all()
    return found[:EVENTS_SHOWN][::-1], len(found) > EVENTS_SHOWN


def story_links(connection: Connection, event_ids: Sequence[str]) -> tuple[Sequence[Row[Any]], Sequence[str]]:
    """The steps of these events with where they ended up, and the runs that tried them."""
    steps = connection.execute(
        select(actions).where(actions.c.event_id.in_(event_ids)).order_by(actions.c.planned_at, actions.c.step_index)
    ).all()
    sent_as = {row.group_id or row.action_id for row in steps}
    runs = select(attempts.c.run_id).where(attempts.c.action_id.in_(sent_as)).distinct()
    return steps, connection.execute(runs).scalars().all()
