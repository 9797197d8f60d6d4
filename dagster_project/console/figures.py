"""The overview's figures: `verify`'s status and SLA verdict of each signal, and the same counted build by build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from dagster_project.contracts.catalog import Catalog
from dagster_project.contracts.signal import SignalSpec
from dagster_project.ledger.criteria import PROPOSED, versions
from dagster_project.ledger.incidents import Incident, read_open_incidents
from dagster_project.ledger.queue_order import oldest_in_queue
from dagster_project.ledger.run_summary import percentile
from dagster_project.ledger.samples import AGAINST, newest_verdicts
from dagster_project.ledger.schema import actions, builds, events
from dagster_project.verify.sla import WINDOW, EventTiming, judge, read_timings
from dagster_project.verify.status import LoopStatus, SignalStatus, read_status

BUILDS_SHOWN = 30
SAMPLES_WINDOW = timedelta(days=14)
LATE_SHOWN = 25


@dataclass(frozen=True)
class BuildFigures:
    """What one build brought and what came of it."""

    build_no: int
    captured_at: datetime
    data_as_of: datetime
    handling: str  # planned | baseline
    detected: int
    states: Mapping[str, int]  # of its actions
    p50: float | None  # seconds, of its opened events that are done
    p95: float | None

    @property
    def planned(self) -> int:
        return sum(self.states.values())


@dataclass(frozen=True)
class SignalFigures:
    status: SignalStatus
    spec: SignalSpec
    builds: tuple[BuildFigures, ...]  # the oldest first
    late: tuple[EventTiming, ...]
    late_count: int
    oldest_open: EventTiming | None
    oldest_held: timedelta | None
    wrong_records: int  # read back, and not as the loop wrote them

    @property
    def name(self) -> str:
        return self.status.signal


@dataclass(frozen=True)
class Figures:
    at: datetime
    status: LoopStatus
    signals: tuple[SignalFigures, ...]
    incidents: tuple[Incident, ...]  # open ones
    proposals: Mapping[str, Sequence[str]]  # thresholds of which a change waits to be decided on, and who reads them


def read_figures(connection: Connection, catalog: Catalog, now: datetime) -> Figures:
    """One snapshot of everything the overview shows."""
    status = read_status(connection, catalog, now)
    return Figures(
        at=now,
        status=status,
        signals=tuple(_of_signal(connection, one, catalog, now) for one in status.signals),
        incidents=tuple(read_open_incidents(connection)),
        proposals={row.name: catalog.readers_of(row.name) for row in versions(connection) if row.state == PROPOSED},
    )


def _of_signal(connection: Connection, status: SignalStatus, catalog: Catalog, now: datetime) -> SignalFigures:
    spec = catalog.signals[status.signal].spec
    timings = read_timings(connection, status.signal, now)
    verdict = judge(timings, spec)
    return SignalFigures(
        status=status,
        spec=spec,
        builds=_builds(connection, status.signal, timings, now),
        late=verdict.late[:LATE_SHOWN],
        late_count=len(verdict.late),
        oldest_open=verdict.oldest_open,
        oldest_held=_oldest_held(connection, status.signal, now),
        wrong_records=_wrong_records(connection, status.signal, now),
    )


def _wrong_records(connection: Connection, signal: str, now: datetime) -> int:
    """Sampled records that the check `samples_match` counts against the signal; a person's verdict goes first."""
    rows = newest_verdicts(connection, signal, now - SAMPLES_WINDOW)
    return sum((row.person_verdict or row.verdict) in AGAINST for row in rows)


def _oldest_held(connection: Connection, signal: str, now: datetime) -> timedelta | None:
    since = oldest_in_queue(connection, "held", signal)
    return None if since is None else now - since


def _builds(
    connection: Connection, signal: str, timings: Sequence[EventTiming], now: datetime
) -> tuple[BuildFigures, ...]:
    newest = select(builds).where(builds.c.signal == signal).order_by(builds.c.build_no.desc()).limit(BUILDS_SHOWN)
    rows = connection.execute(newest).all()[::-1]
    states = _states(connection, [row.build_id for row in rows])
    took = _took(connection, [row.build_id for row in rows if row.captured_at > now - WINDOW], timings)
    return tuple(_one_build(row, states.get(row.build_id, {}), took.get(row.build_id, [])) for row in rows)


def _one_build(row: Row[Any], states: Mapping[str, int], took: Sequence[float]) -> BuildFigures:
    return BuildFigures(
        build_no=row.build_no,
        captured_at=row.captured_at,
        data_as_of=row.data_as_of,
        handling=row.handling,
        detected=row.opened + row.escalated + row.resolved,
        states=states,
        p50=percentile(took, 0.5),
        p95=percentile(took, 0.95),
    )


def _states(connection: Connection, build_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    query = select(actions.c.build_id, actions.c.state, func.count().label("n"))
    query = query.where(actions.c.build_id.in_(build_ids), actions.c.is_group.is_(False))
    for row in connection.execute(query.group_by(actions.c.build_id, actions.c.state)):
        found.setdefault(row.build_id, {})[row.state] = row.n
    return found


def _took(connection: Connection, build_ids: Sequence[str], timings: Sequence[EventTiming]) -> dict[str, list[float]]:
    """Seconds from a build's commit to the end of each of its opened events that are done."""
    done = {timing.event_id: timing.total.total_seconds() for timing in timings if timing.is_done}
    found: dict[str, list[float]] = {}
    of_builds = select(events.c.event_id, events.c.build_id).where(events.c.build_id.in_(build_ids))
    for row in connection.execute(of_builds):
        if row.event_id in done:
            found.setdefault(row.build_id, []).append(done[row.event_id])
    return found
