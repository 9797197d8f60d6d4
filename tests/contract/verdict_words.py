"""Says in a few words what an outcome is and what the ledger makes of it, for the page on the suite."""

from __future__ import annotations

from random import Random

from dagster_project.contracts.destination import IdempotencyClass, Outcome
from dagster_project.ledger.retry_policy import RetryPolicy, consequence_of

_POLICY = RetryPolicy(max_attempts=8, base_seconds=30.0, cap_seconds=3600.0)


def told(outcome: Outcome) -> str:
    """Verdict and reason, and whether the cause is the whole destination's."""
    words = [str(outcome.verdict), str(outcome.reason)]
    return " ".join(filter(None, [*words, "(destination)" if outcome.scope == "destination" else ""]))


def told_with_consequence(outcome: Outcome, idempotency: IdempotencyClass) -> str:
    """The outcome and the state that the ledger's own policy puts a first attempt's action in."""
    then = consequence_of(outcome, idempotency, 0, _POLICY, Random(1))
    waits = ", as long as was asked" if outcome.retry_after is not None else ""
    return f"{told(outcome)} → {then.state}{waits}"
