"""For any outcome: no effect is repeated where that may harm, waits keep their bounds, and attempts come to an end."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from dagster_project.contracts.destination import IdempotencyClass, Outcome, ReasonFor, Verdict
from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.retry_policy import Consequence, RetryPolicy, consequence_of

policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 10),
    base_seconds=st.floats(0.1, 100),
    cap_seconds=st.floats(100, 10_000),
)
outcomes = st.builds(
    Outcome,
    verdict=st.sampled_from(Verdict),
    reason=st.sampled_from([reason.value for reason in ReasonFor]),
    retry_after=st.none() | st.floats(0, 5_000),
    scope=st.sampled_from(("action", "destination")),
)


@given(policies, st.integers(0, 10_000), st.integers())
def test_a_delay_is_between_half_and_all_of_its_step(policy: RetryPolicy, attempts: int, seed: int) -> None:
    delay = policy.delay(attempts, Random(seed))
    step = min(policy.cap_seconds, policy.base_seconds * 2.0 ** min(max(0, attempts - 1), 50))

    assert step / 2 <= delay <= step


@given(
    outcomes,
    st.sampled_from(IdempotencyClass),
    st.integers(0, 12),
    policies,
    st.integers(),
    st.floats(0, 600),
    st.booleans(),
)
def test_any_outcome_has_its_consequence(
    outcome: Outcome,
    idempotency: IdempotencyClass,
    attempts: int,
    policy: RetryPolicy,
    seed: int,
    server_limit: float,
    is_at_least_once: bool,
) -> None:
    found = consequence_of(outcome, idempotency, attempts, policy, Random(seed), server_limit, is_at_least_once)

    assert (found.state is ActionState.DELIVERED) == (outcome.verdict is Verdict.DELIVERED)
    assert (found.reason == "") == (found.state is ActionState.DELIVERED)
    may_repeat = idempotency is not IdempotencyClass.UNKEYED or is_at_least_once
    if outcome.verdict is Verdict.UNKNOWN and not may_repeat:
        assert found == Consequence(ActionState.HELD, "unknown_outcome")
    if outcome.verdict is Verdict.REJECTED:
        assert found.state is ActionState.DEAD
    if found.state is ActionState.WAITING:
        assert_waits_as_asked(found, outcome, idempotency, attempts, policy, server_limit)


def assert_waits_as_asked(
    found: Consequence,
    outcome: Outcome,
    idempotency: IdempotencyClass,
    attempts: int,
    policy: RetryPolicy,
    server_limit: float,
) -> None:
    assert found.due_in >= (outcome.retry_after or 0.0)
    assert found.is_counted == (outcome.scope != "destination"), "an outage burns no attempt"
    if found.is_counted:
        assert attempts + 1 < policy.max_attempts, "a counted attempt brings the action nearer to its end"
    if outcome.verdict is Verdict.UNKNOWN and idempotency is IdempotencyClass.FIND_THEN_CREATE:
        assert found.due_in >= server_limit
