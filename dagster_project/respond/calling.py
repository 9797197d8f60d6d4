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
from dagster_project.ledger.settlement import Intent, Settled
from dagster_project.respond.pacing import Pacer

NOT_SENT = "not_sent"
RUN_ENDED = Outcome(Verdict.RETRY, "run_ended", "not begun: the run was ended", retry_after=0.0, scope="destination")
RUN_FAILED = Outcome(Verdict.RETRY, "run_failed", retry_after=0.0, scope="destination")
LEASE_ENDED = Outcome(Verdict.RETRY, "lease_ended", retry_after=0.0, scope="destination")
_NOT_TAKEN = frozenset({Verdict.RETRY, Verdict.UNKNOWN})


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


@dataclass
class Chunk:
    """Calls whose intents were written together and whose outcomes are written together."""

    calls: list[Call]
    leased_until: datetime  # surely; a call that begins later may be somebody else's too
    stop: dict[str, Outcome] = field(default_factory=dict)  # destinations that take nothing now, and why
    answered: list[Settled] = field(default_factory=list)  # what calls came to, in the order of their answers

    @property
    def destinations(self) -> Counter[str]:
        """How many calls go to each destination."""
        return Counter(call.destination.name for call in self.calls)

    @property
    def calls_made(self) -> int:
        return sum(1 for call in self.calls if call.has_begun)

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

    in_flight_calls: int
    pacers: Mapping[str, Pacer]
    is_leased: Callable[[], bool]


async def make_calls(chunk: Chunk, way: Way) -> None:
    """Makes the calls of a chunk, in order, at most `in_flight_calls` under way at once; each keeps its outcome.

    After the first error (the ledger gives no place) no further call begins. Those that have begun end, for cut off
    they would be unknown; then the error is raised. A run that is ended from outside cuts them off.
    When it returns or raises, nothing of it runs any more: what has not begun by then never begins. So the chunk's
    outcomes are final, and what they call not begun may be given to another run.
    """
    for name, count in chunk.destinations.items():
        way.pacers[name].expect(count)
    waiting = iter(chunk.calls)
    workers = [
        asyncio.create_task(_make_each(waiting, chunk, way)) for _ in range(min(way.in_flight_calls, len(chunk.calls)))
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
            chunk.answered += call.settled
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
    outcomes = await _delivered(call)
    blocking = next((o for o in outcomes if o.scope == "destination" and o.verdict in _NOT_TAKEN), None)
    if blocking is not None:
        stop.setdefault(name, blocking)
    call.settle(outcomes, is_sent=True)


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
