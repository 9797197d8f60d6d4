"""The levers: what a person may change in the ledger, each with who and why in the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, or_, select, update

from dagster_project.contracts.destination import ReasonFor, Verdict
from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.database import Database
from dagster_project.ledger.listed_work import DO_NOT_CONTACT, held_for_listed
from dagster_project.ledger.planning import RESTORED_LEDGER
from dagster_project.ledger.readiness import refresh_groups, refresh_lanes
from dagster_project.ledger.retry_policy import UNKNOWN_OUTCOME
from dagster_project.ledger.schema import actions, attempts, pauses
from dagster_project.ledger.transitions import Transition, apply_transitions, chunks, write_audit

MARKED_DONE = "marked_done"
MAY_BE_DONE = (UNKNOWN_OUTCOME, RESTORED_LEDGER, DO_NOT_CONTACT)  # reasons of held work that may have happened


@dataclass(frozen=True)
class Person:
    """Who pulls a lever, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Selection:
    """Which actions a lever takes hold of; every part that is given narrows it."""

    ids: tuple[str, ...] = ()  # of actions, groups or events
    signal: str | None = None
    destination: str | None = None
    reason: str | None = None
    since: datetime | None = None  # planned at this moment or later
    until: datetime | None = None  # planned before this moment

    @property
    def is_empty(self) -> bool:
        return self == Selection()


class NothingSelected(Exception):
    """A lever without any selection; nothing was changed."""


def approve(database: Database, selection: Selection, person: Person) -> int:
    """Releases held work; exactly what was rendered and shown is sent. Returns how many actions and groups changed.

    An unknown outcome is not approved: sending it again is `replay`, in so many words. Nor is what would reach somebody
    who is on the do-not-contact list now: whoever approved it, it would not be sent.
    """
    where = [
        actions.c.state == ActionState.HELD.value,
        actions.c.reason != UNKNOWN_OUTCOME,
        actions.c.action_id.notin_(held_for_listed()),
    ]
    return _move(database, selection, person, where, ActionState.WAITING, "approved", {"is_approved": True})


def mark_done(database: Database, selection: Selection, person: Person) -> int:
    """Notes that held work of which nobody knows whether it was done was done; nothing is sent.

    Later steps go on as after any delivery. Returns how many actions and groups changed.
    """
    where = [actions.c.state == ActionState.HELD.value, actions.c.reason.in_(MAY_BE_DONE)]
    return _move(database, selection, person, where, ActionState.DELIVERED, "delivered", {}, reason=MARKED_DONE)


def reject(database: Database, selection: Selection, person: Person) -> int:
    """Ends held work for good. Returns how many actions and groups changed."""
    where = [actions.c.state == ActionState.HELD.value]
    return _move(database, selection, person, where, ActionState.SUPPRESSED, "rejected", {}, reason="rejected")


def discard(database: Database, selection: Selection, person: Person) -> int:
    """Ends waiting, held or dead work for good. Returns how many actions and groups changed."""
    is_free = or_(actions.c.lease_until.is_(None), actions.c.lease_until <= database.now())
    where = [actions.c.state.in_(("waiting", "held", "dead")), is_free]
    return _move(database, selection, person, where, ActionState.SUPPRESSED, "discarded", {}, reason="discarded")


def replay(database: Database, selection: Selection, person: Person) -> int:
    """Lets dead work, or work of unknown outcome, be tried anew under the same key and with the stored request.

    For an unkeyed destination with an unknown outcome this may repeat the effect; that is the person's word.
    Returns how many actions and groups changed.
    """
    unknown = (actions.c.state == ActionState.HELD.value) & (actions.c.reason == UNKNOWN_OUTCOME)
    where = [or_(actions.c.state == ActionState.DEAD.value, unknown)]
    return _move(database, selection, person, where, ActionState.WAITING, "replayed", {"attempts": 0})


def _move(
    database: Database,
    selection: Selection,
    person: Person,
    where: Sequence[ColumnElement[bool]],
    to_state: ActionState,
    verb: str,
    columns: dict[str, Any],
    reason: str = "",
) -> int:
    if selection.is_empty:
        raise NothingSelected("say which: ids, a signal, a destination, a reason or a time range. Nothing was changed.")

    def work(connection: Connection) -> int:
        now = database.now()
        rows = connection.execute(select(actions).where(*where, *selected(selection))).all()
        every = _with_groups(connection, rows, where)
        group_ids = {row.action_id for row in every.values() if row.is_group}
        _close_open_attempts(connection, list(every), now)
        is_again = to_state is ActionState.WAITING
        transitions = [
            Transition.of(
                row, to_state, verb, reason, person.why, _columns_of(row, columns, now) if is_again else columns
            )
            for row in every.values()
        ]
        apply_transitions(connection, transitions, person.name, now)
        _refresh_after(connection, list(every.values()), group_ids, now)
        return sum(1 for row in every.values() if row.group_id is None)

    return database.write(work)


