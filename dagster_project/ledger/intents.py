"""Writes the intent before the call: what was rendered and an open attempt, where the way is open at that moment.

The lease holder is the only writer of an action.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, insert, literal, select, true, update

from dagster_project.contracts.destination import IdempotencyClass
from dagster_project.contracts.vocabulary import ActionState
from dagster_project.crash_points import reach
from dagster_project.ledger.database import Database
from dagster_project.ledger.gates import Claim, blocked_destinations, is_closed, is_held_by
from dagster_project.ledger.moving_on import move_on, refresh_after
from dagster_project.ledger.refusals import keep_back_refused
from dagster_project.ledger.retry_policy import Consequence
from dagster_project.ledger.row_writing import insert_rows
from dagster_project.ledger.schema import actions, attempts, requests
from dagster_project.ledger.settlement import Intent, SettlementReport
from dagster_project.ledger.transitions import chunks, write_audit

LEASE_USED = 1 / 6  # of its length, before an intent writes a lease anew
# What settling has to know of an action. A third of the row: reading the rest would cost more than the decision.
SETTLED_BY = tuple(
    actions.c[name]
    for name in (
        "action_id", "is_group", "group_id", "event_id", "signal", "build_id", "entity_id", "kind", "state", "attempts",
        "idempotency", "destination", "is_ready", "is_sealed", "contact_entity", "contact_id", "playbook_version",
        "step", "reason", "lease_until",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Rendering:
    """What became of rendering one action or group before its first call."""

    action_id: str
    arguments_json: str | None = None  # None where it could not be rendered
    reason: str = ""  # why it was not rendered, or why it is held
    detail: str = ""
    is_held: bool = False
    member_ids: tuple[str, ...] = ()  # a group's members, frozen by this


@dataclass(frozen=True)
class Intents:
    """What writing intents came to: the calls to be made, and what its renderings settled without one."""

    opened: list[Intent]
    report: SettlementReport


def write_intents(
    database: Database,
    claim: Claim,
    action_ids: Sequence[str],
    lease_within: timedelta,
    renderings: Sequence[Rendering] = (),
) -> Intents:
    """Stores what was rendered and opens an attempt for each action that may be sent at this very moment.

    Checked again here, in the intent's own transaction: the lease, the lane's order, pauses, open circuits,
    do-not-contact, the cool-down. A lease that has been used for a while is renewed.
    Parameters: the claim; the actions to send, rendered before or now; how long the lease holds from now; what was
    rendered now: it is stored, groups are sealed, and what could not be rendered or is held for a person is settled.
    """

    def work(connection: Connection) -> Intents:
        now = database.now()
        mine = _mine(connection, claim, [*dict.fromkeys([*action_ids, *(r.action_id for r in renderings)])])
        report, unsent = _store(connection, mine, renderings, now)
        reach("rendering_open")
        if is_closed(connection, claim.signal):
            return Intents([], report)
        if report.states:
            mine = _mine(connection, claim, action_ids)  # what stopped may have changed what is ready
        wanted = [mine[one] for one in action_ids if one in mine and one not in unsent]
        rows = _sendable(connection, claim, wanted, {r.action_id for r in renderings}, now)
        return Intents(_open_attempts(connection, claim, rows, now, now + lease_within), report)

    return database.write(work, over=claim.signal)


def _store(
    connection: Connection, mine: Mapping[str, Row[Any]], renderings: Sequence[Rendering], now: datetime
) -> tuple[SettlementReport, set[str]]:
    """Stores the rendered requests and settles what stops here; returns a report of that, and what must not be sent."""
    gone = _members_gone(connection, renderings)
    kept = [r for r in renderings if r.action_id in mine and r.action_id not in gone]
    rendered = [r for r in kept if r.arguments_json is not None]
    rows = [{"action_id": r.action_id, "arguments_json": r.arguments_json, "rendered_at": now} for r in rendered]
    insert_rows(connection, requests, rows)
    _seal(connection, [r.action_id for r in rendered])
    _release_left_out(connection, kept)
    stopped = [r for r in kept if r.arguments_json is None or r.is_held]
    changes = [(mine[r.action_id], _consequence_of_rendering(r), r.detail, None) for r in stopped]
    report = SettlementReport()
    for _row, consequence, *_ in changes:
        report.count(consequence.state)
    move_on(connection, changes, now)
    refresh_after(connection, [mine[r.action_id] for r in stopped], now)
    return report, gone | {r.action_id for r in stopped}


def _sendable(
    connection: Connection, claim: Claim, wanted: Sequence[Row[Any]], just_sealed: set[str], now: datetime
) -> list[Row[Any]]:
    """Of the actions that are still ours, those whose way is open; what must not be sent any more is settled."""
    blocked = blocked_destinations(connection, now)
    is_sealed = {row.action_id for row in wanted if row.is_sealed} | just_sealed
    open_rows = [
        row for row in wanted if row.is_ready and row.action_id in is_sealed and row.destination not in blocked
    ]
    kept_back = keep_back_refused(connection, claim.signal, open_rows, now)
    return [row for row in open_rows if row.action_id not in kept_back]


def _open_attempts(
    connection: Connection, claim: Claim, rows: Sequence[Row[Any]], now: datetime, lease_until: datetime
) -> list[Intent]:
    if not rows:
        return []
    ids = [row.action_id for row in rows]
    opened = {one.action_id: one for some in chunks(ids) for one in _insert_attempts(connection, claim, some, now)}
    _prolong(connection, rows, now, lease_until)
    write_audit(connection, [_intent_entry(claim, row, opened[row.action_id].number, now) for row in rows])
    reach("intent_open")
    return [
        Intent(
            opened[row.action_id].attempt_id,
            row.action_id,
            IdempotencyClass(row.idempotency),
            row.destination,
            row,
        )
        for row in rows
    ]


def _insert_attempts(connection: Connection, claim: Claim, action_ids: Sequence[str], now: datetime) -> list[Row[Any]]:
    """Opens one attempt for each action, numbered after those before; returns attempt_id, action_id and number."""
    before = select(func.max(attempts.c.number)).where(attempts.c.action_id == actions.c.action_id).scalar_subquery()
    values: dict[str, Any] = {
        "action_id": actions.c.action_id,
        "number": func.coalesce(before, 0) + 1,
        "destination": actions.c.destination,
        "run_id": literal(claim.run_id),
        "lease_token": literal(claim.token),
        "begun_at": literal(now, attempts.c.begun_at.type),
        "is_counted": true(),
        "reason": literal(""),
        "detail": literal(""),
    }
    opening = select(*values.values()).where(actions.c.action_id.in_(action_ids))
    statement = insert(attempts).from_select(list(values), opening)
    return list(connection.execute(statement.returning(attempts.c.attempt_id, attempts.c.action_id, attempts.c.number)))


def _prolong(connection: Connection, rows: Sequence[Row[Any]], now: datetime, lease_until: datetime) -> None:
    """Holds for longer what has used up a part of its lease; a fresh claim's rows need not be written again."""
    used = [row.action_id for row in rows if lease_until - row.lease_until > (lease_until - now) * LEASE_USED]
    for some in chunks(used):
        connection.execute(update(actions).where(actions.c.action_id.in_(some)).values(lease_until=lease_until))


