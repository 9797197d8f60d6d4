"""The promise act_within: kept or not, from the timings alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.contracts.spec_samples import signal

from dagster_project.contracts.signal import SignalSpec
from dagster_project.ledger.run_summary import percentile
from dagster_project.verify.sla import EventTiming, judge

SPEC = SignalSpec.model_validate(signal(act_within={"hours": 4}, in_time_share=0.9))


def timing(minutes: float, is_done: bool = True, is_failed: bool = False, name: str = "e") -> EventTiming:
    return EventTiming(name, name, is_done, is_failed, timedelta(minutes=minutes))


def test_nothing_to_do_is_kept() -> None:
    verdict = judge([], SPEC)
    assert (verdict.is_kept, verdict.share_in_time, verdict.p50, verdict.oldest_open) == (True, 1.0, None, None)


@pytest.mark.parametrize(
    ("timings", "is_kept", "in_time"),
    [
        ([timing(240)], True, 1),
        ([timing(240.1)], False, 0),
        ([timing(1)] * 9 + [timing(500)], True, 9),
        ([timing(1)] * 8 + [timing(500)] * 2, False, 8),
        ([timing(1)] * 99 + [timing(241, is_done=False)], False, 99),
        ([timing(1)] * 99 + [timing(239, is_done=False)], True, 100),
        ([timing(1)] * 9 + [timing(1, is_done=False, is_failed=True)], True, 9),
        ([timing(1, is_done=False, is_failed=True)], False, 0),
    ],
)
def test_late_failed_and_overdue_events(timings: list[EventTiming], is_kept: bool, in_time: int) -> None:
    verdict = judge(timings, SPEC)
    assert (verdict.is_kept, verdict.in_time, verdict.measured) == (is_kept, in_time, len(timings))


def test_the_latest_come_first() -> None:
    verdict = judge([timing(300, name="a"), timing(1), timing(900, is_done=False, name="b")], SPEC)
    assert [t.entity_id for t in verdict.late] == ["b", "a"]
    assert verdict.oldest_open is not None
    assert (verdict.oldest_open.entity_id, verdict.oldest_open.total) == ("b", timedelta(minutes=900))


def test_percentiles_are_of_what_is_done() -> None:
    verdict = judge([timing(m) for m in range(1, 101)] + [timing(10_000, is_done=False)], SPEC)
    assert (verdict.p50, verdict.p95) == (50 * 60.0, 95 * 60.0)


minutes = st.floats(0, 1000, allow_nan=False)
timings = st.lists(st.builds(timing, minutes, st.booleans(), st.just(False)), max_size=30)


@given(timings)
def test_the_verdict_follows_from_its_own_numbers(some: list[EventTiming]) -> None:
    verdict = judge(some, SPEC)
    assert verdict.in_time + len(verdict.late) == verdict.measured == len(some)
    overdue = [t for t in verdict.late if not t.is_done]
    assert verdict.is_kept is (not some or (verdict.share_in_time >= 0.9 and not overdue))


@given(some=timings, earlier=st.floats(0, 100))
def test_being_faster_never_breaks_a_promise(some: list[EventTiming], earlier: float) -> None:
    faster = [timing(max(0.0, t.total.total_seconds() / 60 - earlier), t.is_done) for t in some]
    assert judge(faster, SPEC).is_kept or not judge(some, SPEC).is_kept


@given(values=st.lists(st.integers(0, 50), min_size=1), share=st.sampled_from([0.01, 0.5, 0.95, 1.0]))
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(values: list[int], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(v <= found for v in values) >= share * len(values)
    smaller = [v for v in values if v < found]
    assert not smaller or sum(v <= max(smaller) for v in values) < share * len(values)