def _columns_of(row: Row[Any], columns: dict[str, Any], now: datetime) -> dict[str, Any]:
    """What changes on work that waits again. A restored ledger's work that was never rendered is not approved as what
    it would send: the playbook may still hold it."""
    is_unseen = row.reason == RESTORED_LEDGER and not row.is_sealed
    kept = {name: value for name, value in columns.items() if not (is_unseen and name == "is_approved")}
    return {**kept, "is_ready": False, "due_at": now, "settled_at": None}


def _with_groups(
    connection: Connection, rows: Sequence[Row[Any]], where: Sequence[ColumnElement[bool]]
) -> dict[str, Row[Any]]:
    """The rows to move: a group goes with its members and a member with its group, or neither goes at all."""
    wanted = {row.action_id for row in rows if row.is_group} | {row.group_id for row in rows if row.group_id}
    movable: set[str] = set()
    every = {row.action_id: row for row in rows if row.group_id is None and not row.is_group}
    for ids in chunks(sorted(wanted)):
        groups = connection.execute(select(actions).where(*where, actions.c.action_id.in_(ids))).all()
        movable |= {group.action_id for group in groups}
        every |= {group.action_id: group for group in groups}
    for ids in chunks(sorted(movable)):
        members = connection.execute(select(actions).where(*where, actions.c.group_id.in_(ids)))
        every |= {member.action_id: member for member in members}
    return every


def _close_open_attempts(connection: Connection, action_ids: Sequence[str], now: datetime) -> None:
    """What a person moves has no call under way; an attempt that a dead run left open will never be closed by it."""
    for ids in chunks(action_ids):
        is_open = (attempts.c.action_id.in_(ids), attempts.c.verdict.is_(None))
        values = {"verdict": Verdict.UNKNOWN.value, "reason": ReasonFor.REPLY_LOST.value, "ended_at": now}
        connection.execute(update(attempts).where(*is_open).values(**values))


def selected(selection: Selection) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if selection.ids:
        where.append(or_(actions.c.action_id.in_(selection.ids), actions.c.event_id.in_(selection.ids)))
    if selection.signal:
        where.append(actions.c.signal == selection.signal)
    if selection.destination:
        where.append(actions.c.destination == selection.destination)
    if selection.reason:
        where.append(actions.c.reason == selection.reason)
    if selection.since:
        where.append(actions.c.planned_at >= selection.since)
    if selection.until:
        where.append(actions.c.planned_at < selection.until)
    return where


def _refresh_after(connection: Connection, rows: Sequence[Row[Any]], group_ids: set[str], now: datetime) -> None:
    by_signal: dict[str, set[str]] = {}
    for row in rows:
        if row.entity_id is not None:
            by_signal.setdefault(row.signal, set()).add(row.entity_id)
    for signal, entities in by_signal.items():
        refresh_lanes(connection, signal, entities, now)
    refresh_groups(connection, group_ids, now)


def pause(database: Database, subject: str, person: Person) -> bool:
    """Keeps work from going out: `all`, `signal:<name>` or `destination:<name>`. False where it was paused already."""

    def work(connection: Connection) -> bool:
        if connection.execute(select(pauses.c.subject).where(pauses.c.subject == subject)).first():
            return False
        now = database.now()
        row = {"subject": subject, "by": person.name, "why": person.why, "paused_at": now}
        connection.execute(insert(pauses), row)
        entry = {"at": now, "actor": person.name, "verb": "paused", "reason": subject, "detail": person.why}
        write_audit(connection, [entry])
        return True

    return database.write(work)


def resume(database: Database, subject: str, person: Person) -> bool:
    """Lets work go out again, all that was kept. False where nothing was paused under that name."""

    def work(connection: Connection) -> bool:
        if not connection.execute(delete(pauses).where(pauses.c.subject == subject)).rowcount:
            return False
        entry = {"at": database.now(), "actor": person.name, "verb": "resumed", "reason": subject, "detail": person.why}
        write_audit(connection, [entry])
        return True

    return database.write(work)