def _intent_entry(claim: Claim, row: Row[Any], number: int, now: datetime) -> dict[str, Any]:
    return {
        "at": now,
        "actor": f"run:{claim.run_id}",
        "verb": "attempted",
        "signal": row.signal,
        "build_id": row.build_id,
        "action_id": row.action_id,
        "from_state": row.state,
        "to_state": row.state,
        "detail": f"attempt {number}",
    }


def _consequence_of_rendering(rendering: Rendering) -> Consequence:
    return Consequence(ActionState.HELD if rendering.is_held else ActionState.DEAD, rendering.reason)


def _members_gone(connection: Connection, renderings: Sequence[Rendering]) -> set[str]:
    """Groups of which a member was settled since it was read: their rendering is not what would be sent now."""
    gone: set[str] = set()
    for rendering in renderings:
        for ids in chunks(rendering.member_ids):
            to_do = (
                actions.c.action_id.in_(ids),
                actions.c.group_id == rendering.action_id,
                actions.c.state == "waiting",
            )
            if connection.execute(select(func.count()).select_from(actions).where(*to_do)).scalar_one() < len(ids):
                gone.add(rendering.action_id)
    return gone


def _seal(connection: Connection, action_ids: Sequence[str]) -> None:
    for ids in chunks(action_ids):
        connection.execute(update(actions).where(actions.c.action_id.in_(ids)).values(is_sealed=True))


def _release_left_out(connection: Connection, renderings: Sequence[Rendering]) -> None:
    """A member that was not part of the rendering (an earlier step of its own is dead) leaves the sealed group."""
    for rendering in renderings:
        if rendering.member_ids:
            waiting = (actions.c.group_id == rendering.action_id, actions.c.state == "waiting")
            members: Iterable[str] = connection.execute(select(actions.c.action_id).where(*waiting)).scalars()
            for ids in chunks(sorted(set(members) - set(rendering.member_ids))):
                connection.execute(update(actions).where(actions.c.action_id.in_(ids)).values(group_id=None))


def _mine(connection: Connection, claim: Claim, action_ids: Sequence[str]) -> dict[str, Row[Any]]:
    """The actions that this claim still holds and that are still waiting."""
    found: dict[str, Row[Any]] = {}
    for ids in chunks(action_ids):
        held = (actions.c.action_id.in_(ids), is_held_by(claim), actions.c.state == "waiting")
        query = select(*SETTLED_BY).where(*held)
        if connection.dialect.name == "postgresql":
            query = query.with_for_update()
        found |= {row.action_id: row for row in connection.execute(query)}
    return found
