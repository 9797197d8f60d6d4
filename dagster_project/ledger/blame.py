"""Decides, without touching anything, whether failed calls are the fault of their rows or of their destination.

A refused connection or a 503 speaks of the destination. A 500, a hang or a lost reply may come from one bad row as well
as from a destination that is down, and its status does not tell which. What tells is what the destination answered to
others at the same time. Where it answered somebody later, a failure was the row's own and counts against it, whatever
its status says. Where it answered nobody and failed several rows, or a whole round of calls under way, the failures are
the destination's: they burn no attempt and open its circuit. A row that fails again and again says nothing about
anybody else, so only its first two failures are evidence; against a destination on trial everything is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dagster_project.contracts.destination import Outcome, ReasonFor, Verdict

FAILING = frozenset({ReasonFor.UNREACHABLE, ReasonFor.TIMED_OUT, ReasonFor.REPLY_LOST, ReasonFor.SERVER_ERROR})
_MAY_BE_THE_ROW_S = FAILING | {ReasonFor.MISCONFIGURED}
_ANSWERED = frozenset({Verdict.DELIVERED, Verdict.REJECTED})
Scope = Literal["action", "destination"]


FRESH_ATTEMPTS = 2  # counted failures after which a row is no evidence any more
MOST_OF_ONE_CALL = 3  # rows for which one call in doubt speaks, however many it carries


@dataclass(frozen=True, slots=True)
class Answer:
    """What one external call came to."""

    outcomes: Sequence[Outcome]
    fresh: int  # how many of its actions have failed fewer than FRESH_ATTEMPTS times before

    @property
    def is_answered(self) -> bool:
        """Whether the destination is at work: a rejected row is an answer too."""
        return any(outcome.verdict in _ANSWERED for outcome in self.outcomes)

    @property
    def is_failure(self) -> bool:
        """A 429 is none."""
        return not self.is_answered and any(o.reason in FAILING for o in self.outcomes)

    @property
    def is_down(self) -> bool:
        """Whether it speaks of the destination by itself."""
        return self.is_failure and any(o.reason in FAILING and o.scope == "destination" for o in self.outcomes)

    @property
    def weight(self) -> int:
        """For how many failures it counts where its destination may be down."""
        if not self.is_failure:
            return 0
        return len(self.outcomes) if self.is_down else min(self.fresh, MOST_OF_ONE_CALL)


@dataclass(frozen=True, slots=True)
class Streak:
    """Failures since a destination answered last, in the order the answers came."""

    down: int = 0
    failures: int = 0  # those that may be the rows' too

    def after(self, answer: Answer) -> Streak:
        if answer.is_answered:
            return Streak()
        return Streak(self.down + answer.weight * answer.is_down, self.failures + answer.weight)


@dataclass(frozen=True, slots=True)
class Patience:
    """How many failures in a row are the destination's."""

    opens_after: int  # of those that speak of it, or of any where it has answered nobody
    calls_in_flight: int  # of any, where it answered somebody before

    def is_used_up(self, streak: Streak, has_answered: bool) -> bool:
        enough = max(self.opens_after, self.calls_in_flight) if has_answered else self.opens_after
        return streak.down >= self.opens_after or streak.failures >= enough


def blocks_all(outcome: Outcome) -> bool:
    """Whether one outcome alone stops the rest: a limit, refused credentials, a Retry-After."""
    if outcome.scope != "destination" or outcome.verdict in _ANSWERED:
        return False
    return outcome.retry_after is not None or outcome.reason not in _MAY_BE_THE_ROW_S


def streak_of(answers: Sequence[Answer]) -> Streak:
    streak = Streak()
    for answer in answers:
        streak = streak.after(answer)
    return streak


def failures_shown(answers: Sequence[Answer]) -> int:
    """How many failures in a row a batch adds to its destination's. Parameters: its answers, blame already given."""
    streak = streak_of(answers)
    return streak.down if any(answer.is_answered for answer in answers) else streak.failures


def blamed(answers: Sequence[Answer], patience: Patience, is_on_trial: bool = False) -> list[Sequence[Outcome]]:
    """The outcomes of each call with the scope that follows from all of them.

    Parameters: what one destination answered, in the order it came; how many failures in a row are its own; whether its
    circuit was open and it has not answered since.
    """
    last = max((place for place, answer in enumerate(answers) if answer.is_answered), default=-1)
    is_down = patience.is_used_up(streak_of(answers), has_answered=last >= 0)
    is_unproven = is_on_trial and last < 0
    scopes: list[Scope | None] = []
    for place, answer in enumerate(answers):
        is_the_destination_s = answer.is_failure and (is_unproven or (is_down and answer.weight > 0))
        scopes.append("action" if place <= last else "destination" if is_the_destination_s else None)
    return [_with_scope(answer, scope) for answer, scope in zip(answers, scopes, strict=True)]


def _with_scope(answer: Answer, scope: Scope | None) -> Sequence[Outcome]:
    if scope is None:
        return answer.outcomes
    return [replace(one, scope=scope) if _is_in_doubt(one) else one for one in answer.outcomes]


def _is_in_doubt(outcome: Outcome) -> bool:
    return outcome.verdict not in _ANSWERED and outcome.reason in _MAY_BE_THE_ROW_S and not blocks_all(outcome)
