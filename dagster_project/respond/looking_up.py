"""Looks up what the work of one playbook version needs; a version whose sources fail leaves the others to go on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dagster_project.contracts.destination import LookupFailed
from dagster_project.contracts.event import SignalEvent
from dagster_project.contracts.playbook import PlaybookVersion
from dagster_project.detect.warehouse_reading import WarehouseUnavailable
from dagster_project.ledger.work import earlier_work
from dagster_project.respond.enrichment import enrich
from dagster_project.respond.fitting import DoesNotFit
from dagster_project.respond.workshop import Workshop


async def look_up(workshop: Workshop, version: PlaybookVersion, events: Sequence[SignalEvent]) -> Exception | None:
    """Adds to the workshop what these events still lack.

    Returns why it could not: DoesNotFit where a source is not there any more, WarehouseUnavailable or LookupFailed
    where it does not answer now. It is kept, and this run asks no further for that version: a source that is down
    would take its deadline from every step.
    """
    enriched = workshop.looked_up.under(version)
    if enriched.failure is not None:
        return enriched.failure
    try:
        await enrich(
            version.playbook,
            events,
            enriched,
            workshop.target,
            workshop.models,
            workshop.destinations,
            partial(earlier_work, workshop.database),
        )
    except (DoesNotFit, WarehouseUnavailable, LookupFailed) as error:
        enriched.failure = error
        which = f"{version.playbook.name} {version.content_hash()}"
        workshop.say(f"{version.signal}: nothing is rendered by {which} in this run: {error}")
    return enriched.failure
