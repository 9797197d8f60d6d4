"""Proves invariant 1 from the rows up: every count adds up, and every state follows from the audit trail.

The database does the counting, so that a ledger of years takes long and not much memory: of what breaks a law only the
first rows are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select

from dagster_project.contracts.destination import IdempotencyClass
from dagster_project.ledger.pruned import ACTION, EVENT, GROUP
from dagster_project.ledger.row_counts import read_counts, recount
from dagster_project.ledger.schema import actions, attempts, audit, builds, events, pruned_totals

SHOWN = 5


@dataclass(frozen=True)
class Proof:
    """One law of conservation, what was compared, and the first rows that break it."""

    law: str
    checked: int
    broken: int
    examples: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return self.broken == 0


@dataclass(frozen=True)
class Breach:
    """How a law can be broken: the rows that break it, and what is said of each."""

    rows: Select[Any]
    told: Callable[[Row[Any]], str]


def prove(connection: Connection, signal: str | None = None) -> list[Proof]:
    """Every law, recounted.

    Parameters: a reading connection (one snapshot); the signal, or None for all of them.
    """
    return list(_proofs(connection, signal))


def _proofs(connection: Connection, signal: str | None) -> Iterator[Proof]:
    yield _build_counts(connection, signal)
    yield _planned_or_reasoned(connection, signal)
    yield _states_follow_audit(connection, signal)
    yield _members_follow_groups(connection, signal)
    yield _delivered_once(connection, signal)
    yield _settled_have_reasons(connection, signal)
    yield _counts_are_kept(connection, signal)
    yield _pruned_are_totals(connection, signal)


def _proof(connection: Connection, law: str, checked: Select[Any], *breaches: Breach) -> Proof:
    """Parameters: the law in words; the rows that it is about; the ways to break it."""
    total, broken, examples = _count(connection, checked), 0, []
    for breach in breaches:
        rows = connection.execute(breach.rows.limit(SHOWN)).all()
        broken += len(rows) if len(rows) < SHOWN else _count(connection, breach.rows)
        examples += [breach.told(row) for row in rows]
    return Proof(law, total, broken, tuple(examples[:SHOWN]))


def _count(connection: Connection, rows: Select[Any]) -> int:
    return connection.execute(select(func.count()).select_from(rows.subquery())).scalar_one()


def _of(table: Any, signal: str | None) -> list[ColumnElement[bool]]:
    return [] if signal is None else [table.c.signal == signal]


def _build_counts(connection: Connection, signal: str | None) -> Proof:
    said, found = builds.c.opened + builds.c.escalated + builds.c.resolved, func.count(events.c.event_id)
    counted = (
        select(builds.c.build_id, said.label("said"), found.label("found"), builds.c.pruned_events.label("pruned"))
        .select_from(builds)
        .outerjoin(events, events.c.build_id == builds.c.build_id)
        .where(*_of(builds, signal))
        .group_by(builds.c.build_id)
    )
    return _proof(
        connection,
        "a build's counts equal its events in the ledger",
        select(builds.c.build_id).where(*_of(builds, signal)),
        Breach(
            counted.having(said != found + builds.c.pruned_events),
            lambda r: f"build {r.build_id}: {r.said} events said, {r.found} found, {r.pruned} pruned",
        ),
    )


def _planned_or_reasoned(connection: Connection, signal: str | None) -> Proof:
    has_action = select(actions.c.action_id).where(actions.c.event_id == events.c.event_id).exists()
    all_events = select(events.c.event_id).where(*_of(events, signal))
    return _proof(
        connection,
        "every event has its actions, or the reason why there are none",
        all_events,
        Breach(
            all_events.where(events.c.reason == "", ~has_action),
            lambda r: f"event {r.event_id}: neither an action nor a reason",
        ),
        Breach(
            all_events.where(events.c.reason != "", has_action),
            lambda r: f"event {r.event_id}: actions, and a reason not to plan any",
        ),
    )


def _states_follow_audit(connection: Connection, signal: str | None) -> Proof:
    all_actions = select(actions.c.action_id).where(*_of(actions, signal))
    told = (
        select(audit.c.to_state)
        .where(audit.c.action_id == actions.c.action_id, audit.c.to_state.is_not(None))
        .order_by(audit.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    differing = select(actions.c.action_id, actions.c.state, told.label("to_state")).where(
        *_of(actions, signal), func.coalesce(told, "") != actions.c.state
    )
    return _proof(
        connection,
        "stored states equal the states replayed from the audit trail",
        all_actions,
        Breach(differing, lambda r: f"action {r.action_id}: stored {r.state}, the audit trail says {r.to_state}"),
        Breach(
            _broken_chains(signal),
            lambda r: f"audit {r.seq} of action {r.action_id}: from {r.from_state}, but it was {r.before}",
        ),
    )


def _broken_chains(signal: str | None) -> Select[Any]:
    """Entries whose from_state is not what the entry before them led to."""
    before = func.lag(audit.c.to_state).over(partition_by=audit.c.action_id, order_by=audit.c.seq).label("before")
    where = [audit.c.action_id.is_not(None), audit.c.to_state.is_not(None), *_of(audit, signal)]
    chain = select(audit.c.seq, audit.c.action_id, audit.c.from_state, before).where(*where).subquery()
    return select(chain).where(and_(chain.c.before.is_not(None), chain.c.before.is_distinct_from(chain.c.from_state)))


def _members_follow_groups(connection: Connection, signal: str | None) -> Proof:
    """A member that was sent with its group is in the group's state; one suppressed or dead before was never part."""
    group = actions.alias("of_group")
    members = (
        select(actions.c.action_id, actions.c.state, group.c.state.label("of_group"))
        .select_from(actions)
        .join(group, group.c.action_id == actions.c.group_id)
        .where(actions.c.group_id.is_not(None), actions.c.state.notin_(("suppressed", "dead")), *_of(actions, signal))
    )
    return _proof(
        connection,
        "members of a group are in their group's state",
        members,
        Breach(
            members.where(actions.c.state != group.c.state),
            lambda r: f"action {r.action_id}: {r.state}, its group is {r.of_group}",
        ),
    )


