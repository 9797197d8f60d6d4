"""Gives due work to runs under a lease, most severe first, and takes it back from runs that are gone."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, TextClause, func, or_, select, update

from dagster_project.contracts.vocabulary import Severity
from dagster_project.crash_points import reach
from dagster_project.ledger.database import Database
from dagster_project.ledger.gates import Claim, blocked_destinations, is_closed
from dagster_project.ledger.schema import IS_DUE_KIND, actions, attempts
from dagster_project.ledger.sweep import SweepPolicy, sweep_expired
from dagster_project.ledger.transitions import chunks

MOST_SEVERE_FIRST = tuple(sorted((severity.rank for severity in Severity), reverse=True))


def _due(signal: str, now: datetime, destination: str, severity_rank: int) -> list[ColumnElement[bool] | TextClause]:
    """Work that may be taken: ready, due, held by nobody. A member goes with its group.

    One destination and one severity at a time, because so the index leads straight to what is due: whatever is tried
    again later, and whatever waits for a destination that takes nothing now, is not even looked at.
    """
    return [
        IS_DUE_KIND,
        actions.c.signal == signal,
        actions.c.is_ready,
        actions.c.destination == destination,
        actions.c.severity_rank == severity_rank,
        actions.c.due_at <= now,
        or_(actions.c.lease_until.is_(None), actions.c.lease_until <= now),
    ]


def _open_destinations(connection: Connection, signal: str, now: datetime) -> list[str]:
    """The destinations that ready work of a signal goes to and that take something now."""
    found: list[str] = []
    query = select(actions.c.destination).where(IS_DUE_KIND, actions.c.signal == signal, actions.c.is_ready)
    query = query.order_by(actions.c.destination).limit(1)
    following: str | None = connection.execute(query).scalar()
    while following is not None:
        found.append(following)
        following = connection.execute(query.where(actions.c.destination > following)).scalar()
    blocked = blocked_destinations(connection, now)
    return [destination for destination in found if destination not in blocked]


def _pick(connection: Connection, signal: str, now: datetime, limit: int) -> list[Row[Any]]:
    """The most severe due work, the longest due first. Nobody else takes it: a signal's writers exclude each other."""
    picked: list[Row[Any]] = []
    destinations = _open_destinations(connection, signal, now)
    for severity_rank in MOST_SEVERE_FIRST:
        found: list[Row[Any]] = []
        for destination in destinations if len(picked) < limit else ():
            some = select(actions.c.action_id, actions.c.event_id, actions.c.is_group, actions.c.due_at)
            some = some.where(*_due(signal, now, destination, severity_rank)).order_by(actions.c.due_at)
            found += connection.execute(some.limit(limit - len(picked))).all()
        picked += sorted(found, key=lambda row: row.due_at)[: limit - len(picked)]
    return picked


def due_count(database: Database, signal: str, at_most: int = 1000) -> int:
    """How many actions and groups a run could take now, counted up to a bound."""
    with database.reading() as connection:
        now = database.now()
        if is_closed(connection, signal):
            return 0
        count = 0
        for destination in _open_destinations(connection, signal, now):
            for severity_rank in MOST_SEVERE_FIRST:
                some = select(actions.c.action_id).where(*_due(signal, now, destination, severity_rank))
                bounded = some.limit(at_most - count).subquery()
                count += connection.execute(select(func.count()).select_from(bounded)).scalar_one()
        return count


def claim(
    database: Database, signal: str, run_id: str, limit: int, lease_within: timedelta, sweeping: SweepPolicy
) -> Claim:
    """Leases the most severe due work of a signal, together with the rest of the same events.

    Attempts that a dead run left open are settled first, in the same transaction: no work is taken while one of its
    calls may still have had its effect unnoticed.
    Parameters: the signal; who claims; how many due actions and groups at most; how long the lease holds unless
    renewed; how to settle what dead runs left. An empty claim has count 0.
    """
    token = uuid.uuid4().hex

    def work(connection: Connection) -> int:
        now = database.now()
        while sweep_expired(connection, signal, sweeping, now):
            pass  # each round settles some of what dead runs left, until none of it is left to be claimed
        reach("swept")
        if is_closed(connection, signal):
            return 0
        picked = _pick(connection, signal, now, limit)
        _lease(connection, [row.action_id for row in picked], token, now, now + lease_within)
        _lease_rest(connection, picked, token, now, now + lease_within)
        reach("claim_open")
        return len(picked)

    return Claim(token=token, signal=signal, run_id=run_id, count=database.write(work, over=signal))


def _lease(connection: Connection, action_ids: Sequence[str], token: str, now: datetime, until: datetime) -> None:
    """Leases what is still waiting and held by nobody else."""
    for ids in chunks(action_ids):
        connection.execute(
            update(actions)
            .where(
                actions.c.action_id.in_(ids),
                actions.c.state == "waiting",
                or_(actions.c.lease_until.is_(None), actions.c.lease_until <= now),
            )
            .values(lease_token=token, lease_until=until)
        )


def _lease_rest(connection: Connection, picked: Sequence[Row[Any]], token: str, now: datetime, until: datetime) -> None:
    """The other waiting actions of the picked events, and their groups: they may become ready in this run."""
    event_ids = {row.event_id for row in picked if row.event_id}
    for ids in chunks([row.action_id for row in picked if row.is_group]):
        members = select(actions.c.event_id).where(actions.c.group_id.in_(ids))
        event_ids |= set(connection.execute(members).scalars())
    for some in chunks(sorted(event_ids)):
        rest = connection.execute(
            select(actions.c.action_id, actions.c.group_id).where(
                actions.c.event_id.in_(some),
                actions.c.state == "waiting",
                actions.c.lease_token.is_distinct_from(token),
            )
        ).all()
        wanted = {row.group_id or row.action_id for row in rest}
        _lease(connection, sorted(wanted), token, now, until)


def renew(database: Database, claim: Claim, lease_within: timedelta) -> None:
    """Holds the claim for longer; a lease that went to another run is not taken back."""

    def work(connection: Connection) -> None:
        until = database.now() + lease_within
        connection.execute(update(actions).where(actions.c.lease_token == claim.token).values(lease_until=until))

    database.write(work, over=claim.signal)


def release(database: Database, claim: Claim) -> None:
    """Gives back what the run did not settle; it may be taken again when it is due.

    An action with an open attempt is not given back: its lease runs out, and the sweep settles the attempt first.
    """

    def work(connection: Connection) -> None:
        under_way = select(attempts.c.action_id).where(
            attempts.c.lease_token == claim.token, attempts.c.verdict.is_(None)
        )
        mine = (actions.c.lease_token == claim.token, actions.c.action_id.notin_(under_way))
        connection.execute(update(actions).where(*mine).values(lease_token=None, lease_until=None))

    database.write(work, over=claim.signal)
