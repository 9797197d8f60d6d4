"""What an operator wants to know first: for each signal, what was seen, what was done, what was not and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from dagster_project.contracts.catalog import Catalog
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.gates import blocked_destinations
from dagster_project.ledger.held_builds import read_held_builds
from dagster_project.ledger.modes import mode_of
from dagster_project.ledger.pruned import ACTION, EVENT, totals
from dagster_project.ledger.queue_order import oldest_in_queue
from dagster_project.ledger.row_counts import Counted, Subject, read_counts
from dagster_project.ledger.schema import builds, pauses
from dagster_project.verify.sla import judge, read_timings


@dataclass(frozen=True)
class SignalStatus:
    signal: str
    mode: str
    owner: str
    flagged: int | None  # in the newest build; None before the first
    data_as_of: datetime | None
    builds: int
    held_builds: str  # which the warehouse holds, why and since when, as detection saw it last; empty where none
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
    return status.is_sla_kept and not status.actions.get("dead", 0) and not status.held_builds


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
    of_signal = select(builds.c.flagged, builds.c.data_as_of).where(builds.c.signal == name)
    newest = connection.execute(of_signal.order_by(builds.c.build_no.desc()).limit(1)).first()
    gone = _pruned(connection, name)
    counts = _together(read_counts(connection, name), gone)
    waiting_since = oldest_in_queue(connection, ActionState.WAITING.value, name)
    verdict = judge(read_timings(connection, name, now), spec)
    return SignalStatus(
        signal=name,
        mode=mode_of(connection, name, spec.mode).value,
        owner=spec.owner,
        flagged=newest.flagged if newest else None,
        data_as_of=newest.data_as_of if newest else None,
        builds=sum(count for key, count in counts.items() if key.subject is Subject.BUILD),
        held_builds=str(read_held_builds(connection, name) or ""),
        events=_summed(counts, Subject.EVENT, lambda key: key.name),
        unplanned=_summed(counts, Subject.EVENT, lambda key: key.reason),
        pruned_events=sum(count for key, count in gone.items() if key.subject is Subject.EVENT),
        actions=_summed(counts, Subject.ACTION, lambda key: key.state),
        reasons=_reasons(counts),
        oldest_waiting=now - waiting_since if waiting_since else None,
        p50_seconds=verdict.p50,
        p95_seconds=verdict.p95,
        share_in_time=verdict.share_in_time,
        is_sla_kept=verdict.is_kept,
    )


def _pruned(connection: Connection, signal: str) -> dict[Counted, int]:
    """What there was of events and actions before pruning made totals of them."""
    of_events = totals(connection, signal, EVENT, "kind", "reason")
    of_actions = totals(connection, signal, ACTION, "step", "state", "reason")
    return {
        **{Counted(signal, Subject.EVENT, kind, "", reason): n for (kind, reason), n in of_events.items()},
        **{Counted(signal, Subject.ACTION, *key): n for key, n in of_actions.items()},
    }


def _together(kept: Mapping[Counted, int], gone: Mapping[Counted, int]) -> dict[Counted, int]:
    return {key: kept.get(key, 0) + gone.get(key, 0) for key in {**kept, **gone}}


def _summed(counts: Mapping[Counted, int], subject: Subject, by: Callable[[Counted], str]) -> dict[str, int]:
    """How many there are of each word that `by` gives; what it gives no word for is left out."""
    found: Counter[str] = Counter()
    for key in sorted(counts):
        if key.subject is subject and by(key):
            found[by(key)] += counts[key]
    return dict(sorted(found.items()))


def _reasons(counts: Mapping[Counted, int]) -> dict[str, dict[str, int]]:
    """The counts of actions that have a reason, by state."""
    by_state: dict[str, dict[Counted, int]] = {}
    for key in sorted(counts):
        if key.subject is Subject.ACTION and key.reason:
            by_state.setdefault(key.state, {})[key] = counts[key]
    return {state: _summed(some, Subject.ACTION, lambda key: key.reason) for state, some in by_state.items()}
