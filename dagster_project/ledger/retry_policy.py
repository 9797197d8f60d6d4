"""Decides, without touching anything, what the outcome of an attempt means for its action."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from dagster_project.contracts.destination import IdempotencyClass, Outcome, Verdict
from dagster_project.contracts.vocabulary import ActionState

UNKNOWN_OUTCOME = "unknown_outcome"
PROVED_NOT_DONE = "proved_not_done"  # the destination was asked, and it had not happened


@dataclass(frozen=True)
class RetryPolicy:
    max_attempts: int
    base_seconds: float
    cap_seconds: float

    def delay(self, attempts: int, random: Random) -> float:
        """Seconds before the next attempt: exponential in the attempts made, with full jitter above half the step."""
        step = min(self.cap_seconds, self.base_seconds * 2.0 ** max(0, min(attempts, 60) - 1))
        return step * random.uniform(0.5, 1.0)


@dataclass(frozen=True)
class Consequence:
    state: ActionState
    reason: str
    due_in: float = 0.0  # seconds, for waiting
    is_counted: bool = True  # whether the attempt counts against the action


def consequence_of(
    outcome: Outcome,
    idempotency: IdempotencyClass,
    attempts: int,
    policy: RetryPolicy,
    random: Random,
    server_limit: float = 0.0,
    is_at_least_once: bool = False,
) -> Consequence:
    """What an outcome leads to.

    Parameters: the outcome; the operation's idempotency class; counted attempts before this one; the policy; a source
    of jitter; seconds the server may go on working after our deadline (find_then_create waits them out before it looks
    again); whether the playbook accepts a second effect at an unkeyed destination.
    """
    if outcome.verdict is Verdict.DELIVERED:
        return Consequence(ActionState.DELIVERED, "")
    if outcome.verdict is Verdict.REJECTED:
        return Consequence(ActionState.DEAD, outcome.reason)
    may_repeat = idempotency is not IdempotencyClass.UNKEYED or is_at_least_once
    if outcome.verdict is Verdict.UNKNOWN and not may_repeat:
        return Consequence(ActionState.HELD, UNKNOWN_OUTCOME)
    if outcome.scope == "destination" and outcome.verdict is Verdict.RETRY:
        # The cause lies with the whole destination; its circuit or Retry-After decides when, and no attempt is burnt.
        due_in = outcome.retry_after if outcome.retry_after is not None else policy.delay(1, random)
        return Consequence(ActionState.WAITING, outcome.reason, due_in, is_counted=False)
    # An outage that leaves an outcome unknown (a 503) is the destination's too: the row has not failed by itself.
    is_counted = outcome.scope != "destination"
    if is_counted and attempts + 1 >= policy.max_attempts:
        return Consequence(ActionState.DEAD, outcome.reason)
    due_in = max(policy.delay(attempts + 1, random), outcome.retry_after or 0.0)
    if outcome.verdict is Verdict.UNKNOWN and idempotency is IdempotencyClass.FIND_THEN_CREATE:
        due_in = max(due_in, server_limit)
    return Consequence(ActionState.WAITING, outcome.reason, due_in, is_counted)
