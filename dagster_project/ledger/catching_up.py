"""Brings the ledger up to the warehouse: the builds it lacks, whole and in order, and who must not be contacted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from dagster_project.contracts.catalog import Catalog, CatalogSignal
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.vocabulary import Severity
from dagster_project.contracts.warehouse import WarehouseTarget
from dagster_project.crash_points import reach
from dagster_project.detect.warehouse_reading import (
    do_not_contact_rows,
    events_of,
    flagged_severities,
    incarnation_of,
    newest_captured_no,
    reading,
    released_builds,
    unreleased_builds,
)
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
from dagster_project.ledger.planning import BoundOperation
from dagster_project.ledger.restoring import unaccounted_through
from dagster_project.ledger.schema import do_not_contact
from dagster_project.ledger.transitions import write_audit

DO_NOT_CONTACT_MODEL = "do_not_contact"
ACTOR = "loop"


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
        model = catalog.models.get(DO_NOT_CONTACT_MODEL)
        listed = do_not_contact_rows(warehouse, model.relation) if model else []
    reach("warehouse_read")
    bind_incarnation(database, incarnation)
    reach("incarnation_bound")
    declare_mode(database, signal_name, signal.spec.mode)
    reach("mode_declared")
    note_held_builds(database, signal_name, unreleased)
    refresh_do_not_contact(database, listed)
    reach("contacts_refreshed")
    return take_in_all(database, new_builds, signal, operations)


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
        )
        for new in new_builds
    ]


def refresh_do_not_contact(database: Database, listed: Sequence[tuple[str, str, str, datetime]]) -> int:
    """Makes the ledger's list equal the warehouse's; returns how many entries changed."""
    wanted = {(entity, entity_id): (reason, at) for entity, entity_id, reason, at in listed}

    def known(connection: Connection) -> set[tuple[str, str]]:
        rows = connection.execute(select(do_not_contact.c.entity, do_not_contact.c.entity_id))
        return {(row.entity, row.entity_id) for row in rows}

    with database.reading() as connection:
        if known(connection) == set(wanted):
            return 0

    def work(connection: Connection) -> int:
        now, before = database.now(), known(connection)
        added, removed = sorted(set(wanted) - before), sorted(before - set(wanted))
        rows = [
            {
                "entity": entity,
                "entity_id": entity_id,
                "reason": wanted[entity, entity_id][0],
                "listed_at": wanted[entity, entity_id][1],
            }
            for entity, entity_id in added
        ]
        if rows:
            connection.execute(insert(do_not_contact), rows)
        for entity, entity_id in removed:
            connection.execute(
                delete(do_not_contact).where(do_not_contact.c.entity == entity, do_not_contact.c.entity_id == entity_id)
            )
        entries = [(verb, key) for verb, keys in (("listed", added), ("unlisted", removed)) for key in keys]
        write_audit(
            connection,
            [
                {"at": now, "actor": ACTOR, "verb": verb, "reason": "do_not_contact", "detail": f"{entity} {entity_id}"}
                for verb, (entity, entity_id) in entries
            ],
        )
        return len(entries)

    return database.write(work)
