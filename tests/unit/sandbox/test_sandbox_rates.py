"""The two rate limits never let more through than they promise, whatever the clock does between calls."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from dagster_project.sandbox.rate import RollingWindow, TokenBucket

GAPS = st.lists(st.floats(0.0, 3.0), min_size=1, max_size=200)


@given(gaps=GAPS, calls=st.integers(1, 20), seconds=st.floats(0.5, 10.0))
def test_no_window_of_its_length_holds_more_calls(gaps: list[float], calls: int, seconds: float) -> None:
    window = RollingWindow(seconds)
    taken = [now for now in accumulate(gaps) if window.take(calls, now) is not None]
    for place, start in enumerate(taken):
        assert len([now for now in taken[place:] if now < start + seconds]) <= calls


@given(calls=st.integers(1, 20))
def test_the_remaining_calls_count_down_and_come_back(calls: int) -> None:
    window = RollingWindow(10.0)
    assert [window.take(calls, 0.0) for _ in range(calls + 1)] == [*range(calls - 1, -1, -1), None]
    assert window.take(calls, 10.0) == calls - 1


@given(gaps=GAPS, rate=st.floats(0.1, 5.0), burst=st.floats(1.0, 10.0))
def test_a_bucket_gives_its_burst_and_then_its_rate(gaps: list[float], rate: float, burst: float) -> None:
    bucket = TokenBucket()
    moments = list(accumulate(gaps))
    given_tokens = sum(1 for now in moments if bucket.take(rate, burst, now) == 0.0)
    assert given_tokens <= burst + rate * (moments[-1] - moments[0]) + 1e-6


@given(rate=st.floats(0.1, 5.0))
def test_who_waits_as_told_gets_a_token(rate: float) -> None:
    bucket = TokenBucket()
    assert bucket.take(rate, 1.0, 0.0) == 0.0
    wait = bucket.take(rate, 1.0, 0.0)
    assert wait > 0.0
    assert bucket.take(rate, 1.0, wait + 1e-6) == 0.0
