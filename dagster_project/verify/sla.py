"""Measures the promise act_within: from the commit of a build to the last required step of an opened event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.vocabulary import SETTLED, ActionState
from dagster_project.ledger.run_summary import percentile
from dagster_project.ledger.schema import actions, audit, builds, events
from dagster_project.ledger.transitions import chunks

WINDOW = timedelta(days=7)


@dataclass(frozen=True)
class EventTiming:
    """How long one opened event took, or has taken so far."""

    event_id: str
    entity_id: str
    is_done: bool  # every required step delivered
    is_failed: bool  # some required step is dead
    total: timedelta
    held: timedelta  # the part of it spent waiting for a person

    @property
    def unheld(self) -> timedelta:
        return self.total - self.held


@dataclass(frozen=True)
class SlaVerdict:
    is_kept: bool
    measured: int  # opened events of the window with required work
    in_time: int
    late: tuple[EventTiming, ...]  # done too late, or not done and late already; the latest first
    oldest_open: EventTiming | None
    p50: float | None  # seconds, of those that are done
    p95: float | None

    @property
    def share_in_time(self) -> float:
        return self.in_time / self.measured if self.measured else 1.0


def judge(timings: Sequence[EventTiming], spec: SignalSpec) -> SlaVerdict:
    """The verdict on one signal; events that are neither done nor late yet count as in time so far."""
    limit = spec.act_within.as_timedelta()
    late = sorted((t for t in timings if t.total > limit or t.is_failed), key=lambda t: t.total, reverse=True)
    open_ones = [t for t in timings if not t.is_done]
    took = [t.total.total_seconds() for t in timings if t.is_done]
    in_time = len(timings) - len(late)
    return SlaVerdict(
        is_kept=not timings
        or (in_time / len(timings) >= spec.in_time_share and not any(_overdue(t, limit) for t in late)),
        measured=len(timings),
        in_time=in_time,
        late=tuple(late),
        oldest_open=max(open_ones, key=lambda t: t.total, default=None),
        p50=percentile(took, 0.5),
        p95=percentile(took, 0.95),
    )


def _overdue(timing: EventTiming, limit: timedelta) -> bool:
    return not timing.is_done and timing.total > limit


def read_timings(connection: Connection, signal: str, now: datetime) -> list[EventTiming]:
    """The timings of the opened events that were captured within the window, or that are still open."""
    rows = connection.execute(
        select(
            actions.c.action_id,
            actions.c.group_id,
            actions.c.event_id,
            actions.c.entity_id,
            actions.c.state,
            actions.c.settled_at,
            builds.c.captured_at,
        )
        .join(builds, builds.c.build_id == actions.c.build_id)
        .join(events, events.c.event_id == actions.c.event_id)
        .where(
            actions.c.signal == signal,
            actions.c.is_required,
            actions.c.state != ActionState.SUPPRESSED.value,
            (builds.c.captured_at > now - WINDOW) | actions.c.state.in_(("waiting", "held")),
        )
    ).all()
    held = _held_time(connection, [row.action_id for row in rows], now)
    by_event: dict[str, list[Any]] = {}
    for row in rows:
        by_event.setdefault(row.event_id, []).append(row)
    return [_timing(some, held, now) for some in by_event.values()]


def _timing(rows: Sequence[Any], held: Mapping[str, timedelta], now: datetime) -> EventTiming:
    is_done = all(row.state == ActionState.DELIVERED.value for row in rows)
    end = max(row.settled_at if ActionState(row.state) in SETTLED else now for row in rows)
    return EventTiming(
        event_id=rows[0].event_id,
        entity_id=rows[0].entity_id,
        is_done=is_done,
        is_failed=any(row.state == ActionState.DEAD.value for row in rows),
        total=end - rows[0].captured_at,
        held=max((held.get(row.action_id, timedelta(0)) for row in rows), default=timedelta(0)),
    )


def _held_time(connection: Connection, action_ids: Sequence[str], now: datetime) -> dict[str, timedelta]:
    """For each action that was ever held, how long in all; from the audit trail, which keeps every change of state."""
    total: dict[str, timedelta] = {}
    since: dict[str, datetime] = {}
    for ids in chunks(action_ids):
        query = select(audit.c.action_id, audit.c.at, audit.c.to_state).where(
            audit.c.action_id.in_(ids), audit.c.to_state.is_not(None)
        )
        for row in connection.execute(query.order_by(audit.c.seq)):
            if row.to_state == ActionState.HELD.value:
                since.setdefault(row.action_id, row.at)
            elif row.action_id in since:
                total[row.action_id] = total.get(row.action_id, timedelta(0)) + (row.at - since.pop(row.action_id))
    for action_id, start in since.items():
        total[action_id] = total.get(action_id, timedelta(0)) + (now - start)
    return total