def _delivered_once(connection: Connection, signal: str | None) -> Proof:
    """Every delivered action or group has one attempt that says so, or several where its key makes them one effect; and
    none was delivered that the loop itself has suppressed.
    """
    of_action = (attempts.c.action_id == actions.c.action_id, attempts.c.verdict == "delivered")
    count = select(func.count()).select_from(attempts).where(*of_action).scalar_subquery()
    delivered = select(actions.c.action_id, count.label("n")).where(
        actions.c.state == "delivered", actions.c.group_id.is_(None), *_of(actions, signal)
    )
    is_unkeyed = actions.c.idempotency == IdempotencyClass.UNKEYED.value
    by_none = and_(count == 0, ~_was_told(audit.c.verb == "delivered", audit.c.from_state == "held"))
    by_many = and_(is_unkeyed, count > 1, ~_was_told(audit.c.verb == "replayed"))
    unnoticed = select(actions.c.action_id, actions.c.reason).where(
        actions.c.state == "suppressed",
        actions.c.reason.notin_(("rejected", "discarded")),
        *_of(actions, signal),
        select(attempts.c.attempt_id).where(*of_action).exists(),
    )
    return _proof(
        connection,
        "every delivery has its delivered attempt, and no attempt was delivered unnoticed",
        delivered.with_only_columns(actions.c.action_id),
        Breach(delivered.where(or_(by_none, by_many)), lambda r: f"action {r.action_id}: delivered by {r.n} attempts"),
        Breach(unnoticed, lambda r: f"action {r.action_id}: suppressed ({r.reason}), but an attempt was delivered"),
    )


