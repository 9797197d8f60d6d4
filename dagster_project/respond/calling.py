"""Makes the calls of one chunk of intents, so many at a time, each only while its way is open and its lease holds."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import PurePath

from dagster_project.contracts.destination import (
    Destination,
    IdempotencyClass,
    Operation,
    Outcome,
    ReasonFor,
    Request,
    Verdict,
)
from dagster_project.contracts.playbook import Step
from dagster_project.crash_points import reach
from dagster_project.ledger.blame import FRESH_ATTEMPTS, Answer, Patience, Streak, blamed, blocks_all
from dagster_project.ledger.settlement import Intent, Settled
from dagster_project.respond.pacing import Pacer

NOT_SENT = "not_sent"
RUN_ENDED = Outcome(Verdict.RETRY, "run_ended", "not begun: the run was ended", retry_after=0.0, scope="destination")
RUN_FAILED = Outcome(Verdict.RETRY, "run_failed", retry_after=0.0, scope="destination")
LEASE_ENDED = Outcome(Verdict.RETRY, "lease_ended", retry_after=0.0, scope="destination")
NOT_ANSWERED = frozenset({Verdict.RETRY, Verdict.UNKNOWN})


@dataclass
class Call:
    """One external call about to be made: at most as many intents as the operation takes in one."""

    destination: Destination
    operation: Operation
    intents: Sequence[Intent]
    requests: Sequence[Request]
    steps: Sequence[Step]
    has_begun: bool = False  # from here on its effect may be there, whatever becomes of this process
    settled: list[Settled] = field(default_factory=list)

    def settle(self, outcomes: Iterable[Outcome], is_sent: bool) -> None:
        self.settled = [
            Settled(intent, outcome, is_sent, self.destination.server_limit, step.is_at_least_once)
            for intent, outcome, step in zip(self.intents, outcomes, self.steps, strict=True)
        ]

    def not_begun(self, cause: Outcome) -> None:
        self.settle([cause] * len(self.intents), is_sent=False)

    @property
    def answer(self) -> Answer:
        """What it came to, once it is settled."""
        return Answer([one.outcome for one in self.settled], self.fresh)

    @property
    def fresh(self) -> int:
        """How many of its actions are evidence of how their destination does."""
        return sum(1 for intent in self.intents if intent.row.attempts < FRESH_ATTEMPTS)


@dataclass
class Chunk:
    """Calls whose intents were written together and whose outcomes are written together."""

    calls: list[Call]
    leased_until: datetime  # surely; a call that begins later may be somebody else's too
    on_trial: Collection[str] = frozenset()  # destinations that failed last: one call decides whether the rest follows
    stop: dict[str, Outcome] = field(default_factory=dict)  # destinations that take nothing now, and why
    answered: list[Call] = field(default_factory=list)  # in the order of their answers
    streaks: dict[str, Streak] = field(default_factory=dict)  # failures in a row, by destination
    at_work: set[str] = field(default_factory=set)  # destinations that answered some call of it
    in_trouble: set[str] = field(default_factory=set)  # destinations some call to which failed

    @property
    def destinations(self) -> Counter[str]:
        """How many calls go to each destination."""
        return Counter(call.destination.name for call in self.calls)

    @property
    def calls_made(self) -> int:
        return sum(1 for call in self.calls if call.has_begun)

    def answers(self) -> dict[str, list[Call]]:
        """The calls that were answered, in the order of their answers, by destination."""
        found: dict[str, list[Call]] = {}
        for call in self.answered:
            found.setdefault(call.destination.name, []).append(call)
        return found

    def blame(self, patience: Patience) -> None:
        """Tells what is a row's own fault from what is its destination's."""
        for name, calls in self.answers().items():
            if name not in self.in_trouble:
                continue
            outcomes = blamed([call.answer for call in calls], patience, name in self.on_trial)
            for call, of_call in zip(calls, outcomes, strict=True):
                call.settle(of_call, is_sent=True)

    def outcomes(self) -> list[Settled]:
        """What is known of it now. A call that never began is known not to have had an effect; one that began and was
        not answered is left out, for its attempt stays open until its lease ends."""
        for call in self.calls:
            if not call.has_begun and not call.settled:
                call.not_begun(RUN_ENDED)
        return [settled for call in self.calls for settled in call.settled]


@dataclass(frozen=True)
class Way:
    """What a call has to pass before it begins."""

    pacers: Mapping[str, Pacer]
    is_leased: Callable[[], bool]
    patience: Patience  # with a destination that fails; says too how many calls are under way at once


async def make_calls(chunk: Chunk, way: Way) -> None:
    """Makes the calls of a chunk, in order, at most `calls_in_flight` under way at once; each keeps its outcome.

    After the first error (the ledger gives no place) no further call begins. Those that have begun end, for cut off
    they would be unknown; then the error is raised. A run that is ended from outside cuts them off.
    When it returns or raises, nothing of it runs any more: what has not begun by then never begins. So the chunk's
    outcomes are final, and what they call not begun may be given to another run.
    """
    for name, count in chunk.destinations.items():
        way.pacers[name].expect(count)
    for calls in _in_phases(chunk.calls, chunk.on_trial):
        await _make_all(calls, chunk, way)


def _in_phases(calls: Sequence[Call], on_trial: Collection[str]) -> tuple[list[Call], list[Call]]:
    """First what may go at once, with a single call to each destination on trial; then the rest of theirs."""
    if not on_trial:
        return list(calls), []
    tries: dict[str, Call] = {}
    for call in sorted(calls, key=lambda call: call.fresh == 0):  # a bad row would prove nothing
        if call.destination.name in on_trial:
            tries.setdefault(call.destination.name, call)
    rest = [call for call in calls if call.destination.name in tries and call is not tries[call.destination.name]]
    left = set(map(id, rest))
    return [call for call in calls if id(call) not in left], rest


async def _make_all(calls: Sequence[Call], chunk: Chunk, way: Way) -> None:
    waiting = iter(calls)
    workers = [
        asyncio.create_task(_make_each(waiting, chunk, way))
        for _ in range(min(way.patience.calls_in_flight, len(calls)))
    ]
    try:
        # The end of the run ends them all; a worker left alone would go on calling.
        errors = [error for error in await asyncio.gather(*workers) if error is not None]
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    if errors:
        raise errors[0]


async def _make_each(waiting: Iterator[Call], chunk: Chunk, way: Way) -> Exception | None:
    """Makes calls until none is left; an error is kept until the calls of the others have ended."""
    for call in waiting:
        try:
            await _make(call, chunk.stop, way)
        except Exception as error:  # noqa: BLE001 - raised when nothing is under way any more
            for name in chunk.destinations:
                chunk.stop.setdefault(name, RUN_FAILED)
            return error
        if call.has_begun:
            _learn(call, chunk, way)
    return None


async def _make(call: Call, stop: dict[str, Outcome], way: Way) -> None:
    """Makes one call, unless its destination takes nothing now, or the lease on the work has ended."""
    name = call.destination.name
    if name not in stop:
        await way.pacers[name].wait()
    if not way.is_leased():
        stop.setdefault(name, LEASE_ENDED)
    if name in stop:
        call.not_begun(_not_sent(stop[name]))
        return
    call.has_begun = True
    call.settle(await _delivered(call), is_sent=True)


def _learn(call: Call, chunk: Chunk, way: Way) -> None:
    """Stops what has not begun where a destination takes nothing now, or fails so often that it seems down."""
    name, answer = call.destination.name, call.answer
    chunk.answered.append(call)
    chunk.streaks[name] = chunk.streaks.get(name, Streak()).after(answer)
    if answer.is_answered:
        chunk.at_work.add(name)
    if any(outcome.verdict in NOT_ANSWERED for outcome in answer.outcomes):
        chunk.in_trouble.add(name)
    cause = next(filter(blocks_all, answer.outcomes), None)
    if cause is None and _seems_down(name, chunk, way):
        cause = answer.outcomes[-1]
    if cause is not None:
        chunk.stop.setdefault(name, cause)


def _seems_down(name: str, chunk: Chunk, way: Way) -> bool:
    """A destination on trial has to answer first. Of one that answered nobody yet a whole round is waited for: among
    the first calls there may be some bad rows."""
    if name in chunk.on_trial and name not in chunk.at_work:
        return True
    return way.patience.is_used_up(chunk.streaks[name], has_answered=True)


def _not_sent(cause: Outcome) -> Outcome:
    return Outcome(
        Verdict.RETRY, NOT_SENT, f"not begun: {cause.reason}", retry_after=cause.retry_after, scope="destination"
    )


async def _delivered(call: Call) -> Sequence[Outcome]:
    """The outcomes of one call. A connector that breaks leaves an unknown outcome, and no other call suffers for it."""
    began_at = datetime.now(UTC)
    try:
        outcomes = await call.destination.deliver(call.operation.name, call.requests)
        reach("reply_received")
        return await _reconciled(call, outcomes, began_at)
    except Exception as error:  # noqa: BLE001 - whatever a connector raises is a fault of its own, not of the row
        return [Outcome(Verdict.UNKNOWN, ReasonFor.CONNECTOR_FAILED.value, place_of(error))] * len(call.requests)


def place_of(error: Exception) -> str:
    """Where a connector broke. Its message is left out, for it may hold what the vendor said or a credential."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    return f"the connector broke with {type(error).__name__} at {place}; this is a defect of the connector"


async def _reconciled(call: Call, outcomes: Sequence[Outcome], began_at: datetime) -> Sequence[Outcome]:
    """Asks an unkeyed destination, where it can tell, whether an unknown attempt took effect."""
    if call.operation.idempotency is not IdempotencyClass.UNKEYED or not _any_unknown(outcomes):
        return outcomes
    found = []
    for request, outcome in zip(call.requests, outcomes, strict=True):
        asked = replace(request, attempted_at=began_at)
        is_open = outcome.verdict is Verdict.UNKNOWN
        answer = await call.destination.reconcile(call.operation.name, asked) if is_open else None
        found.append(answer if answer is not None and answer.verdict is Verdict.DELIVERED else outcome)
    return found


def _any_unknown(outcomes: Collection[Outcome]) -> bool:
    return any(outcome.verdict is Verdict.UNKNOWN for outcome in outcomes)
