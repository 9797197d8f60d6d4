"""Brings the ledger up to the warehouse: the builds it lacks, whole and in order, and who must not be contacted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dagster_project.contracts.catalog import Catalog, CatalogSignal
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.vocabulary import Kind, Severity
from dagster_project.contracts.warehouse import WarehouseTarget
from dagster_project.crash_points import reach
from dagster_project.detect.warehouse_reading import (
    WarehouseConnection,
    do_not_contact_rows,
    events_of,
    flagged_severities,
    incarnation_of,
    newest_captured_no,
    reading,
    released_builds,
    unreleased_builds,
)
from dagster_project.ledger.contacts import DO_NOT_CONTACT_MODEL, Listed, refresh_do_not_contact
from dagster_project.ledger.database import Database
from dagster_project.ledger.held_builds import note_held_builds
from dagster_project.ledger.intake import (
    BuildTooLarge,
    IntakeReport,
    baseline_through,
    bind_incarnation,
    known_builds,
    take_in,
)
from dagster_project.ledger.modes import declare_mode
from dagster_project.ledger.planning import BoundOperation, exceeded_guards
from dagster_project.ledger.restoring import unaccounted_through


@dataclass(frozen=True)
class NewBuild:
    """A build that the ledger lacks, with all it takes to plan it, read before the warehouse is let go of."""

    build: Build
    events: tuple[SignalEvent, ...]
    flagged_now: Mapping[str, Severity] | None


def catch_up(
    database: Database,
    target: WarehouseTarget,
    catalog: Catalog,
    signal_name: str,
    operations: Mapping[str, BoundOperation],
    largest_build: int,
) -> list[IntakeReport]:
    """Takes in every released build of a signal that the ledger lacks, oldest first, one transaction a build.

    The warehouse is read first and let go of before the ledger is written: on DuckDB a reader keeps the builder out.
    Parameters: the ledger; the warehouse; the catalog; the signal; what each step is bound to; the most events that one
    build may bring, for they are all held in memory.
    Raises WarehouseUnavailable, WrongWarehouse, BuildMismatch, BuildTooLarge.
    """
    signal = catalog.signal(signal_name)
    known = known_builds(database, signal_name)
    with reading(target) as warehouse:
        incarnation = incarnation_of(warehouse, catalog.capture)
        missing = [b for b in released_builds(warehouse, catalog.capture, signal_name) if b.build_id not in known]
        unreleased = unreleased_builds(warehouse, catalog.capture, signal_name)
        for build in missing:
            _refuse_too_large(build, largest_build)
        newest = newest_captured_no(warehouse, catalog.capture, signal_name) if missing else 0
        flagged = flagged_severities(warehouse, signal.relation) if any(b.build_no < newest for b in missing) else {}
        new_builds = [
            NewBuild(
                build=build,
                events=tuple(events_of(warehouse, catalog.capture, build.build_id)),
                flagged_now=flagged if build.build_no < newest else None,
            )
            for build in missing
        ]
        listed = _contacts_of(warehouse, catalog)
    reach("warehouse_read")
    bind_incarnation(database, incarnation)
    reach("incarnation_bound")
    declare_mode(database, signal_name, signal.spec.mode)
    reach("mode_declared")
    note_held_builds(database, signal_name, unreleased)
    refresh_do_not_contact(database, listed)
    reach("contacts_refreshed")
    return take_in_all(database, new_builds, signal, operations)


def read_contacts(database: Database, target: WarehouseTarget, catalog: Catalog) -> list[Listed]:
    """The warehouse's do-not-contact list as it is now, empty where the project has none.

    Raises WarehouseUnavailable, or WrongWarehouse where it is not this ledger's.
    """
    with reading(target) as warehouse:
        incarnation, listed = incarnation_of(warehouse, catalog.capture), _contacts_of(warehouse, catalog)
    bind_incarnation(database, incarnation)
    return listed or []


def _contacts_of(warehouse: WarehouseConnection, catalog: Catalog) -> list[Listed] | None:
    """None where the project has no such model: that is not a list on which nobody stands."""
    model = catalog.models.get(DO_NOT_CONTACT_MODEL)
    return do_not_contact_rows(warehouse, model.relation) if model else None


def _refuse_too_large(build: Build, largest_build: int) -> None:
    if build.event_count > largest_build:
        raise BuildTooLarge(
            f"build {build.build_no} of {build.signal} brings {build.event_count:,} events, more than "
            f"LOOP_LARGEST_BUILD = {largest_build:,}. It was not read, nothing of it was planned or sent, and it stays "
            "in the warehouse. Look at the data first: a join that multiplies rows is the usual cause. If it is right, "
            "raise LOOP_LARGEST_BUILD (about 2 kB of memory an event)."
        )


def take_in_all(
    database: Database,
    new_builds: Sequence[NewBuild],
    signal: CatalogSignal,
    operations: Mapping[str, BoundOperation],
) -> list[IntakeReport]:
    """A ledger that meets a signal for the first time acts on nothing that it finds there: all of it is baseline."""
    newest_found = max((new.build.build_no for new in new_builds), default=0)
    through = baseline_through(database, signal.name, newest_found)
    reach("baseline_noted")
    unaccounted = unaccounted_through(database, signal.name)
    ended = _ended_later(new_builds, signal)
    return [
        take_in(
            database,
            new.build,
            new.events,
            signal,
            operations,
            is_baseline=new.build.is_baseline or new.build.build_no <= through,
            flagged_now=new.flagged_now,
            is_unaccounted=new.build.build_no <= unaccounted,
            ended=frozenset() if new.build.build_no <= unaccounted else gone,
        )
        for new, gone in zip(new_builds, ended, strict=True)
    ]


def _ended_later(new_builds: Sequence[NewBuild], signal: CatalogSignal) -> list[frozenset[tuple[str, int]]]:
    """For each build what the ones after it have ended, so that no run acts on it between the two; not what came in a
    wave that its guard holds, for that may be wrong."""
    found: list[frozenset[tuple[str, int]]] = []
    ended: frozenset[tuple[str, int]] = frozenset()
    for new in reversed(new_builds):
        found.append(ended)
        if Kind.RESOLVED not in exceeded_guards(new.build, signal.spec):
            ended |= {(one.entity_id, one.episode) for one in new.events if one.kind is Kind.RESOLVED}
    return found[::-1]
