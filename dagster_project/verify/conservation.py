"""Proves invariant 1 from the rows up: every count adds up, and every state follows from the audit trail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, select

from dagster_project.contracts.destination import IdempotencyClass
from dagster_project.ledger.pruned import ACTION, EVENT, GROUP
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
    yield _pruned_are_totals(connection, signal)


def _build_counts(connection: Connection, signal: str | None) -> Proof:
    counted = select(
        builds.c.build_id,
        (builds.c.opened + builds.c.escalated + builds.c.resolved).label("said"),
        builds.c.pruned_events.label("pruned"),
        func.count(events.c.event_id).label("found"),
    ).outerjoin(events, events.c.build_id == builds.c.build_id)
    if signal is not None:
        counted = counted.where(builds.c.signal == signal)
    rows = connection.execute(counted.group_by(builds.c.build_id)).all()
    wrong = [
        f"build {row.build_id}: {row.said} events said, {row.found} found, {row.pruned} pruned"
        for row in rows
        if row.said != row.found + row.pruned
    ]
    return Proof("a build's counts equal its events in the ledger", len(rows), len(wrong), tuple(wrong[:SHOWN]))


def _planned_or_reasoned(connection: Connection, signal: str | None) -> Proof:
    has_action = select(literal_column("1")).where(actions.c.event_id == events.c.event_id).exists()
    where = [events.c.signal == signal] if signal is not None else []
    total = connection.execute(select(func.count()).select_from(events).where(*where)).scalar_one()
    lost: Sequence[str] = (
        connection.execute(select(events.c.event_id).where(*where, ~has_action, events.c.reason == "")).scalars().all()
    )
    both: Sequence[str] = (
        connection.execute(select(events.c.event_id).where(*where, has_action, events.c.reason != "")).scalars().all()
    )
    wrong = [f"event {e}: neither an action nor a reason" for e in lost]
    wrong += [f"event {e}: actions, and a reason not to plan any" for e in both]
    return Proof(
        "every event has its actions, or the reason why there are none", total, len(wrong), tuple(wrong[:SHOWN])
    )


def _states_follow_audit(connection: Connection, signal: str | None) -> Proof:
    where = [actions.c.signal == signal] if signal is not None else []
    total = connection.execute(select(func.count()).select_from(actions).where(*where)).scalar_one()
    last = (
        select(audit.c.action_id, func.max(audit.c.seq).label("seq"))
        .where(audit.c.action_id.is_not(None), audit.c.to_state.is_not(None))
        .group_by(audit.c.action_id)
        .subquery()
    )
    told = audit.alias("told")
    rows = connection.execute(
        select(actions.c.action_id, actions.c.state, told.c.to_state)
        .outerjoin(last, last.c.action_id == actions.c.action_id)
        .outerjoin(told, told.c.seq == last.c.seq)
        .where(*where, (told.c.to_state.is_(None)) | (told.c.to_state != actions.c.state))
    ).all()
    wrong = [f"action {row.action_id}: stored {row.state}, the audit trail says {row.to_state}" for row in rows]
    chain = _broken_chains(connection, signal)
    wrong += chain
    return Proof(
        "stored states equal the states replayed from the audit trail", total, len(wrong), tuple(wrong[:SHOWN])
    )


def _broken_chains(connection: Connection, signal: str | None) -> list[str]:
    """Entries whose from_state is not what the entry before them led to."""
    before = func.lag(audit.c.to_state).over(partition_by=audit.c.action_id, order_by=audit.c.seq).label("before")
    where: list[ColumnElement[bool]] = [audit.c.action_id.is_not(None), audit.c.to_state.is_not(None)]
    where += [audit.c.signal == signal] if signal is not None else []
    chain = select(audit.c.seq, audit.c.action_id, audit.c.from_state, before).where(*where).subquery()
    rows = connection.execute(
        select(chain).where(and_(chain.c.before.is_not(None), chain.c.before.is_distinct_from(chain.c.from_state)))
    )
    return [
        f"audit {row.seq} of action {row.action_id}: from {row.from_state}, but it was {row.before}" for row in rows
    ]


def _members_follow_groups(connection: Connection, signal: str | None) -> Proof:
    """A member that was sent with its group is in the group's state; one suppressed or dead before was never part."""
    group = actions.alias("of_group")
    query = (
        select(actions.c.action_id, actions.c.state, group.c.state.label("of_group"))
        .join(group, group.c.action_id == actions.c.group_id)
        .where(actions.c.state.notin_(("suppressed", "dead")) | group.c.state.in_(("delivered",)))
    )
    if signal is not None:
        query = query.where(actions.c.signal == signal)
    rows = connection.execute(query).all()
    wrong = [
        f"action {row.action_id}: {row.state}, its group is {row.of_group}"
        for row in rows
        if row.state != row.of_group and row.state not in ("suppressed", "dead")
    ]
    return Proof("members of a group are in their group's state", len(rows), len(wrong), tuple(wrong[:SHOWN]))


