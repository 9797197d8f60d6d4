"""Records outcomes after the call, in a transaction of their own (invariant 4).

A run whose lease went to another closes its own attempt and no more.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from dagster_project.contracts.destination import IdempotencyClass, Outcome
from dagster_project.contracts.vocabulary import ActionState
from dagster_project.crash_points import reach
from dagster_project.ledger.database import Database
from dagster_project.ledger.gates import Claim, is_held_by
from dagster_project.ledger.log_lines import about
from dagster_project.ledger.moving_on import VERBS, move_on, refresh_after
from dagster_project.ledger.retry_policy import Consequence, RetryPolicy, consequence_of
from dagster_project.ledger.schema import actions, attempts
from dagster_project.ledger.transitions import chunks

log = logging.getLogger(__name__)
CLOSED_BY = ("ended_at", "verdict", "reason", "detail", "status", "is_counted")


@dataclass(frozen=True, slots=True)
class Intent:
    """One call about to be made."""

    attempt_id: int
    action_id: str
    idempotency: IdempotencyClass
    destination: str
    row: Row[Any] = field(repr=False)  # of the action, as `SETTLED_BY` names it, when the intent was written


@dataclass(frozen=True)
class Settled:
    """How one intent ended."""

    intent: Intent
    outcome: Outcome
    is_sent: bool = True  # False where the call was never begun
    server_limit: float = 0.0
    is_at_least_once: bool = False


@dataclass
class SettlementReport:
    states: dict[str, int] = field(default_factory=dict)
    zombies: int = 0  # outcomes of actions whose lease went to another run

    def count(self, state: ActionState) -> None:
        self.states[state.value] = self.states.get(state.value, 0) + 1


def settle(
    database: Database, claim: Claim, settled: Sequence[Settled], policy: RetryPolicy, random: Random
) -> SettlementReport:
    """Closes the attempts and moves their actions on, in one transaction."""

    def work(connection: Connection) -> SettlementReport:
        now = database.now()
        report = SettlementReport()
        mine = _still_mine(connection, claim, [one.intent for one in settled])
        changes: list[tuple[Row[Any], Consequence, str, Outcome | None]] = []
        closings: list[dict[str, Any]] = []
        for one in settled:
            consequence = _consequence(one, policy, random)
            closings.append(_closing(one, consequence, now))
            if one.intent.action_id in mine:
                changes.append((one.intent.row, consequence, one.outcome.detail, one.outcome))
                report.count(consequence.state)
            else:
                report.zombies += 1
        _close_attempts(connection, closings)
        move_on(connection, changes, now)
        refresh_after(connection, [row for row, *_ in changes], now)
        reach("outcome_open")
        done[:] = changes
        return report

    done: list[tuple[Row[Any], Consequence, str, Outcome | None]] = []
    report = database.write(work, over=claim.signal)
    _log_settled(claim, done)
    return report


def _still_mine(connection: Connection, claim: Claim, intents: Sequence[Intent]) -> set[str]:
    """Of actions with an open intent those that the claim still holds.

    Nothing else about them changes while it does, so their rows need not be read again.
    """
    found: set[str] = set()
    for ids in chunks([intent.action_id for intent in intents]):
        held = (actions.c.action_id.in_(ids), is_held_by(claim), actions.c.state == "waiting")
        if connection.execute(select(func.count()).select_from(actions).where(*held)).scalar_one() == len(ids):
            found.update(ids)
        else:
            found.update(connection.execute(select(actions.c.action_id).where(*held)).scalars())
    return found


def _log_settled(claim: Claim, done: Sequence[tuple[Row[Any], Consequence, str, Outcome | None]]) -> None:
    """A line for each action, once its outcome is committed; without the destination's words, which may be personal."""
    if not log.isEnabledFor(logging.INFO):
        return
    for row, consequence, _detail, outcome in done:
        ids = about(
            signal=row.signal,
            event=row.event_id,
            action=row.action_id,
            run=claim.run_id,
            step=row.step,
            destination=row.destination,
            verdict=outcome.verdict.value if outcome is not None else None,
            reason=consequence.reason,
        )
        level = logging.WARNING if consequence.state is ActionState.DEAD else logging.INFO
        log.log(level, "%s %s", row.step, VERBS[consequence.state], extra=ids)


def _consequence(one: Settled, policy: RetryPolicy, random: Random) -> Consequence:
    if not one.is_sent:
        return Consequence(ActionState.WAITING, one.outcome.reason, one.outcome.retry_after or 0.0, is_counted=False)
    return consequence_of(
        one.outcome,
        one.intent.idempotency,
        one.intent.row.attempts,
        policy,
        random,
        server_limit=one.server_limit,
        is_at_least_once=one.is_at_least_once,
    )


def _closing(one: Settled, consequence: Consequence, now: datetime) -> dict[str, Any]:
    return {
        "attempt_id": one.intent.attempt_id,
        "ended_at": now,
        "verdict": one.outcome.verdict.value,
        "reason": one.outcome.reason,
        "detail": one.outcome.detail[:500],
        "status": one.outcome.status,
        "is_counted": consequence.is_counted,
    }


def _close_attempts(connection: Connection, closings: Sequence[Mapping[str, Any]]) -> None:
    """Each attempt row belongs to one intent; what its own run learnt replaces what a sweep had to assume.

    Attempts that ended alike, which are most of a batch, are closed by one statement.
    """
    alike: dict[tuple[Any, ...], list[int]] = {}
    for closing in closings:
        alike.setdefault(tuple(closing[name] for name in CLOSED_BY), []).append(closing["attempt_id"])
    for values, attempt_ids in alike.items():
        for ids in chunks(attempt_ids):
            statement = update(attempts).where(attempts.c.attempt_id.in_(ids))
            connection.execute(statement.values(dict(zip(CLOSED_BY, values, strict=True))))


def settle_abandoned(
    connection: Connection, abandoned: Sequence[tuple[Row[Any], Consequence]], outcome: Outcome, now: datetime
) -> None:
    """Closes attempts that nobody else will close, inside the caller's transaction.

    Parameters: rows of actions with their `attempt_id`, each with what follows; the outcome to write.
    """
    closings = [
        {
            "attempt_id": row.attempt_id,
            "ended_at": now,
            "verdict": outcome.verdict.value,
            "reason": outcome.reason,
            "detail": outcome.detail,
            "status": None,
            "is_counted": consequence.is_counted,
        }
        for row, consequence in abandoned
    ]
    _close_attempts(connection, closings)
    move_on(connection, [(row, consequence, outcome.detail, outcome) for row, consequence in abandoned], now)
    refresh_after(connection, [row for row, _ in abandoned], now)


def settle_reconciled(
    connection: Connection, row: Row[Any], consequence: Consequence, outcome: Outcome, now: datetime
) -> None:
    """Settles a held action by what its destination knows about it, inside the caller's transaction."""
    move_on(connection, [(row, consequence, outcome.detail, outcome)], now)
    refresh_after(connection, [row], now)