def _was_told(*what: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(audit.c.seq).where(audit.c.action_id == actions.c.action_id, *what).exists()


def _settled_have_reasons(connection: Connection, signal: str | None) -> Proof:
    ended = select(actions.c.action_id).where(
        actions.c.state.in_(("suppressed", "dead", "held")), *_of(actions, signal)
    )
    return _proof(
        connection,
        "whatever is suppressed, held or dead has its reason",
        ended,
        Breach(ended.where(actions.c.reason == ""), lambda r: f"action {r.action_id}: no reason"),
    )


def _counts_are_kept(connection: Connection, signal: str | None) -> Proof:
    kept, found = read_counts(connection, signal), recount(connection, signal)
    keys = sorted({*kept, *found})
    wrong = [
        f"{' '.join(part for part in key if part)}: counted as {kept.get(key, 0)}, there are {found.get(key, 0)}"
        for key in keys
        if kept.get(key, 0) != found.get(key, 0)
    ]
    return Proof("the counts that are kept equal the rows", len(keys), len(wrong), tuple(wrong[:SHOWN]))


def _pruned_are_totals(connection: Connection, signal: str | None) -> Proof:
    """Every action that the audit trail knows and the ledger has not was pruned, and stands in the totals in its last
    state; and the totals of events are what the builds say was pruned."""
    said = _totals(connection, signal, (ACTION, GROUP))
    found = _gone_from_the_trail(connection, signal)
    wrong = [
        f"{key[0]} {key[1]}: the audit trail has {found.get(key, 0)} actions that the ledger has not, the totals "
        f"say that {said.get(key, 0)} were pruned"
        for key in sorted({*said, *found})
        if said.get(key, 0) != found.get(key, 0)
    ]
    events_said: dict[str, int] = {}
    for (name, _), n in _totals(connection, signal, (EVENT,)).items():
        events_said[name] = events_said.get(name, 0) + n
    of_builds = select(builds.c.signal, func.sum(builds.c.pruned_events).label("n")).group_by(builds.c.signal)
    of_builds = of_builds.where(builds.c.signal == signal) if signal is not None else of_builds
    events_found = {row.signal: int(row.n) for row in connection.execute(of_builds) if row.n}
    wrong += [
        f"{name}: builds say that {events_found.get(name, 0)} events were pruned, the totals {events_said.get(name, 0)}"
        for name in sorted({*events_said, *events_found})
        if events_said.get(name, 0) != events_found.get(name, 0)
    ]
    checked = sum(found.values()) + sum(events_found.values())
    return Proof("what was pruned stands in the totals", checked, len(wrong), tuple(wrong[:SHOWN]))


def _totals(connection: Connection, signal: str | None, units: Sequence[str]) -> dict[tuple[str, str], int]:
    query = select(pruned_totals.c.signal, pruned_totals.c.state, func.sum(pruned_totals.c.n).label("n"))
    query = query.where(pruned_totals.c.unit.in_(units)).group_by(pruned_totals.c.signal, pruned_totals.c.state)
    query = query.where(pruned_totals.c.signal == signal) if signal is not None else query
    return {(row.signal, row.state): int(row.n) for row in connection.execute(query)}


def _gone_from_the_trail(connection: Connection, signal: str | None) -> dict[tuple[str, str], int]:
    """Signal and last state of the actions that only the audit trail still knows, counted."""
    where: list[ColumnElement[bool]] = [audit.c.action_id.is_not(None), audit.c.to_state.is_not(None)]
    where += [audit.c.signal == signal] if signal is not None else []
    last = select(func.max(audit.c.seq).label("seq")).where(*where).group_by(audit.c.action_id).subquery()
    query = (
        select(audit.c.signal, audit.c.to_state, func.count().label("n"))
        .join(last, last.c.seq == audit.c.seq)
        .outerjoin(actions, actions.c.action_id == audit.c.action_id)
        .where(actions.c.action_id.is_(None))
        .group_by(audit.c.signal, audit.c.to_state)
    )
    return {(row.signal, row.to_state): row.n for row in connection.execute(query)}
