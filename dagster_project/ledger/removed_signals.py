"""Work of signals that are no longer in the catalog: it has no job any more, so it is held for a person and shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, or_, select

from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import actions, row_counts
from dagster_project.ledger.sweep import SweepPolicy, sweep_expired
from dagster_project.ledger.transitions import Transition, apply_transitions

SIGNAL_REMOVED = "signal_removed"
ACTOR = "loop"


def hold_removed(database: Database, signals: Collection[str], sweeping: SweepPolicy) -> dict[str, int]:
    """Holds what waits for signals that the catalog does not have; returns how many actions and groups, by signal.

    Attempts that dead runs left open are settled first. When the signal is back, `approve` lets its work go on.
    Parameters: the ledger; the signals there are; how to settle what dead runs left.
    """
    is_waiting = (row_counts.c.state == ActionState.WAITING.value, row_counts.c.row_count > 0)
    waiting = select(row_counts.c.signal).where(*is_waiting).distinct()
    with database.reading() as connection:
        found: Iterable[str] = connection.execute(waiting).scalars()
        removed = sorted(set(found) - set(signals))
    return {signal: _hold(database, signal, sweeping) for signal in removed}


def _hold(database: Database, signal: str, sweeping: SweepPolicy) -> int:
    def work(connection: Connection) -> int:
        now = database.now()
        while sweep_expired(connection, signal, sweeping, now):
            pass
        is_free = or_(actions.c.lease_until.is_(None), actions.c.lease_until <= now)
        waiting = (
            actions.c.signal == signal,
            actions.c.state == ActionState.WAITING.value,
            is_free,
            or_(actions.c.group_id.is_(None), actions.c.group_id.notin_(_leased_groups(signal, now))),
        )
        rows = connection.execute(select(actions).where(*waiting)).all()
        transitions = [
            Transition.of(
                row, ActionState.HELD, "held", SIGNAL_REMOVED, "the signal is removed, renamed or quarantined"
            )
            for row in rows
        ]
        apply_transitions(connection, transitions, ACTOR, now)
        return len(transitions)

    return database.write(work, over=signal)


def _leased_groups(signal: str, now: datetime) -> Select[Any]:
    """Groups that a run has in hand. The lease is the group's alone, and a member goes with its group or not at all."""
    leased = (actions.c.is_group, actions.c.lease_token.is_not(None), actions.c.lease_until > now)
    return select(actions.c.action_id).where(actions.c.signal == signal, *leased)
