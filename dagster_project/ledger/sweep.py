"""Finds attempts that their run never closed, because it died, and settles them as what they are: unknown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from sqlalchemy import Connection, Row, select

from dagster_project.contracts.destination import IdempotencyClass, Outcome, ReasonFor, Verdict
from dagster_project.ledger.readiness import load_versions, step_of
from dagster_project.ledger.retry_policy import RetryPolicy, consequence_of
from dagster_project.ledger.schema import actions, attempts
from dagster_project.ledger.settlement import settle_abandoned
from dagster_project.ledger.transitions import chunks

SWEEP_LIMIT = 5000
LOST = Outcome(Verdict.UNKNOWN, ReasonFor.REPLY_LOST.value, "the run ended before an answer was recorded")


@dataclass(frozen=True)
class SweepPolicy:
    retry: RetryPolicy
    random: Random
    server_limit: float  # seconds; the longest of any bound destination


def sweep_expired(connection: Connection, signal: str, policy: SweepPolicy, now: datetime) -> int:
    """Settles a signal's open attempts whose action's lease has expired; returns how many there were."""
    rows = _left_open(connection, signal, now)
    versions = load_versions(connection, (row.playbook_version for row in rows))
    settle_abandoned(
        connection,
        [
            (
                row,
                consequence_of(
                    LOST,
                    IdempotencyClass(row.idempotency),
                    row.attempts,
                    policy.retry,
                    policy.random,
                    server_limit=policy.server_limit,
                    is_at_least_once=step_of(versions, row).is_at_least_once,
                ),
            )
            for row in rows
        ],
        LOST,
        now,
    )
    return len(rows)


def _left_open(connection: Connection, signal: str, now: datetime) -> list[Row[Any]]:
    """Some of the signal's waiting actions whose lease has expired with an attempt open, with the attempt's id.

    Asked for in two steps: open attempts are few and have an index of their own, which a database that has to plan a
    join may overlook.
    """
    still_open = select(attempts.c.action_id).where(attempts.c.verdict.is_(None))
    found: list[Row[Any]] = []
    for ids in chunks(connection.execute(still_open).scalars()):
        query = (
            select(actions, attempts.c.attempt_id)
            .join(attempts, attempts.c.action_id == actions.c.action_id)
            .where(
                attempts.c.action_id.in_(ids),
                attempts.c.verdict.is_(None),
                actions.c.action_id.in_(ids),
                actions.c.signal == signal,
                actions.c.lease_until <= now,
                actions.c.state == "waiting",
            )
        )
        if connection.dialect.name == "postgresql":
            query = query.with_for_update(skip_locked=True)
        found += connection.execute(query).all()
        if len(found) >= SWEEP_LIMIT:
            break
    return found
