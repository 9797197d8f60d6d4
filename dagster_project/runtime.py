"""Puts together, once a process, what the light location and the CLI both need: catalog, ledger, bindings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache

from dagster_project.contracts.catalog import Catalog
from dagster_project.contracts.event import BuildRefused
from dagster_project.detect.lookout import Watch, watching
from dagster_project.detect.warehouse_reading import flagged_severities, reading
from dagster_project.ledger.catching_up import catch_up
from dagster_project.ledger.claims import due_count, most_severe_due
from dagster_project.ledger.contacts import DO_NOT_CONTACT_MODEL, doubt_in_words
from dagster_project.ledger.database import open_database
from dagster_project.ledger.intake import IntakeReport
from dagster_project.ledger.log_lines import write_json_lines
from dagster_project.ledger.marks import mark_place
from dagster_project.ledger.refused_builds import note_refused
from dagster_project.ledger.reopening import Reopening
from dagster_project.ledger.restoring import advance, recognise
from dagster_project.ledger.run_presence import runs_gone
from dagster_project.ledger.unknown_outcomes import unknown_count
from dagster_project.prepare import current_catalog
from dagster_project.respond.action_run import Surroundings
from dagster_project.respond.bindings import bind_roles, check_lease, operations_of
from dagster_project.settings import Settings, settings


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    """The compiled catalog. Raises CatalogRefused."""
    return current_catalog(settings())


@lru_cache(maxsize=1)
def surroundings() -> Surroundings:
    """The ledger is opened at first use, not when the location is loaded."""
    return surroundings_for(settings(), catalog())


def surroundings_for(chosen: Settings, compiled: Catalog) -> Surroundings:
    """Raises BindingRefused or LedgerUnavailable; nothing is sent then."""
    if chosen.log_format == "json":
        write_json_lines(chosen.log_level)
    bindings = bind_roles(chosen)
    check_lease(chosen.lease_seconds, bindings)
    return Surroundings(
        settings=chosen, catalog=compiled, database=open_database(chosen.ledger_address), bindings=bindings
    )


@dataclass(frozen=True)
class LedgerDesk:
    """Answers a sensor from the ledger."""

    def catch_up(self, signal: str) -> Sequence[str]:
        around = surroundings()
        return [*map(told, take_in_new_builds(around, signal)), *contacts_in_doubt(around)]

    def due(self, signal: str) -> int:
        database, chosen = surroundings().database, settings()
        enough = chosen.claim_limit * chosen.runs_in_flight
        return due_count(database, signal, at_most=enough) + unknown_count(database, signal)

    def most_severe(self, signal: str) -> int:
        return most_severe_due(surroundings().database, signal)

    def gone(self, run_ids: Collection[str]) -> set[str]:
        return runs_gone(surroundings().database, run_ids, settings().lease_within)

    def watching(self, signal: str) -> AbstractContextManager[Watch | None]:
        return watching(settings().warehouse_target, catalog().capture, signal)


def take_in_new_builds(around: Surroundings, signal: str) -> list[IntakeReport]:
    """Brings the ledger up to the warehouse for one signal. Raises what `catch_up` raises."""
    operations = operations_of(around.catalog.signal(signal).version, around.bindings)
    chosen = around.settings
    place = mark_place(chosen.ledger_mark_address)
    recognise(around.database, place)
    target = chosen.warehouse_target
    try:
        reports = catch_up(around.database, target, around.catalog, signal, operations, chosen.largest_build)
    except BuildRefused:
        note_refused(around.database, signal, is_refused=True)
        raise
    note_refused(around.database, signal, is_refused=False)
    if reports:
        advance(around.database, place)
    return reports


def contacts_in_doubt(around: Surroundings) -> list[str]:
    """Why the ledger's do-not-contact list is not what the warehouse says; empty where it is."""
    with around.database.reading() as connection:
        doubt = doubt_in_words(connection, DO_NOT_CONTACT_MODEL in around.catalog.models)
    return [f"do-not-contact list: {doubt}"] if doubt else []


def reopening_of(around: Surroundings, signal: str, needs_approval: bool) -> Reopening:
    """What it takes to plan events of a signal's past anew: its present playbook, bindings, and who is flagged now.

    Raises WarehouseUnavailable.
    """
    entry = around.catalog.signal(signal)
    with reading(around.settings.warehouse_target) as warehouse:
        flagged = flagged_severities(warehouse, entry.relation)
    return Reopening(entry, operations_of(entry.version, around.bindings), flagged, needs_approval)


def told(report: IntakeReport) -> str:
    """One line on a build that was taken in."""
    if not report.is_new:
        return f"build {report.build_id} was taken in by another process"
    states = ", ".join(f"{count} {state}" for state, count in sorted((report.states or {}).items()))
    guards = "".join(f"; held: {why}" for why in (report.guards or {}).values())
    return f"{report.handling}: {report.events} events, {states or 'no actions'}{guards}"
