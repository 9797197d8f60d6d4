"""Whose fault a failed call is: the row's where others were answered later, the destination's where nobody is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.contracts.destination import Outcome, ReasonFor, Verdict
from dagster_project.ledger.blame import Answer, Patience, blamed, failures_shown, streak_of

PATIENCE = Patience(opens_after=5, calls_in_flight=32)
DELIVERED = Outcome(Verdict.DELIVERED)
REJECTED = Outcome(Verdict.REJECTED, ReasonFor.INVALID_REQUEST.value)
HUNG = Outcome(Verdict.UNKNOWN, ReasonFor.TIMED_OUT.value)
BROKEN = Outcome(Verdict.UNKNOWN, ReasonFor.SERVER_ERROR.value)
REFUSED = Outcome(Verdict.RETRY, ReasonFor.UNREACHABLE.value, scope="destination")
UNAVAILABLE = Outcome(Verdict.UNKNOWN, ReasonFor.SERVER_ERROR.value, scope="destination")
LIMITED = Outcome(Verdict.RETRY, ReasonFor.RATE_LIMITED.value, retry_after=5.0, scope="destination")
UNAUTHORIZED = Outcome(Verdict.RETRY, ReasonFor.UNAUTHORIZED.value, scope="destination")

outcomes = st.sampled_from([DELIVERED, REJECTED, HUNG, BROKEN, REFUSED, UNAVAILABLE, LIMITED, UNAUTHORIZED])
answers = st.builds(lambda outcome, fresh: Answer([outcome], fresh), outcomes, st.integers(0, 1))


def one(outcome: Outcome, fresh: int = 1) -> Answer:
    return Answer([outcome], fresh)


def scopes(found: Sequence[Sequence[Outcome]]) -> list[str]:
    return [outcome.scope for outcomes in found for outcome in outcomes]


@given(st.lists(answers, max_size=60), st.booleans())
def test_blame_changes_nothing_but_the_scope(given_answers: list[Answer], is_on_trial: bool) -> None:
    found = blamed(given_answers, PATIENCE, is_on_trial)

    for before, after in zip(given_answers, found, strict=True):
        assert [(o.verdict, o.reason, o.retry_after) for o in before.outcomes] == [
            (o.verdict, o.reason, o.retry_after) for o in after
        ]


@given(st.lists(answers, max_size=60), st.booleans())
def test_what_others_were_answered_after_is_the_row_s_own_and_opens_nothing(
    given_answers: list[Answer], is_on_trial: bool
) -> None:
    found = blamed([*given_answers, one(DELIVERED)], PATIENCE, is_on_trial)

    for outcome in (o for outcomes in found for o in outcomes):
        if outcome.reason in (ReasonFor.TIMED_OUT, ReasonFor.SERVER_ERROR, ReasonFor.UNREACHABLE):
            assert outcome.scope == "action"
    assert failures_shown([Answer(outcomes, 1) for outcomes in found]) == 0


@given(st.lists(answers, max_size=60), st.booleans())
def test_limits_and_refused_credentials_are_always_the_destination_s(
    given_answers: list[Answer], is_on_trial: bool
) -> None:
    found = blamed(given_answers, PATIENCE, is_on_trial)

    assert {o.scope for outcomes in found for o in outcomes if o.reason == ReasonFor.UNAUTHORIZED} <= {"destination"}
    assert {o.scope for outcomes in found for o in outcomes if o.reason == ReasonFor.RATE_LIMITED} <= {"destination"}


@pytest.mark.parametrize("outcome", [HUNG, BROKEN, UNAVAILABLE, REFUSED])
def test_a_destination_that_answers_nobody_is_down(outcome: Outcome) -> None:
    down = [one(outcome)] * PATIENCE.opens_after

    found = blamed(down, PATIENCE)

    assert set(scopes(found)) == {"destination"}, "no attempt is burnt"
    assert failures_shown([Answer(outcomes, 1) for outcomes in found]) == PATIENCE.opens_after


@pytest.mark.parametrize("outcome", [HUNG, BROKEN])
@given(st.integers(0, 200))
def test_rows_that_have_failed_before_are_no_evidence(outcome: Outcome, count: int) -> None:
    bad = [one(outcome, fresh=0)] * count

    assert set(scopes(blamed(bad, PATIENCE))) <= {"action"}
    assert failures_shown(bad) == 0


@pytest.mark.parametrize("outcome", [HUNG, BROKEN])
def test_against_a_destination_on_trial_everything_is_evidence(outcome: Outcome) -> None:
    bad = [one(outcome, fresh=0)]

    assert scopes(blamed(bad, PATIENCE, is_on_trial=True)) == ["destination"]


def test_one_call_in_doubt_is_not_enough_and_two_are() -> None:
    batch = Answer([BROKEN] * 100, fresh=100)

    assert set(scopes(blamed([batch], PATIENCE))) == {"action"}
    assert set(scopes(blamed([batch, batch], PATIENCE))) == {"destination"}


def test_a_destination_that_answered_before_has_to_fail_a_whole_round() -> None:
    some = [one(DELIVERED), *[one(BROKEN)] * (PATIENCE.calls_in_flight - 1)]

    assert "destination" not in scopes(blamed(some, PATIENCE))
    assert scopes(blamed([*some, one(BROKEN)], PATIENCE))[1:] == ["destination"] * PATIENCE.calls_in_flight


@given(st.lists(answers, max_size=60))
def test_only_an_answer_ends_a_streak(given_answers: list[Answer]) -> None:
    streak = streak_of(given_answers)

    after_last = given_answers
    for place, answer in enumerate(given_answers):
        if answer.is_answered:
            after_last = given_answers[place + 1 :]
    assert streak.failures == sum(answer.weight for answer in after_last)
    assert streak.down <= streak.failures
