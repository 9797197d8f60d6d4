"""Names what a person has to look at, with where to click; nothing named means that all is well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dagster_project.console.figures import Figures, SignalFigures
from dagster_project.contracts.durations import span
from dagster_project.verify.alerting import BROKEN_CHAIN, BUILD_REFUSED, CONTACTS_IN_DOUBT, FAILED_CHECK


class Level(StrEnum):
    BAD = "bad"  # a promise is broken, or work is lost to people until somebody acts
    WARN = "warn"  # somebody has to decide, or has decided


@dataclass(frozen=True)
class Trouble:
    level: Level
    text: str
    address: str


def troubles_of(figures: SignalFigures, at: datetime) -> list[Trouble]:
    """What is wrong with one signal, the worst first."""
    return sorted(_of_signal(figures, at), key=lambda trouble: trouble.level is not Level.BAD)


def _of_signal(figures: SignalFigures, at: datetime) -> Iterator[Trouble]:
    status, spec, here = figures.status, figures.spec, f"/signals/{figures.name}"
    if not status.is_sla_kept:
        yield Trouble(Level.BAD, _late_text(figures), f"{here}#late")
    if dead := status.actions.get("dead", 0):
        yield Trouble(Level.BAD, f"{dead:,} dead: nothing more is tried", f"/queues/dead?signal={figures.name}")
    if status.data_as_of is None:
        yield Trouble(Level.WARN, "no build yet", here)
    elif at - status.data_as_of > spec.fresh_within.as_timedelta():
        promised = span(spec.fresh_within.as_timedelta())
        yield Trouble(Level.BAD, f"the data is {span(at - status.data_as_of)} old, promised {promised}", here)
    if wrong := figures.wrong_records:
        text = f"{wrong:,} of the records read back {'is' if wrong == 1 else 'are'} not as the loop wrote"
        yield Trouble(Level.BAD, text, f"/samples?signal={figures.name}")
    if held := status.actions.get("held", 0):
        yield _held(figures, held)


def _late_text(figures: SignalFigures) -> str:
    share, promised = figures.status.share_in_time, figures.spec.in_time_share
    late = f"{figures.late_count:,} late or failed"
    return f"{late}; {share:.0%} in time, promised {promised:.0%} within {span(figures.spec.act_within.as_timedelta())}"


def _held(figures: SignalFigures, held: int) -> Trouble:
    since, limit = figures.oldest_held, figures.spec.held_within.as_timedelta()
    is_too_long = since is not None and since > limit
    longest = f", the oldest for {span(since)}" if since is not None else ""
    return Trouble(
        Level.BAD if is_too_long else Level.WARN,
        f"{held:,} wait for a person{longest}" + (f" (limit {span(limit)})" if is_too_long else ""),
        f"/queues/held?signal={figures.name}",
    )


def troubles_of_loop(figures: Figures, seen: frozenset[str] | None) -> list[Trouble]:
    """What is wrong beside the signals' own work: pauses, destinations, quarantined signals."""
    found = [
        Trouble(Level.BAD, f"quarantined: {name}: {problems[0] if problems else ''}", "/signals")
        for name, problems in figures.status.quarantined.items()
        if seen is None
    ]
    for subject, why in figures.status.paused.items():
        if seen is None or not subject.startswith("signal:") or subject.removeprefix("signal:") in seen:
            found.append(Trouble(Level.WARN, f"paused: {subject} {why}", "/signals#pauses"))
    for destination in figures.status.blocked:
        if f"destination:{destination}" not in figures.status.paused:
            found.append(Trouble(Level.WARN, f"{destination} takes nothing now", "/queues/waiting"))
    found += [
        Trouble(Level.WARN, f"another value of {name} waits to be decided on", f"/criteria/{name}")
        for name, readers in figures.proposals.items()
        if seen is None or seen & set(readers)
    ]
    return [*_of_incidents(figures, seen), *found]


def _of_incidents(figures: Figures, seen: frozenset[str] | None) -> Iterator[Trouble]:
    """What only an incident tells: checks, a touched trail, refused builds, a list in doubt; signals count the rest."""
    for incident in figures.incidents:
        since = f"since {incident.opened_at:%d %b %H:%M}"
        if incident.kind == BROKEN_CHAIN and seen is None:
            yield Trouble(Level.BAD, f"the audit trail was touched, {since}: {incident.summary}", "/audit")
        if incident.kind == CONTACTS_IN_DOUBT:
            yield Trouble(Level.BAD, f"the do-not-contact list is in doubt, {since}: {incident.summary}", "/audit")
        if incident.kind == BUILD_REFUSED and (seen is None or incident.subject in seen):
            told = f"a build of {incident.subject} is refused, {since}: {incident.summary}"
            yield Trouble(Level.BAD, told, f"/signals/{incident.subject}")
        if incident.kind != FAILED_CHECK:
            continue
        signal = next((one.name for one in figures.signals if one.name in incident.subject), None)
        if seen is None or signal in seen:
            where = f"/signals/{signal}" if signal else "/signals"
            yield Trouble(Level.BAD, f"the check {incident.subject} failed, {since}", where)


def worst(troubles: Sequence[Trouble]) -> str:
    """`good` where there is none, else the worst level."""
    if not troubles:
        return "good"
    return Level.BAD.value if any(trouble.level is Level.BAD for trouble in troubles) else Level.WARN.value
