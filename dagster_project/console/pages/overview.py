"""The first page: is all well, and where not, what is wrong and where to click."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup
from starlette.responses import Response

from dagster_project.console.figures import BuildFigures, SignalFigures
from dagster_project.console.plots import Bar, Point, gauge, percentile_lines, stacked_bars
from dagster_project.console.rendering import page
from dagster_project.console.troubles import Trouble, troubles_of, troubles_of_loop, worst
from dagster_project.console.visit import Visit
from dagster_project.contracts.durations import span

STATES = ("delivered", "suppressed", "waiting", "held", "dead")  # from the bottom of a bar up
UNITS = ((172_800.0, 86_400.0, "d"), (7_200.0, 3_600.0, "h"), (120.0, 60.0, "min"), (0.0, 1.0, "s"))


@dataclass(frozen=True)
class Card:
    """One signal as the overview shows it."""

    figures: SignalFigures
    troubles: list[Trouble]
    level: str
    funnel: Markup
    times: Markup
    age: timedelta | None
    age_gauge: Markup
    oldest: timedelta | None  # the oldest opened event that is not done
    oldest_gauge: Markup


def show(visit: Visit) -> Response:
    figures = visit.desk.figures.current()
    cards = [card_of(one, visit.at) for one in figures.signals if visit.sees(one.name)]
    loop = troubles_of_loop(figures, visit.seen_signals())
    everything = [*loop, *(trouble for card in cards for trouble in card.troubles)]
    return page(
        visit,
        "overview.html",
        area="overview",
        cards=sorted(cards, key=lambda card: ("bad", "warn", "good").index(card.level)),
        loop=loop,
        level=worst(everything),
        wrong=sum(card.level != "good" for card in cards),
        states=STATES,
        counted=figures.at,
        counted_before=visit.at - figures.at,
    )


def card_of(figures: SignalFigures, at: datetime) -> Card:
    spec, status = figures.spec, figures.status
    troubles = troubles_of(figures, at)
    age = at - status.data_as_of if status.data_as_of else None
    oldest = figures.oldest_open.total if figures.oldest_open else None
    return Card(
        figures=figures,
        troubles=troubles,
        level=worst(troubles),
        funnel=funnel_plot(figures),
        times=times_plot(figures),
        age=age,
        age_gauge=_gauge(age, spec.fresh_within.as_timedelta(), "age of the data"),
        oldest=oldest,
        oldest_gauge=_gauge(oldest, spec.act_within.as_timedelta(), "oldest open event"),
    )


def _gauge(value: timedelta | None, limit: timedelta, what: str) -> Markup:
    seconds = None if value is None else value.total_seconds()
    return gauge(seconds, limit.total_seconds(), f"{what}: {span(value)} of {span(limit)}")


def funnel_plot(figures: SignalFigures) -> Markup:
    bars = [
        Bar(f"{build.captured_at:%d %b}", _bar_title(build), {state: build.states.get(state, 0) for state in STATES})
        for build in figures.builds
    ]
    return stacked_bars(bars, f"{figures.name}: actions of each build by state; the table below has the numbers")


def _bar_title(build: BuildFigures) -> str:
    states = ", ".join(f"{build.states[state]:,} {state}" for state in STATES if build.states.get(state))
    head = f"build {build.build_no}, {build.captured_at:%Y-%m-%d %H:%M}: {build.detected:,} detected"
    return f"{head}, {states or build.handling}"


def times_plot(figures: SignalFigures) -> Markup:
    limit = figures.spec.act_within.as_timedelta().total_seconds()
    size, unit = next((size, unit) for least, size, unit in UNITS if limit >= least)
    measured = [build for build in figures.builds if build.p95 is not None]
    points = [
        Point(f"{build.captured_at:%d %b}", _scaled(build.p50, size), _scaled(build.p95, size)) for build in measured
    ]
    return percentile_lines(
        points, limit / size, unit, f"{figures.name}: time to action of each build, p50 and p95, against act_within"
    )


def _scaled(seconds: float | None, size: float) -> float | None:
    return None if seconds is None else seconds / size
