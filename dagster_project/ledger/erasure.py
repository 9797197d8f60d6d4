"""Takes personal data out of the ledger: texts go, while ids, states, counts and the audit chain stay as they are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, Connection, bindparam, select, update

from dagster_project.ledger.audit_chain import ERASED, ERASING_VERB, text_digest
from dagster_project.ledger.controls import Person
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import actions, attempts, audit, events, requests, sampled_records
from dagster_project.ledger.transitions import chunks, write_audit

ERASED_JSON = json.dumps({"erased": True})
OPEN_STATES = ("waiting", "held", "dead")
ON_REQUEST = "on_request"
PAST_RETENTION = "past_retention"


class NotErased(Exception):
    """Nothing was erased, and why."""


@dataclass(frozen=True)
class Erasure:
    """What an erasure emptied."""

    events: int = 0
    actions: int = 0  # groups included; a group's request is emptied whole, other members' lines with it
    texts: int = 0  # of the audit trail
    still_open: int = 0  # events past their time that keep their data, since there is still work to do on them

    def __add__(self, other: Erasure) -> Erasure:
        return Erasure(
            self.events + other.events,
            self.actions + other.actions,
            self.texts + other.texts,
            self.still_open + other.still_open,
        )


def erase_entity(database: Database, signal: str, entity_id: str, person: Person) -> Erasure:
    """Empties all that the ledger holds about one entity of one signal: row snapshots, requests, texts.

    Raises NotErased where the ledger knows nothing of it, or where work on it is open: that work needs the data.
    """

    def work(connection: Connection) -> Erasure:
        of_entity = (events.c.signal == signal, events.c.entity_id == entity_id)
        event_ids: Sequence[str] = connection.execute(select(events.c.event_id).where(*of_entity)).scalars().all()
        if not event_ids:
            raise NotErased(f"the ledger has no event of {entity_id!r} for {signal}. Nothing was erased.")
        if open_ones := _open_events(connection, event_ids):
            raise NotErased(
                f"{len(open_ones)} event(s) of {entity_id!r} still have waiting, held or dead work, which needs the "
                f"data. Nothing was erased. End it first: `loopctl discard {' '.join(sorted(open_ones))} --why ...`"
            )
        return _empty(connection, signal, event_ids, person, ON_REQUEST, database.now())

    return database.write(work, over=signal)


def erase_past(database: Database, signal: str, keep: timedelta, person: Person) -> Erasure:
    """Empties what is older than a signal keeps personal data, a chunk of events in each transaction.

    Work that is still open keeps its data and is counted.
    Parameters: the signal; for how long after its event the data is kept; in whose name.
    """
    before = database.now() - keep
    old = (events.c.signal == signal, events.c.emitted_at < before, events.c.row_json != ERASED_JSON)
    with database.reading() as connection:
        event_ids: Sequence[str] = connection.execute(select(events.c.event_id).where(*old)).scalars().all()
    total = Erasure()
    for ids in chunks(event_ids):
        closing = partial(_empty_closed, signal=signal, event_ids=ids, person=person, now=database.now())
        total += database.write(closing, over=signal)
    return total


def _empty_closed(
    connection: Connection, signal: str, event_ids: Sequence[str], person: Person, now: datetime
) -> Erasure:
    open_ones = _open_events(connection, event_ids)
    closed = [event_id for event_id in event_ids if event_id not in open_ones]
    erased = _empty(connection, signal, closed, person, PAST_RETENTION, now)
    return erased + Erasure(still_open=len(open_ones))


def _open_events(connection: Connection, event_ids: Iterable[str]) -> set[str]:
    """Those events that have work to do: their own, or that of a group one of their actions belongs to."""
    group = actions.alias("of_group")
    found: set[str] = set()
    for ids in chunks(event_ids):
        query = (
            select(actions.c.event_id)
            .outerjoin(group, group.c.action_id == actions.c.group_id)
            .where(actions.c.event_id.in_(ids), actions.c.state.in_(OPEN_STATES) | group.c.state.in_(OPEN_STATES))
        )
        found |= set(connection.execute(query).scalars())
    return found


def _empty(
    connection: Connection, signal: str, event_ids: Sequence[str], person: Person, reason: str, now: datetime
) -> Erasure:
    action_ids: set[str] = set()
    for ids in chunks(event_ids):
        connection.execute(update(events).where(events.c.event_id.in_(ids)).values(row_json=ERASED_JSON))
        rows = connection.execute(select(actions.c.action_id, actions.c.group_id).where(actions.c.event_id.in_(ids)))
        action_ids |= {one for row in rows for one in row if one is not None}
    texts = sum(_empty_actions(connection, ids) for ids in chunks(sorted(action_ids)))
    _tell(connection, signal, sorted(action_ids), person, reason, now)
    return Erasure(len(event_ids), len(action_ids), texts)


def _empty_actions(connection: Connection, ids: Sequence[str]) -> int:
    """Empties requests and texts of some actions; returns how many texts of the audit trail."""
    connection.execute(update(requests).where(requests.c.action_id.in_(ids)).values(arguments_json=ERASED_JSON))
    of_ids = sampled_records.c.action_id.in_(ids)
    was_read = (of_ids, sampled_records.c.read_json.is_not(None))
    connection.execute(update(sampled_records).where(*was_read).values(read_json=ERASED_JSON))
    was_checked = (of_ids, sampled_records.c.person_why.is_not(None))
    connection.execute(update(sampled_records).where(*was_checked).values(person_why=ERASED))
    for table in (actions, attempts):
        told = (table.c.action_id.in_(ids), table.c.detail != "")
        connection.execute(update(table).where(*told).values(detail=ERASED))
    return _empty_audit(connection, [audit.c.action_id.in_(ids)])


def _empty_audit(connection: Connection, where: Sequence[ColumnElement[bool]]) -> int:
    """Puts the digest in the place of each text and its salt; the guards of the trail let through exactly this."""
    told = select(audit.c.seq, audit.c.detail, audit.c.salt).where(
        *where, audit.c.detail != "", audit.c.erased_digest.is_(None), audit.c.verb != ERASING_VERB
    )
    values = [
        {"b_seq": row.seq, "detail": ERASED, "salt": None, "erased_digest": text_digest(row.detail, row.salt)}
        for row in connection.execute(told)
    ]
    if values:
        names = ("detail", "salt", "erased_digest")
        statement = update(audit).where(audit.c.seq == bindparam("b_seq"))
        connection.execute(statement.values({name: bindparam(name) for name in names}), values)
    return len(values)


def _tell(
    connection: Connection, signal: str, action_ids: Sequence[str], person: Person, reason: str, now: datetime
) -> None:
    """A row for each action, after those that were emptied: without it an emptied text counts as tampered with."""
    entries = []
    for ids in chunks(action_ids):
        query = select(actions.c.action_id, actions.c.build_id, actions.c.state).where(actions.c.action_id.in_(ids))
        entries += [
            {
                "at": now,
                "actor": person.name,
                "verb": ERASING_VERB,
                "signal": signal,
                "build_id": row.build_id,
                "action_id": row.action_id,
                "from_state": row.state,
                "to_state": row.state,
                "reason": reason,
                "detail": person.why,
            }
            for row in connection.execute(query)
        ]
    write_audit(connection, entries)
