"""Work that a restored ledger holds: which of it a destination can be asked about, and what follows from its answer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, TextClause, select, update

from dagster_project.contracts.destination import IdempotencyClass, Outcome, Verdict
from dagster_project.contracts.vocabulary import ActionState, Kind
from dagster_project.ledger.database import Database
from dagster_project.ledger.gates import goes_where_the_way_is_open
from dagster_project.ledger.planning import RESTORED_LEDGER
from dagster_project.ledger.readiness import load_versions, step_of
from dagster_project.ledger.retry_policy import Consequence
from dagster_project.ledger.schema import IN_QUEUE, actions, events
from dagster_project.ledger.settlement import settle_reconciled
from dagster_project.ledger.transitions import Transition, apply_transitions, chunks
from dagster_project.ledger.work import ReadyWork, WorkItem, load_work

ACTOR = "loop"
ASK_AGAIN_WITHIN = timedelta(minutes=5)
PROVED_NOT_DONE = "proved_not_done"
SENT_AGAIN = "sent_again"  # the destination makes one effect of it, however often it is sent


def restored_work(database: Database, signal: str, limit: int, besides: Sequence[str]) -> ReadyWork:
    """Held work of which nobody knows whether it was done since the backup, in the order in which it was planned.

    Parameters: the signal; how many at most; actions that were asked about already.
    """
    with database.reading() as connection:
        query = select(actions).where(
            *to_be_asked(connection, signal, database.now()), actions.c.action_id.notin_(besides)
        )
        query = query.order_by(actions.c.build_no, actions.c.step_index, actions.c.action_id).limit(limit)
        return load_work(connection, connection.execute(query).all())


def to_be_asked(connection: Connection, signal: str, now: datetime) -> list[ColumnElement[bool] | TextClause]:
    return [
        IN_QUEUE,
        actions.c.signal == signal,
        actions.c.state == ActionState.HELD.value,
        actions.c.reason == RESTORED_LEDGER,
        actions.c.is_ready,
        actions.c.due_at <= now,
        goes_where_the_way_is_open(connection, now),
    ]


def ask_later(database: Database, action_id: str) -> None:
    """Nothing can be told now; the work stays held and is asked about again."""

    def work(connection: Connection) -> None:
        later = database.now() + ASK_AGAIN_WITHIN
        connection.execute(update(actions).where(*_still(action_id)).values(due_at=later))

    database.write(work)


def is_about_to_be_done(database: Database, item: WorkItem, steps: Collection[str]) -> bool:
    """Whether one of these steps of the same event goes out with the next run."""
    with database.reading() as connection:
        soon = (
            actions.c.event_id == (item.event.event_id if item.event is not None else None),
            actions.c.step.in_(sorted(steps)),
            actions.c.state == ActionState.WAITING.value,
            actions.c.is_ready,
            actions.c.due_at <= database.now(),
        )
        return connection.execute(select(actions.c.action_id).where(*soon).limit(1)).first() is not None


def end_where_nothing_is_to_follow(database: Database, action_id: str) -> bool:
    """Suppresses a step that follows one which its episode never had (a baseline, a shadow); False for any other."""

    def work(connection: Connection) -> bool:
        row = connection.execute(select(actions).where(*_still(action_id))).first()
        if row is None or row.is_group or not _follows_nothing(connection, row):
            return False
        nothing = Consequence(ActionState.SUPPRESSED, "nothing_to_follow", is_counted=False)
        told = Outcome(Verdict.RETRY, nothing.reason, "what it follows was never planned to be done in its episode")
        settle_reconciled(connection, row, nothing, told, database.now())
        return True

    return database.write(work)


def _follows_nothing(connection: Connection, row: Row[Any]) -> bool:
    follows = step_of(load_versions(connection, [row.playbook_version]), row).follows
    if follows is None:
        return False
    may_be_done = (
        actions.c.signal == row.signal,
        actions.c.entity_id == row.entity_id,
        actions.c.episode == row.episode,
        actions.c.step == follows,
        actions.c.state != ActionState.SUPPRESSED.value,
    )
    return connection.execute(select(actions.c.action_id).where(*may_be_done).limit(1)).first() is None


def leave_to_a_person(database: Database, action_id: str) -> None:
    """The destination has no means to tell: nobody asks it again."""

    def work(connection: Connection) -> None:
        connection.execute(update(actions).where(*_still(action_id)).values(is_ready=False))

    database.write(work)


def record_found(database: Database, action_id: str, outcome: Outcome) -> None:
    """Settles what was done, and lets go on what was not, or what does no harm when it is done again.

    What was not done and whose episode has ended meanwhile is superseded, as it would have been.
    Parameters: the action or group; `delivered` where it was found, anything else where it may be sent.
    """

    def work(connection: Connection) -> None:
        row = connection.execute(select(actions).where(*_still(action_id))).first()
        if row is None:
            return
        now = database.now()
        consequence = _consequence(connection, row, outcome, now)
        settle_reconciled(connection, row, consequence, outcome, now)

    database.write(work)


def may_be_sent_again(idempotency: IdempotencyClass) -> bool:
    """Whether a second call makes no second effect, however long ago the first one was: receivers forget keys."""
    return idempotency is IdempotencyClass.UPSERT


def _still(action_id: str) -> tuple[ColumnElement[bool], ...]:
    return actions.c.action_id == action_id, actions.c.state == "held", actions.c.reason == RESTORED_LEDGER


def _consequence(connection: Connection, row: Row[Any], outcome: Outcome, now: datetime) -> Consequence:
    if outcome.verdict is Verdict.DELIVERED:
        return Consequence(ActionState.DELIVERED, "", is_counted=False)
    if not row.is_group and _has_ended(connection, row):
        return Consequence(ActionState.SUPPRESSED, "superseded", is_counted=False)
    if row.is_group and not row.is_sealed:
        _suppress_ended_members(connection, row, now)
    return Consequence(ActionState.WAITING, outcome.reason, is_counted=False)


def _has_ended(connection: Connection, row: Row[Any]) -> bool:
    ended = (
        events.c.signal == row.signal,
        events.c.entity_id == row.entity_id,
        events.c.episode == row.episode,
        events.c.kind == Kind.RESOLVED.value,
    )
    is_end = row.kind == Kind.RESOLVED.value
    return not is_end and connection.execute(select(events.c.event_id).where(*ended).limit(1)).first() is not None


def _suppress_ended_members(connection: Connection, group: Row[Any], now: datetime) -> None:
    members = connection.execute(select(actions).where(actions.c.group_id == group.action_id)).all()
    ended = [row for row in members if row.state == "held" and _has_ended(connection, row)]
    transitions = [
        Transition.of(
            row,
            ActionState.SUPPRESSED,
            "suppressed",
            reason="superseded",
            detail="not done, and its episode has ended meanwhile",
        )
        for row in ended
    ]
    for some in chunks(transitions):
        apply_transitions(connection, some, ACTOR, now)
