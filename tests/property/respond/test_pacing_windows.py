"""However many runs call, no window of the declared length holds more calls than declared, and none idles."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dagster_project.contracts.destination import RateLimit
from dagster_project.ledger.database import open_database
from dagster_project.ledger.pacing import Pace, take_places
from dagster_project.respond.pacing import Pacer

START = datetime(2026, 3, 2, tzinfo=UTC)
LIMITS = st.builds(RateLimit, calls=st.integers(1, 60), seconds=st.sampled_from([0.5, 1.0, 10.0, 30.0]))
ROUNDING = 1e-3  # moments are kept to the microsecond


def call_times(pace: Pace, takings: list[tuple[float, int]]) -> list[float]:
    """When the calls go out if runs take places at these gaps, each for so many calls."""
    now, next_at = START, None
    times: list[float] = []
    for gap, count in takings:
        now += timedelta(seconds=gap)
        first = pace.first_place(next_at, now)
        next_at = first + timedelta(seconds=count * pace.interval)
        places = (first + timedelta(seconds=number * pace.interval) for number in range(count))
        times += [(max(place, now) - START).total_seconds() for place in places]
    return sorted(times)


@given(LIMITS, st.lists(st.tuples(st.floats(0, 40), st.integers(1, 20)), max_size=30))
def test_no_window_holds_more_calls_than_declared(limit: RateLimit, takings: list[tuple[float, int]]) -> None:
    times = call_times(Pace.of(limit), takings)
    for first, later in zip(times, times[limit.calls :], strict=False):
        assert later - first >= limit.seconds - ROUNDING


@given(LIMITS)
def test_nine_tenths_of_the_limit_are_used_under_load(limit: RateLimit) -> None:
    calls = limit.calls * 20
    times = call_times(Pace.of(limit), [(0.0, 1)] * calls)
    assert times[-1] <= calls * limit.seconds / limit.calls / 0.9 + limit.seconds


@given(LIMITS, st.floats(0, 100))
def test_after_a_pause_the_burst_goes_at_once(limit: RateLimit, gap: float) -> None:
    pace = Pace.of(limit)
    times = call_times(pace, [(gap, pace.burst + 1)])
    assert set(times) == {times[0]}


def test_runs_share_one_destinations_places(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'ledger.sqlite'}", lambda: START)
    pace = Pace.of(RateLimit(calls=1, seconds=2.0))
    waits = [take_places(database, "slack", pace, 1) for _ in range(3)]
    assert waits == [0.0, 2.0, 4.0]
    assert take_places(database, "hubspot", pace, 1) == 0.0


def test_a_run_asks_for_places_in_blocks() -> None:
    asked: list[int] = []

    def take(pace: Pace, count: int) -> float:
        asked.append(count)
        return 0.0

    async def call_often() -> None:
        pacer = Pacer(RateLimit(calls=100_000, seconds=100.0), take)  # nothing is late by less than five seconds
        pacer.expect(500)
        for _ in range(500):
            await pacer.wait()

    asyncio.run(call_often())
    assert sum(asked) == 500  # a place that nobody uses would slow all who come after
    assert len(asked) <= 3


def test_places_that_a_run_was_held_up_past_are_given_up() -> None:
    """Other runs have filled the time since; all of them at once would break the limit."""
    asked: list[int] = []
    sent_after: list[float] = []
    held_up = 0.2

    def take(pace: Pace, count: int) -> float:
        asked.append(count)
        return 0.0

    async def call_and_stall() -> None:
        pacer = Pacer(RateLimit(calls=100, seconds=1.0), take)
        pacer.expect(46)
        await pacer.wait()
        time.sleep(held_up)  # noqa: ASYNC251 - the whole process stands still
        began = time.monotonic()
        for _ in range(45):
            await pacer.wait()
            sent_after.append(time.monotonic() - began)

    asyncio.run(call_and_stall())
    passed = int((held_up - 0.05) * 95) - 1
    assert sum(asked) >= 46 + passed, "as many places are taken anew as were given up"
    assert sent_after[-1] >= (45 - 5 - 6) / 95, "what was held up is not sent at once"
