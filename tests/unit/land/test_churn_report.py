"""The arithmetic of the fit report, against its definitions."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.land.churn_report import area_under_curve, calibration_deciles, wilson_interval

judged = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=40)


@given(judged)
def test_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[float, bool]]) -> None:
    scores, outcomes = [score for score, _ in pairs], [left for _, left in pairs]
    leavers = [score for score, left in pairs if left]
    stayers = [score for score, left in pairs if not left]
    if not leavers or not stayers:
        with pytest.raises(ValueError, match="customers who left and customers who stayed"):
            area_under_curve(scores, outcomes)
        return
    in_order = sum((a > b) + 0.5 * (a == b) for a in leavers for b in stayers)
    assert area_under_curve(scores, outcomes) == pytest.approx(in_order / (len(leavers) * len(stayers)))


@given(st.integers(min_value=1, max_value=10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_stays_a_share(counts: tuple[int, int]) -> None:
    successes, trials = counts
    interval = wilson_interval(successes, trials)
    assert 0 <= interval.low <= interval.share <= interval.high <= 1
    assert interval.low < interval.high  # certainty is never claimed


def test_the_interval_is_wilsons() -> None:
    interval = wilson_interval(24, 30)  # the bounds solve (p - 24/30)^2 = z^2 p (1 - p) / 30
    for bound in (interval.low, interval.high):
        assert (bound - 0.8) ** 2 == pytest.approx(1.959963984540054**2 * bound * (1 - bound) / 30)


@pytest.mark.parametrize("counts", [(0, 0), (2, 1), (-1, 3)])
def test_no_trials_have_no_interval(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="have no share"):
        wilson_interval(*counts)


@given(judged)
def test_tenths_hold_everybody_in_rising_order(pairs: list[tuple[float, bool]]) -> None:
    tenths = calibration_deciles([score for score, _ in pairs], [left for _, left in pairs])
    sizes = [tenth.customers for tenth in tenths]
    assert sum(sizes) == len(pairs)
    assert max(sizes) - min(sizes) <= 1
    for lower, higher in pairwise(tenths):
        assert lower.predicted <= higher.predicted * (1 + 1e-12)  # a mean of equal scores may differ in its last digit
    assert sum(tenth.observed * tenth.customers for tenth in tenths) == pytest.approx(sum(left for _, left in pairs))
