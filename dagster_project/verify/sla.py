"""Measures the promise act_within: from the commit of a build to the last required step of an opened event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, func, select

from dagster_project.contracts.signal import SignalSpec
from dagster_project.ledger.run_summary import percentile
from dagster_project.ledger.schema import IN_QUEUE, actions, audit, builds
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
    """The timings of the opened events that were captured within the window, or that are still open.

    Takes as long as there are events in the window and open work, however large the ledger is.
    """
    of_signal = select(builds.c.build_id, builds.c.captured_at).where(builds.c.signal == signal)
    captured = {row.build_id: row.captured_at for row in connection.execute(of_signal)}
    recent = [build_id for build_id, at in captured.items() if at > now - WINDOW]
    found = [_timing(row, captured[row.build_id], now) for ids in chunks(recent) for row in _ended(connection, ids)]
    older = {row.event_id: row for row in _open_work(connection, signal, recent)}
    return found + [
        EventTiming(row.event_id, row.entity_id, is_done=False, is_failed=False, total=now - captured[row.build_id])
        for row in older.values()
    ]


def _ended(connection: Connection, build_ids: Sequence[str]) -> Sequence[Any]:
    """For each event of these builds, how its required work stands; read from the index actions_build alone."""
    a = actions.c

    def how_many(*states: str) -> Any:
        return func.sum(case((a.state.in_(states), 1), else_=0))

    columns = (
        a.build_id,
        a.event_id,
        a.entity_id,
        how_many("waiting", "held").label("open"),
        how_many("dead").label("dead"),
        func.max(a.settled_at).label("last_at"),
    )
    required = (a.build_id.in_(build_ids), a.is_required, a.event_id.is_not(None), a.state != "suppressed")
    return connection.execute(select(*columns).where(*required).group_by(a.build_id, a.event_id, a.entity_id)).all()


def _open_work(connection: Connection, signal: str, recent: Sequence[str]) -> Iterator[Any]:
    """The required actions of a signal that wait or are held, alone or in a group, of other builds than the recent."""
    a, unfinished = actions.c, ("waiting", "held")
    mine = (IN_QUEUE, a.state.in_(unfinished), a.signal == signal, a.build_id.notin_(recent))
    required = select(a.event_id, a.entity_id, a.build_id).where(a.is_required, a.event_id.is_not(None))
    yield from connection.execute(required.where(*mine))
    groups: Sequence[str] = connection.execute(select(a.action_id).where(*mine, a.is_group)).scalars().all()
    for ids in chunks(groups):
        yield from connection.execute(required.where(a.group_id.in_(ids), a.state.in_(unfinished)))


def _timing(row: Any, captured_at: datetime, now: datetime) -> EventTiming:
    return EventTiming(
        event_id=row.event_id,
        entity_id=row.entity_id,
        is_done=not row.open and not row.dead,
        is_failed=row.dead > 0,
        total=(now if row.open else row.last_at) - captured_at,
    )


def held_time(connection: Connection, timings: Iterable[EventTiming], now: datetime) -> dict[str, timedelta]:
    """For each event, how much of its time it has waited for a person; from the audit trail, which keeps every change.

    Parameters: a reading connection; the events, few of them; the moment to which what is held now counts.
    """
    found = {timing.event_id: timedelta(0) for timing in timings}
    event_of: dict[str, str] = {}
    for ids in chunks(found):
        required = (actions.c.event_id.in_(ids), actions.c.is_required)
        rows = connection.execute(select(actions.c.action_id, actions.c.event_id).where(*required))
        event_of |= {row.action_id: row.event_id for row in rows}
    for action_id, span in _held_spans(connection, list(event_of), now).items():
        found[event_of[action_id]] = max(found[event_of[action_id]], span)
    return found


def _held_spans(connection: Connection, action_ids: Sequence[str], now: datetime) -> dict[str, timedelta]:
    """For each action that was ever held, how long in all."""
    total: dict[str, timedelta] = {}
    since: dict[str, datetime] = {}
    for ids in chunks(action_ids):
        query = select(audit.c.action_id, audit.c.at, audit.c.to_state).where(
            audit.c.action_id.in_(ids), audit.c.to_state.is_not(None)
        )
        for row in connection.execute(query.order_by(audit.c.seq)):
            if row.to_state == "held":
                since.setdefault(row.action_id, row.at)
            elif row.action_id in since:
                total[row.action_id] = total.get(row.action_id, timedelta(0)) + (row.at - since.pop(row.action_id))
    for action_id, start in since.items():
        total[action_id] = total.get(action_id, timedelta(0)) + (now - start)
    return total
