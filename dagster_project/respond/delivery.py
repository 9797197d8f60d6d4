"""Sends what is ready: renders it once, records the intent, makes the calls, records what came of them.

Two durable steps stand around every call: the intent before it and the outcome after it. A process that dies between
them leaves an open attempt, which the next claim settles as unknown by the destination's idempotency class.

The ledger is written between the calls and not beside them: a second thread for it was measured, and by the
interpreter's lock takes more from the calls than it gives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.exc import DatabaseError

from dagster_project.contracts.destination import Destination, IdempotencyClass, Outcome, Verdict
from dagster_project.crash_points import reach
from dagster_project.ledger.blame import Patience
from dagster_project.ledger.claims import renew
from dagster_project.ledger.destination_state import news_from, on_trial, record_news
from dagster_project.ledger.gates import closed_ways
from dagster_project.ledger.intents import LEASE_USED, write_intents
from dagster_project.ledger.pacing import take_places
from dagster_project.ledger.settlement import Intent, SettlementReport, settle
from dagster_project.ledger.transitions import chunks
from dagster_project.ledger.work import ReadyWork, ready_ids, ready_work, waiting_roles
from dagster_project.respond.calling import Call, Chunk, Way, make_calls
from dagster_project.respond.pacing import Pacer
from dagster_project.respond.preparing import Sendable, look_up_missing, prepare
from dagster_project.respond.workshop import DeliveryPolicy, Workshop

WATCH_SECONDS = 0.4  # a pause holds within a second for calls that have not begun
LARGEST_CHUNK = 500  # actions between two commits of intents
# Where nobody can tell afterwards whether a call had its effect, each open intent of a process that dies is a question
# to a person.
LARGEST_UNKEYED_CHUNK = 128


@dataclass
class DeliveryReport:
    """What one step of one run came to; counts of actions and groups by state, and of what was seen on the way."""

    states: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    zombies: int = 0

    def add(self, settlement: SettlementReport) -> None:
        self.zombies += settlement.zombies
        for state, count in settlement.states.items():
            self.states[state] = self.states.get(state, 0) + count

    @property
    def settled(self) -> int:
        return sum(self.states.values())


async def deliver_step(workshop: Workshop, step_name: str | None) -> DeliveryReport:
    """Delivers everything of one step that is ready in the claim, chunk by chunk.

    Parameters: the workshop; the step's name, or None for steps that the current playbook no longer has.
    What cannot be looked up now waits for a later run; what does not fit today's connectors is settled as dead.
    """
    report = DeliveryReport()
    pacers = {
        destination.name: Pacer(destination.rate_limit, partial(take_places, workshop.database, destination.name))
        for destination in workshop.destinations.values()
    }
    roles = waiting_roles(workshop.database, workshop.claim, step_name)
    limit = chunk_size(
        [workshop.destinations[role] for role in roles & workshop.destinations.keys()], workshop.policy.lease_within
    )
    seen: set[str] = set()
    while fresh := [one for one in ready_ids(workshop.database, workshop.claim, step_name) if one not in seen]:
        seen.update(fresh)  # what they leave ready (a lane's next event) comes in the next round
        for action_ids in chunks(fresh, limit):
            work = ready_work(workshop.database, workshop.claim, action_ids)
            await look_up_missing(workshop, work)
            await _send(workshop, _intend(workshop, work, report), pacers, report)
    return report


def _intend(workshop: Workshop, work: ReadyWork, report: DeliveryReport) -> Chunk:
    """Renders what has to be rendered and writes the intents. Only what is still ours and still waiting gets one."""
    prepared = prepare(workshop, work)
    reach("rendered")
    until = _surely_leased_until(workshop, workshop.database.now())
    lease_within = workshop.policy.lease_within
    ids = list(prepared.sendable)
    written = write_intents(workshop.database, workshop.claim, ids, lease_within, prepared.renderings)
    reach("intent_written")
    report.add(written.report)
    return Chunk([_call(batch, prepared.sendable) for batch in _batches(written.opened, prepared.sendable)], until)


async def _send(workshop: Workshop, chunk: Chunk, pacers: Mapping[str, Pacer], report: DeliveryReport) -> None:
    """Makes the calls of a chunk and records what came of them."""
    watch = asyncio.create_task(_watch_while_sending(workshop, chunk))
    try:
        # What an earlier chunk has shown of a destination holds for this one.
        await _stop_what_is_closed(workshop, chunk, set(chunk.destinations))
        chunk.on_trial = on_trial(workshop.database, set(chunk.destinations), workshop.policy.circuit)
        await make_calls(chunk, _way(workshop, chunk, pacers))
    finally:
        # Also on the way out of a run that is being ended: what was answered is known and must not become unknown, and
        # what was not begun has had no effect.
        watch.cancel()
        policy = workshop.policy
        chunk.blame(_patience(policy))
        settled = chunk.outcomes()
        report.calls += chunk.calls_made
        report.add(settle(workshop.database, workshop.claim, settled, policy.retry, policy.random))
        reach("outcome_written")
        _tell_destinations(workshop, chunk)
        reach("batch_settled")


def _way(workshop: Workshop, chunk: Chunk, pacers: Mapping[str, Pacer]) -> Way:
    now, policy = workshop.database.now, workshop.policy
    return Way(
        pacers=pacers,
        is_leased=lambda: now() < chunk.leased_until,
        patience=_patience(policy),
    )


def _patience(policy: DeliveryPolicy) -> Patience:
    return Patience(policy.circuit.opens_after, policy.in_flight_calls)


def chunk_size(destinations: Collection[Destination], lease_within: timedelta) -> int:
    """How many actions may have an open intent at once, so that a process that dies leaves few of them unknown.

    At most what the slowest of the destinations lets through by its rate in a quarter of the lease. While the process
    lives, the lease is renewed; one that stalls for a whole lease is a zombie and settles nothing.
    """
    quarter = lease_within.total_seconds() / 4
    sizes = [LARGEST_CHUNK]
    for destination in destinations:
        operations = destination.operations.values()
        batch = max(operation.batch_size for operation in operations)
        sizes.append(int(quarter * destination.rate_limit.calls / destination.rate_limit.seconds) * batch)
        if any(operation.idempotency is IdempotencyClass.UNKEYED for operation in operations):
            sizes.append(LARGEST_UNKEYED_CHUNK)
    return max(1, min(sizes))


async def _watch_while_sending(workshop: Workshop, chunk: Chunk) -> None:
    """Stops calls that have not begun when a person or another run closes the way, and keeps the lease alive.

    A lease that has ended is not renewed: it may be another run's by now, and no further call begins.
    """
    names = set(chunk.destinations)
    renewed_at = time.monotonic()
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        try:
            await _stop_what_is_closed(workshop, chunk, names)
            if time.monotonic() - renewed_at > workshop.policy.lease_within.total_seconds() / 3:
                renewed_at = time.monotonic()
                await _renew(workshop, chunk)
        except DatabaseError as error:
            # The calls go on for as long as their lease surely holds; the next look may get through.
            workshop.say(f"the ledger could not be asked about pauses: {error.orig}")


async def _stop_what_is_closed(workshop: Workshop, chunk: Chunk, names: set[str]) -> None:
    closed = await asyncio.to_thread(closed_ways, workshop.database, workshop.claim.signal, names)
    for name, why in closed.items():
        chunk.stop.setdefault(name, Outcome(Verdict.RETRY, why, retry_after=0.0, scope="destination"))


async def _renew(workshop: Workshop, chunk: Chunk) -> None:
    now = workshop.database.now()
    if now < chunk.leased_until:
        await asyncio.to_thread(renew, workshop.database, workshop.claim, workshop.policy.lease_within)
        chunk.leased_until = _surely_leased_until(workshop, now)


def _surely_leased_until(workshop: Workshop, now: datetime) -> datetime:
    """Until when a lease that was written or found good at this moment holds, also by clocks that differ a little."""
    return now + workshop.policy.lease_within * (1 - LEASE_USED)


def _tell_destinations(workshop: Workshop, chunk: Chunk) -> None:
    """What calls came to, in the order of their answers; what was never called says nothing about anybody."""
    for name, calls in chunk.answers().items():
        news = news_from([call.answer for call in calls])
        record_news(workshop.database, name, news, workshop.policy.circuit)


def _batches(intents: Sequence[Intent], sendable: Mapping[str, Sendable]) -> list[list[Intent]]:
    """Intents that one external call may carry together: one operation, at most its batch size."""
    by_operation: dict[tuple[str, str], list[Intent]] = {}
    for intent in intents:
        one = sendable[intent.action_id]
        by_operation.setdefault((one.role, one.operation.name), []).append(intent)
    batches = []
    for same in by_operation.values():
        size = sendable[same[0].action_id].operation.batch_size
        batches += [same[start : start + size] for start in range(0, len(same), size)]
    return batches


def _call(intents: Sequence[Intent], sendable: Mapping[str, Sendable]) -> Call:
    mine = [sendable[intent.action_id] for intent in intents]
    requests = [one.request for one in mine]
    return Call(mine[0].destination, mine[0].operation, intents, requests, [one.step for one in mine])
