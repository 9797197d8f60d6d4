"""One action run from claim to settlement, as plain functions that the ops of a job call in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from dagster_project.contracts.catalog import Catalog
from dagster_project.contracts.destination import Destination
from dagster_project.crash_points import reach
from dagster_project.ledger.claims import claim, release
from dagster_project.ledger.database import Database
from dagster_project.ledger.destination_state import CircuitPolicy
from dagster_project.ledger.gates import Claim
from dagster_project.ledger.marks import mark_place
from dagster_project.ledger.removed_signals import hold_removed
from dagster_project.ledger.restoring import advance, recognise
from dagster_project.ledger.retry_policy import RetryPolicy
from dagster_project.ledger.sweep import SweepPolicy
from dagster_project.ledger.work import claimed_events
from dagster_project.respond.asking import ask_until
from dagster_project.respond.bindings import Binding, longest_server_limit
from dagster_project.respond.delivery import DeliveryReport, deliver_step
from dagster_project.respond.enrichment import LookedUp
from dagster_project.respond.looking_up import look_up
from dagster_project.respond.reconciling import reconcile_unknown
from dagster_project.respond.restored import reconcile_restored
from dagster_project.respond.workshop import DeliveryPolicy, Workshop
from dagster_project.settings import Settings

Say = Callable[[str], None]


@dataclass(frozen=True)
class Surroundings:
    """What every action run needs and none changes."""

    settings: Settings
    catalog: Catalog
    database: Database
    bindings: Mapping[str, Binding]


@dataclass
class Work:
    """What one run carries from op to op: its claim and what it has looked up and done. No rows of data."""

    claim: Claim
    looked_up: LookedUp = field(default_factory=LookedUp)
    reports: dict[str, DeliveryReport] = field(default_factory=dict)


def begin(around: Surroundings, signal: str, run_id: str) -> Work:
    """Claims due work, after settling what dead runs left behind."""
    settings = around.settings
    sweeping = SweepPolicy(_retry_policy(settings), Random(), longest_server_limit(around.bindings))
    reach("run_started")
    place = mark_place(settings.ledger_mark_address)
    recognise(around.database, place)
    taken = claim(around.database, signal, run_id, settings.claim_limit, settings.lease_within, sweeping)
    if taken.count:
        advance(around.database, place)
    reach("claimed")
    return Work(claim=taken)


def tidy(around: Surroundings) -> dict[str, int]:
    """Holds the work of signals that are gone; returns how many actions and groups, by signal."""
    sweeping = SweepPolicy(_retry_policy(around.settings), Random(), longest_server_limit(around.bindings))
    return hold_removed(around.database, around.catalog.signals, sweeping)


def look_up_all(around: Surroundings, work: Work, say: Say) -> None:
    """Enriches everything that was claimed, and asks about held outcomes that nobody knows.

    What cannot be looked up now leaves waiting what it is needed for: that is claimed again by a later run, and no
    attempt is burnt.
    """

    async def all_of_it() -> None:
        async with _workshop(around, work, say) as workshop:
            until = ask_until(workshop)
            answers = await reconcile_unknown(workshop, until)
            if answers:
                say(f"asked about unknown outcomes: {answers}")
            if answers := await reconcile_restored(workshop, until):
                say(f"asked about work that the restored ledger does not know of: {answers}")
            for version, events in claimed_events(around.database, work.claim):
                await look_up(workshop, version, events)

    asyncio.run(all_of_it())


def do_step(around: Surroundings, work: Work, step: str | None, say: Say) -> DeliveryReport:
    """Delivers what is ready of one step; a step without work does nothing."""
    if not work.claim.count:
        return DeliveryReport()

    async def one_step() -> DeliveryReport:
        async with _workshop(around, work, say) as workshop:
            return await deliver_step(workshop, step)

    report = asyncio.run(one_step())
    work.reports[step or "earlier_versions"] = report
    return report


def finish(around: Surroundings, work: Work) -> None:
    """Gives back what was not settled."""
    reach("work_done")
    release(around.database, work.claim)
    reach("given_back")


@asynccontextmanager
async def _workshop(around: Surroundings, work: Work, say: Say) -> AsyncIterator[Workshop]:
    """Opens the destinations for one event loop and closes them with it."""
    opened: dict[str, Destination] = {role: binding.open() for role, binding in around.bindings.items()}
    try:
        yield Workshop(
            database=around.database,
            claim=work.claim,
            target=around.settings.warehouse_target,
            models=around.catalog.models,
            destinations=opened,
            looked_up=work.looked_up,
            policy=delivery_policy(around),
            say=say,
        )
    finally:
        for destination in opened.values():
            await destination.close()


def _retry_policy(settings: Settings) -> RetryPolicy:
    return RetryPolicy(settings.max_attempts, settings.retry_base_seconds, settings.retry_cap_seconds)


def delivery_policy(around: Surroundings) -> DeliveryPolicy:
    settings = around.settings
    return DeliveryPolicy(
        retry=_retry_policy(settings),
        circuit=CircuitPolicy(
            settings.circuit_opens_after, settings.circuit_base_seconds, settings.circuit_cap_seconds
        ),
        lease_within=timedelta(seconds=settings.lease_seconds),
        in_flight_calls=settings.in_flight_calls,
        random=Random(),
    )
