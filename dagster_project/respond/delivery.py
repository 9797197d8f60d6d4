"""Sends what is ready: renders it once, records the intent, makes the calls, records what came of them.

Two durable steps stand around every call: the intent before it and the outcome after it. A process that dies between
them leaves an open attempt, which the next claim settles as unknown by the destination's idempotency class.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import PurePath
from random import Random

from pydantic import ValidationError

from dagster_project.contracts.catalog import CatalogModel
from dagster_project.contracts.destination import (
    Destination,
    IdempotencyClass,
    Operation,
    Outcome,
    ReasonFor,
    Request,
    Verdict,
)
from dagster_project.contracts.playbook import PlaybookVersion, Step
from dagster_project.contracts.warehouse import WarehouseTarget
from dagster_project.crash_points import reach
from dagster_project.ledger.claims import renew
from dagster_project.ledger.database import Database
from dagster_project.ledger.destination_state import CircuitPolicy, news_from, record_news
from dagster_project.ledger.gates import Claim, closed_ways
from dagster_project.ledger.pacing import take_places
from dagster_project.ledger.retry_policy import RetryPolicy
from dagster_project.ledger.settlement import (
    Intent,
    Rendering,
    Settled,
    SettlementReport,
    settle,
    store_renderings,
    write_intents,
)
from dagster_project.ledger.work import WorkItem, earlier_work, ready_work, waiting_roles
from dagster_project.respond.enrichment import Enriched, enrich
from dagster_project.respond.pacing import Pacer
from dagster_project.respond.rendering import RenderContext, load_arguments, render

NOT_SENT = "not_sent"
_NOT_TAKEN = frozenset({Verdict.RETRY, Verdict.UNKNOWN})
WATCH_SECONDS = 0.4  # a pause holds within a second for calls that have not begun
LARGEST_CHUNK = 500  # actions between two commits of intents


@dataclass(frozen=True)
class DeliveryPolicy:
    retry: RetryPolicy
    circuit: CircuitPolicy
    lease_within: timedelta
    in_flight_calls: int
    random: Random


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


@dataclass(frozen=True)
class Workshop:
    """What a run has at hand while it works: the ledger, its claim, opened destinations, and what it has looked up."""

    database: Database
    claim: Claim
    target: WarehouseTarget
    models: Mapping[str, CatalogModel]
    destinations: Mapping[str, Destination]  # by role
    enriched: Enriched
    policy: DeliveryPolicy
    say: Callable[[str], None]


async def deliver_step(workshop: Workshop, step_name: str | None) -> DeliveryReport:
    """Delivers everything of one step that is ready in the claim, chunk by chunk.

    Parameters: the workshop; the step's name, or None for steps that the current playbook no longer has.
    """
    report = DeliveryReport()
    pacers = {
        destination.name: Pacer(destination.rate_limit, partial(take_places, workshop.database, destination.name))
        for destination in workshop.destinations.values()
    }
    seen: set[str] = set()
    roles = waiting_roles(workshop.database, workshop.claim, step_name)
    limit = chunk_size([workshop.destinations[role] for role in roles], workshop.policy.lease_within)
    while True:
        work = ready_work(workshop.database, workshop.claim, step_name, limit)
        fresh = [item for item in work.items if item.action_id not in seen]
        if not fresh:
            return report
        seen.update(item.action_id for item in fresh)
        rendered = await _render_all(workshop, fresh, work.versions, report)
        await _send_all(workshop, rendered, work.versions, report, pacers)


def chunk_size(destinations: Collection[Destination], lease_within: timedelta) -> int:
    """How many actions may have an open intent at once, so that a process that dies leaves few of them unknown.

    At most what the slowest of the destinations lets through by its rate in a quarter of the lease. While the process
    lives, the lease is renewed; one that stalls for a whole lease is a zombie and settles nothing.
    """
    quarter = lease_within.total_seconds() / 4
    sizes = [LARGEST_CHUNK]
    for destination in destinations:
        batch = max(operation.batch_size for operation in destination.operations.values())
        sizes.append(int(quarter * destination.rate_limit.calls / destination.rate_limit.seconds) * batch)
    return max(1, min(sizes))


async def _render_all(
    workshop: Workshop, items: Sequence[WorkItem], versions: Mapping[str, PlaybookVersion], report: DeliveryReport
) -> list[WorkItem]:
    """Renders what has no stored request yet; returns all that has one now, each with it."""
    ready = [item for item in items if item.arguments_json is not None]
    unrendered = [item for item in items if item.arguments_json is None]
    for version_id in sorted({item.playbook_version for item in unrendered}):
        mine = [item for item in unrendered if item.playbook_version == version_id]
        version = versions[version_id]
        events = [event for item in mine for event, _ in item.cases()]
        await enrich(
            version.playbook,
            events,
            workshop.enriched,
            workshop.target,
            workshop.models,
            workshop.destinations,
            partial(earlier_work, workshop.database),
        )
        renderings = [_render_one(workshop, item, version) for item in mine]
        stored = store_renderings(workshop.database, workshop.claim, renderings)
        reach("rendered")
        ready += [
            replace(item, arguments_json=rendering.arguments_json)
            for item, rendering in zip(mine, renderings, strict=True)
            if item.action_id in stored
        ]
        for rendering in renderings:
            if rendering.is_held or rendering.arguments_json is None:
                state = "held" if rendering.is_held else "dead"
                report.states[state] = report.states.get(state, 0) + 1
    return ready


def _render_one(workshop: Workshop, item: WorkItem, version: PlaybookVersion) -> Rendering:
    step = _step(version, item)
    destination = workshop.destinations[item.role]
    operation = destination.operations.get(item.operation)
    if operation is None:
        detail = f"{destination.name} has no operation {item.operation!r} any more"
        return Rendering(item.action_id, reason=ReasonFor.MISCONFIGURED.value, detail=detail)
    return render(item, step, RenderContext(version, workshop.enriched, destination, operation))


def _step(version: PlaybookVersion, item: WorkItem) -> Step:
    step = version.playbook.step(item.step)
    if step is None:
        raise LookupError(
            f"action {item.action_id}: playbook version {item.playbook_version} has no step {item.step!r}"
        )
    return step


async def _send_all(
    workshop: Workshop,
    rendered: Sequence[WorkItem],
    versions: Mapping[str, PlaybookVersion],
    report: DeliveryReport,
    pacers: Mapping[str, Pacer],
) -> None:
    """Intents, calls, outcomes for one chunk. Only what is still ours and still waiting gets an intent."""
    items = {item.action_id: item for item in rendered}
    lease = _Lease(workshop.database.now() + workshop.policy.lease_within)
    intents = write_intents(workshop.database, workshop.claim, list(items), workshop.policy.lease_within)
    reach("intent_written")
    calls = [_Call.of(workshop, batch, items, versions) for batch in _batches(workshop, intents, items)]
    gate = asyncio.Semaphore(workshop.policy.in_flight_calls)
    stop: dict[str, Outcome] = {}
    settled: list[Settled] = []
    names = Counter(call.destination.name for call in calls)
    for name, count in names.items():
        pacers[name].expect(count)
    watch = asyncio.create_task(_watch_while_sending(workshop, set(names), stop, lease))
    way = _Way(gate, stop, pacers, lambda: workshop.database.now() < lease.until)
    try:
        await asyncio.gather(*(_make_into(settled, call, way) for call in calls))
    finally:
        # Also on the way out of a run that is being ended: what was answered is known and must not become unknown.
        watch.cancel()
        report.calls += sum(1 for call in calls if call.was_made)
        policy = workshop.policy
        report.add(settle(workshop.database, workshop.claim, settled, policy.retry, policy.random))
        reach("outcome_written")
        _tell_destinations(workshop, settled)
        reach("batch_settled")


@dataclass
class _Lease:
    """Until when the work is surely still this run's own; a call that begins later may be somebody else's too."""

    until: datetime


@dataclass(frozen=True)
class _Way:
    """What a call has to pass before it begins."""

    gate: asyncio.Semaphore  # calls in flight
    stop: dict[str, Outcome]  # destinations that take nothing now, and why
    pacers: Mapping[str, Pacer]
    is_leased: Callable[[], bool]


async def _make_into(settled: list[Settled], call: _Call, way: _Way) -> None:
    settled += await _make(call, way)


async def _watch_while_sending(workshop: Workshop, names: set[str], stop: dict[str, Outcome], lease: _Lease) -> None:
    """Stops calls that have not begun when a person or another run closes the way, and keeps the lease alive.

    A lease that has ended is not renewed: it may be another run's by now, and no further call begins.
    """
    renewed_at = time.monotonic()
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        for name, why in (
            await asyncio.to_thread(closed_ways, workshop.database, workshop.claim.signal, names)
        ).items():
            stop.setdefault(name, Outcome(Verdict.RETRY, why, retry_after=0.0, scope="destination"))
        if time.monotonic() - renewed_at > workshop.policy.lease_within.total_seconds() / 3:
            renewed_at, now = time.monotonic(), workshop.database.now()
            if now < lease.until:
                await asyncio.to_thread(renew, workshop.database, workshop.claim, workshop.policy.lease_within)
                lease.until = now + workshop.policy.lease_within


def _tell_destinations(workshop: Workshop, settled: Sequence[Settled]) -> None:
    by_destination: dict[str, list[Outcome]] = {}
    for one in settled:
        if one.is_sent:
            by_destination.setdefault(one.intent.destination, []).append(one.outcome)
    for name, outcomes in by_destination.items():
        record_news(workshop.database, name, news_from(outcomes), workshop.policy.circuit)


def _batches(workshop: Workshop, intents: Sequence[Intent], items: Mapping[str, WorkItem]) -> list[list[Intent]]:
    """Intents that one external call may carry together: one operation, at most its batch size."""
    by_operation: dict[tuple[str, str], list[Intent]] = {}
    for intent in intents:
        item = items[intent.action_id]
        by_operation.setdefault((item.role, item.operation), []).append(intent)
    batches = []
    for (role, name), same in by_operation.items():
        size = workshop.destinations[role].operations[name].batch_size
        batches += [same[start : start + size] for start in range(0, len(same), size)]
    return batches


@dataclass
class _Call:
    """One external call about to be made."""

    destination: Destination
    operation: Operation
    intents: list[Intent]
    items: list[WorkItem]
    steps: list[Step]
    was_made: bool = False

    @classmethod
    def of(
        cls,
        workshop: Workshop,
        intents: list[Intent],
        items: Mapping[str, WorkItem],
        versions: Mapping[str, PlaybookVersion],
    ) -> _Call:
        mine = [items[intent.action_id] for intent in intents]
        destination = workshop.destinations[mine[0].role]
        steps = [_step(versions[item.playbook_version], item) for item in mine]
        return cls(destination, destination.operations[mine[0].operation], intents, mine, steps)

    def settled(self, outcomes: Sequence[Outcome], is_sent: bool) -> list[Settled]:
        return [
            Settled(
                intent,
                outcome,
                is_sent=is_sent,
                server_limit=self.destination.server_limit,
                is_at_least_once=step.is_at_least_once,
            )
            for intent, outcome, step in zip(self.intents, outcomes, self.steps, strict=True)
        ]


async def _make(call: _Call, way: _Way) -> list[Settled]:
    """Makes one call, unless its destination takes nothing now, or the lease on the work has ended."""
    name, stop = call.destination.name, way.stop
    async with way.gate:
        if name not in stop:
            await way.pacers[name].wait()
        if not way.is_leased():
            stop.setdefault(name, Outcome(Verdict.RETRY, "lease_ended", retry_after=0.0, scope="destination"))
        if name in stop:
            return call.settled([_not_sent(stop[name])] * len(call.intents), is_sent=False)
        requests, broken = _requests(call)
        if broken is not None:
            return call.settled([broken] * len(call.intents), is_sent=True)
        call.was_made = True
        outcomes = await _delivered(call, requests)
    blocking = next((o for o in outcomes if o.scope == "destination" and o.verdict in _NOT_TAKEN), None)
    if blocking is not None:
        stop.setdefault(name, blocking)
    return call.settled(outcomes, is_sent=True)


def _requests(call: _Call) -> tuple[list[Request], Outcome | None]:
    """The stored requests as the connector takes them; an outcome where it does not take them any more."""
    try:
        return [
            Request(item.action_id, load_arguments(call.operation, item.arguments_json or "")) for item in call.items
        ], None
    except ValidationError as error:
        detail = f"the stored request does not fit {call.operation.name} any more: {error.error_count()} errors"
        return [], Outcome(Verdict.REJECTED, ReasonFor.INVALID_REQUEST.value, detail)


def _not_sent(cause: Outcome) -> Outcome:
    return Outcome(
        Verdict.RETRY, NOT_SENT, f"not begun: {cause.reason}", retry_after=cause.retry_after, scope="destination"
    )


async def _delivered(call: _Call, requests: Sequence[Request]) -> Sequence[Outcome]:
    """The outcomes of one call. A connector that breaks leaves an unknown outcome, and no other call suffers for it."""
    began_at = datetime.now(UTC)
    try:
        outcomes = await call.destination.deliver(call.operation.name, requests)
        reach("reply_received")
        return await _reconciled(call, [replace(r, attempted_at=began_at) for r in requests], outcomes)
    except Exception as error:  # noqa: BLE001 - whatever a connector raises is a fault of its own, not of the row
        return [Outcome(Verdict.UNKNOWN, ReasonFor.CONNECTOR_FAILED.value, _place_of(error))] * len(requests)


def _place_of(error: Exception) -> str:
    """Where a connector broke. Its message is left out, for it may hold what the vendor said or a credential."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    return f"the connector broke with {type(error).__name__} at {place}; this is a defect of the connector"


async def _reconciled(call: _Call, requests: Sequence[Request], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Asks an unkeyed destination, where it can tell, whether an unknown attempt took effect."""
    found = []
    for request, outcome in zip(requests, outcomes, strict=True):
        is_open = outcome.verdict is Verdict.UNKNOWN and call.operation.idempotency is IdempotencyClass.UNKEYED
        answer = await call.destination.reconcile(call.operation.name, request) if is_open else None
        found.append(answer if answer is not None and answer.verdict is Verdict.DELIVERED else outcome)
    return found