def _delivered_once(connection: Connection, signal: str | None) -> Proof:
    """Every delivered action or group has one attempt that says so, or several where its key makes them one effect; and
    none was delivered that the loop itself has suppressed.
    """
    attempted = (
        select(attempts.c.action_id, func.count().label("n"))
        .where(attempts.c.verdict == "delivered")
        .group_by(attempts.c.action_id)
        .subquery()
    )
    replayed = select(audit.c.action_id).where(audit.c.verb == "replayed")
    reconciled = select(audit.c.action_id).where(audit.c.verb == "delivered", audit.c.from_state == "held")
    query = (
        select(
            actions.c.action_id,
            actions.c.idempotency,
            func.coalesce(attempted.c.n, 0).label("n"),
            actions.c.action_id.in_(replayed).label("was_replayed"),
        )
        .outerjoin(attempted, attempted.c.action_id == actions.c.action_id)
        .where(actions.c.state == "delivered", actions.c.group_id.is_(None), actions.c.action_id.notin_(reconciled))
    )
    if signal is not None:
        query = query.where(actions.c.signal == signal)
    rows = connection.execute(query).all()
    wrong = [
        f"action {row.action_id}: delivered by {row.n} attempts"
        for row in rows
        if row.n == 0 or (row.n > 1 and row.idempotency == IdempotencyClass.UNKEYED.value and not row.was_replayed)
    ]
    unnoticed = select(actions.c.action_id, actions.c.reason).join(
        attempted, attempted.c.action_id == actions.c.action_id
    )
    unnoticed = unnoticed.where(actions.c.state == "suppressed", actions.c.reason.notin_(("rejected", "discarded")))
    if signal is not None:
        unnoticed = unnoticed.where(actions.c.signal == signal)
    wrong += [
        f"action {row.action_id}: suppressed ({row.reason}), but an attempt was delivered"
        for row in connection.execute(unnoticed)
    ]
    return Proof(
        "every delivery has its delivered attempt, and no attempt was delivered unnoticed",
        len(rows),
        len(wrong),
        tuple(wrong[:SHOWN]),
    )


def _settled_have_reasons(connection: Connection, signal: str | None) -> Proof:
    where: list[ColumnElement[bool]] = [actions.c.state.in_(("suppressed", "dead", "held"))]
    where += [actions.c.signal == signal] if signal is not None else []
    total = connection.execute(select(func.count()).select_from(actions).where(*where)).scalar_one()
    silent: Sequence[str] = (
        connection.execute(select(actions.c.action_id).where(*where, actions.c.reason == "")).scalars().all()
    )
    wrong = [f"action {action_id}: no reason" for action_id in silent]
    return Proof("whatever is suppressed, held or dead has its reason", total, len(wrong), tuple(wrong[:SHOWN]))


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
