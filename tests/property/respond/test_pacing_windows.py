"""However calls arrive, no window of the declared length holds more of them than declared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dagster_project.contracts.destination import RateLimit
from dagster_project.respond.pacing import Pacer

# Quarters of seconds are exact in binary, so that sums and differences of them are exact too.
quarters = st.integers(0, 40).map(lambda n: n / 4)


@given(calls=st.integers(1, 6), seconds=st.integers(1, 40).map(lambda n: n / 4), gaps=st.lists(quarters, max_size=40))
def test_no_window_holds_more_calls_than_declared(calls: int, seconds: float, gaps: list[float]) -> None:
    now = 0.0
    pacer = Pacer(RateLimit(calls=calls, seconds=seconds), lambda: now)
    places = []
    for gap in gaps:
        now += gap
        wait = pacer.reserve()
        assert wait >= 0
        places.append(now + wait)
    assert places == sorted(places)
    for first, later in zip(places, places[calls:], strict=False):
        assert later - first >= seconds


@given(calls=st.integers(1, 6), seconds=st.integers(1, 40).map(lambda n: n / 4), gaps=st.lists(quarters, max_size=40))
def test_nobody_waits_without_need(calls: int, seconds: float, gaps: list[float]) -> None:
    now = 0.0
    pacer = Pacer(RateLimit(calls=calls, seconds=seconds), lambda: now)
    places: list[float] = []
    for gap in gaps:
        now += gap
        wait = pacer.reserve()
        earliest = max(now, places[-calls] + seconds) if len(places) >= calls else now
        assert now + wait == earliest
        places.append(earliest)
