"""What an operator wants to know first: for each signal, what was seen, what was done, what was not and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from dagster_project.contracts.catalog import Catalog
from dagster_project.contracts.signal import SignalSpec
from dagster_project.ledger.gates import blocked_destinations
from dagster_project.ledger.modes import mode_of
from dagster_project.ledger.pruned import ACTION, EVENT, totals
from dagster_project.ledger.schema import actions, builds, events, pauses
from dagster_project.verify.sla import judge, read_timings


@dataclass(frozen=True)
class SignalStatus:
    signal: str
    mode: str
    owner: str
    flagged: int | None  # in the newest build; None before the first
    data_as_of: datetime | None
    builds: int
    events: Mapping[str, int]  # by kind
    unplanned: Mapping[str, int]  # events without actions, by reason
    actions: Mapping[str, int]  # by state; members count, groups do not
    reasons: Mapping[str, Mapping[str, int]]  # state -> reason -> count
    pruned_events: int  # of the events above, those that are totals only
    oldest_waiting: timedelta | None
    p50_seconds: float | None
    p95_seconds: float | None
    share_in_time: float
    is_sla_kept: bool


@dataclass(frozen=True)
class LoopStatus:
    at: datetime
    signals: tuple[SignalStatus, ...]
    quarantined: Mapping[str, tuple[str, ...]]
    paused: Mapping[str, str]  # subject -> by whom and why
    blocked: tuple[str, ...]  # destinations that take nothing now

    @property
    def is_well(self) -> bool:
        """Whether there is nothing that a person has to look at."""
        return not self.quarantined and not self.paused and all(_is_well(signal) for signal in self.signals)

    def as_json(self) -> dict[str, Any]:
        return {"is_well": self.is_well, **asdict(self)}


def _is_well(status: SignalStatus) -> bool:
    return status.is_sla_kept and not status.actions.get("dead", 0)


def read_status(connection: Connection, catalog: Catalog, now: datetime) -> LoopStatus:
    rows = connection.execute(select(pauses)).all()
    return LoopStatus(
        at=now,
        signals=tuple(
            _signal_status(connection, name, signal.spec, now) for name, signal in sorted(catalog.signals.items())
        ),
        quarantined={name: tuple(str(p) for p in q.problems) for name, q in sorted(catalog.quarantined.items())},
        paused={row.subject: f"by {row.by} at {row.paused_at:%Y-%m-%d %H:%M} UTC: {row.why}" for row in rows},
        blocked=tuple(sorted(blocked_destinations(connection, now))),
    )


def _signal_status(connection: Connection, name: str, spec: SignalSpec, now: datetime) -> SignalStatus:
    newest = connection.execute(
        select(builds.c.flagged, builds.c.data_as_of).where(builds.c.signal == name).order_by(builds.c.build_no.desc())
    ).first()
    of_signal = actions.c.signal == name
    single = (of_signal, actions.c.is_group.is_(False))
    by_reason: Iterable[Row[Any]] = connection.execute(
        select(actions.c.state, actions.c.reason, func.count().label("n"))
        .where(*single)
        .group_by(actions.c.state, actions.c.reason)
    )
    gone = totals(connection, name, ACTION, "state", "reason")
    states: dict[str, int] = {}
    reasons: dict[str, dict[str, int]] = {}
    for state, reason, count in (*by_reason, *((*key, n) for key, n in gone.items())):
        states[state] = states.get(state, 0) + count
        if reason:
            of_state = reasons.setdefault(state, {})
            of_state[reason] = of_state.get(reason, 0) + count
    waiting_since: datetime | None = connection.execute(
        select(func.min(actions.c.planned_at)).where(*single, actions.c.state == "waiting")
    ).scalar_one()
    verdict = judge(read_timings(connection, name, now), spec)
    return SignalStatus(
        signal=name,
        mode=mode_of(connection, name, spec.mode).value,
        owner=spec.owner,
        flagged=newest.flagged if newest else None,
        data_as_of=newest.data_as_of if newest else None,
        builds=connection.execute(select(func.count()).select_from(builds).where(builds.c.signal == name)).scalar_one(),
        events=_with_pruned(connection, name, "kind", _counts(connection, events.c.kind, events.c.signal == name)),
        unplanned=_with_pruned(
            connection,
            name,
            "reason",
            _counts(connection, events.c.reason, (events.c.signal == name) & (events.c.reason != "")),
        ),
        pruned_events=sum(totals(connection, name, EVENT, "kind").values()),
        actions=states,
        reasons=reasons,
        oldest_waiting=now - waiting_since if waiting_since else None,
        p50_seconds=verdict.p50,
        p95_seconds=verdict.p95,
        share_in_time=verdict.share_in_time,
        is_sla_kept=verdict.is_kept,
    )


def _counts(connection: Connection, column: Any, where: Any) -> dict[str, int]:
    query = select(column.label("value"), func.count().label("n")).where(where).group_by(column).order_by(column)
    return {row.value: row.n for row in connection.execute(query)}


def _with_pruned(connection: Connection, signal: str, by: str, counted: Mapping[str, int]) -> dict[str, int]:
    """The counts of events with those that were pruned."""
    gone = {value: n for (value,), n in totals(connection, signal, EVENT, by).items() if value}
    return {value: counted.get(value, 0) + gone.get(value, 0) for value in sorted({*counted, *gone})}
