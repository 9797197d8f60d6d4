"""Says why a lever moved nothing: what was selected is unknown, taken by a run, or in a state it does not take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Row, Select, and_, func, or_, select

from dagster_project.ledger.controls import Selection, selected
from dagster_project.ledger.governed import MOVABLE, Lever
from dagster_project.ledger.schema import IN_QUEUE, actions, attempts, row_counts

NAMED = 5
TAKES: Mapping[str, str] = {  # what each lever can take hold of, in words
    "approve": "held work, but neither unknown outcomes (replay, mark-done) nor what would reach somebody listed",
    "reject": "held work",
    "replay": "dead work and unknown outcomes",
    "discard": "waiting, held or dead work that no run has taken",
    "mark-done": "held work that may have happened",
}


def movable_lines(connection: Connection, lever: Lever, selection: Selection) -> list[str]:
    """What a lever would take hold of, by signal, state and reason; members of groups go with their group."""
    parts = (actions.c.signal, actions.c.state, actions.c.reason)
    query = select(*parts, func.count().label("n")).where(MOVABLE[lever], *selected(selection))
    rows = connection.execute(query.group_by(*parts).order_by(*parts))
    return [f"{row.signal}: {row.n} {_state(row)}" for row in rows]


def why_unmoved(connection: Connection, lever: str, selection: Selection, now: datetime) -> list[str]:
    """Parameters: the lever's name as a person writes it; what was selected, of which nothing moved; the moment."""
    unknown = [f"no action, group or event has the id {one}" for one in _unknown_ids(connection, selection.ids)]
    taken = _taken(connection, selection, now)
    parts = (actions.c.state, actions.c.reason)
    is_free = or_(actions.c.lease_until.is_(None), actions.c.lease_until <= now)
    query = select(*parts, func.count().label("n")).where(is_free, *selected(selection))
    states = [f"{row.n} {_state(row)}" for row in connection.execute(query.group_by(*parts).order_by(*parts))]
    if states:
        taken.append(f"{', '.join(states)}; {lever} takes {TAKES[lever]}")
    return [*unknown, *taken] or [_nothing_there(connection, selection)]


def _state(row: Row[Any]) -> str:
    return f"{row.state} ({row.reason})" if row.reason else str(row.state)


def _unknown_ids(connection: Connection, ids: Sequence[str]) -> list[str]:
    known: set[str] = set()
    for column in (actions.c.action_id, actions.c.event_id):
        known |= set(connection.execute(select(column).where(column.in_(ids))).scalars())
    return [one for one in ids if one not in known]


def _taken(connection: Connection, selection: Selection, now: datetime) -> list[str]:
    """What runs hold a lease on. A run is known by its attempts; one that has tried nothing yet has no name here."""
    run = func.max(attempts.c.run_id).label("run_id")
    is_its_own = and_(attempts.c.action_id == actions.c.action_id, attempts.c.lease_token == actions.c.lease_token)
    joined = actions.outerjoin(attempts, is_its_own)
    query = select(func.count(actions.c.action_id.distinct()).label("n"), func.max(actions.c.lease_until), run)
    query = query.select_from(joined).where(actions.c.lease_until > now, *selected(selection))
    return [
        f"{count} taken by {f'run {str(run_id)[:8]}' if run_id else 'a run'} until {until:%H:%M:%S} UTC at the latest, "
        "unless it goes on longer; try again then, or `pause` first"
        for count, until, run_id in connection.execute(query.group_by(actions.c.lease_token))
    ]


def _nothing_there(connection: Connection, selection: Selection) -> str:
    """Whether a part of the selection names something that there is not, with what there is."""
    named = (
        ("signal", selection.signal, _counted(row_counts.c.signal)),
        ("reason", selection.reason, _counted(row_counts.c.reason)),
        ("destination", selection.destination, select(actions.c.destination).distinct().where(IN_QUEUE)),
    )
    for word, wanted, query in named:
        known: list[str] = sorted(connection.execute(query).scalars()) if wanted else []
        if wanted and wanted not in known:
            return f"no work has the {word} {wanted!r}; there is: {', '.join(known) or 'none'}"
    return "no work matches all that was given together"


def _counted(column: Column[str]) -> Select[Any]:
    is_of_work = (row_counts.c.row_count > 0, row_counts.c.subject.in_(("action", "group")), column != "")
    return select(column).where(*is_of_work).distinct()
