"""Reads builds, events and enrichment rows from the warehouse through short read-only connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dagster_project.contracts.catalog import CaptureRelations
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.vocabulary import Kind, Severity
from dagster_project.detect.warehouses.connection import WarehouseConnection, WarehouseUnavailable
from dagster_project.detect.warehouses.opening import connect, reading

__all__ = ["WarehouseConnection", "WarehouseUnavailable", "connect", "reading"]

IDS_PER_QUERY = 1000


def _utc(moment: datetime) -> datetime:
    """The capture writes moments in UTC without a zone."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def incarnation_of(connection: WarehouseConnection, capture: CaptureRelations) -> str:
    """The identity of the warehouse's history. Raises WarehouseUnavailable where none is recorded."""
    [(found,)] = connection.rows(f"select max(incarnation_id) from {capture.incarnation}")
    if found is None:
        raise WarehouseUnavailable(f"{capture.incarnation} holds no incarnation; restore it, or build with dbt anew")
    return str(found)


_BUILD_COLUMNS = (
    "build_id, signal, build_no, is_baseline, code_version, criteria_version, data_as_of, population, flagged, "
    "opened, escalated, resolved, captured_at, released_at"
)


def released_builds(connection: WarehouseConnection, capture: CaptureRelations, signal: str) -> list[Build]:
    """Every released build of a signal, oldest first. There is no watermark: what the ledger lacks is what is new."""
    rows = connection.rows(
        f"select {_BUILD_COLUMNS} from {capture.builds} "
        "where signal = %s and status = 'captured' and released_at is not null order by build_no",
        [signal],
    )
    return [
        Build(
            build_id=row[0],
            signal=row[1],
            build_no=int(row[2]),
            is_baseline=bool(row[3]),
            code_version=row[4] or "",
            criteria_version=row[5] or "",
            data_as_of=_utc(row[6]),
            population=None if row[7] is None else int(row[7]),
            flagged=int(row[8]),
            opened=int(row[9]),
            escalated=int(row[10]),
            resolved=int(row[11]),
            captured_at=_utc(row[12]),
            released_at=_utc(row[13]),
        )
        for row in rows
    ]


@dataclass(frozen=True)
class BuildRecord:
    """One build as the capture recorded it, whether it captured anything or not."""

    build_no: int | None
    status: str  # captured, skipped_stale, skipped_empty
    is_baseline: bool
    data_as_of: datetime
    population: int | None
    flagged: int
    opened: int
    escalated: int
    resolved: int
    released_at: datetime | None
    held_reason: str


def build_records(connection: WarehouseConnection, capture: CaptureRelations, signal: str) -> list[BuildRecord]:
    """All recorded builds of a signal in the order of their capture."""
    rows = connection.rows(
        "select build_no, status, is_baseline, data_as_of, population, flagged, opened, escalated, resolved, "
        f"released_at, held_reason from {capture.builds} where signal = %s order by captured_at, build_no",
        [signal],
    )
    return [
        BuildRecord(
            build_no=None if row[0] is None else int(row[0]),
            status=row[1],
            is_baseline=bool(row[2]),
            data_as_of=_utc(row[3]),
            population=None if row[4] is None else int(row[4]),
            flagged=int(row[5] or 0),
            opened=int(row[6] or 0),
            escalated=int(row[7] or 0),
            resolved=int(row[8] or 0),
            released_at=None if row[9] is None else _utc(row[9]),
            held_reason=row[10] or "",
        )
        for row in rows
    ]


@dataclass(frozen=True)
class UnreleasedBuild:
    """A captured build that brings nothing yet: its tests have not run, or one of them holds it."""

    build_no: int
    held_reason: str  # empty where its tests have not run
    captured_at: datetime


def unreleased_builds(connection: WarehouseConnection, capture: CaptureRelations, signal: str) -> list[UnreleasedBuild]:
    """The captured builds of a signal that are not released, oldest first."""
    rows = connection.rows(
        f"select build_no, held_reason, captured_at from {capture.builds} "
        "where signal = %s and status = 'captured' and released_at is null order by build_no",
        [signal],
    )
    return [UnreleasedBuild(int(row[0]), row[1] or "", _utc(row[2])) for row in rows]


def count_events(connection: WarehouseConnection, capture: CaptureRelations, signal: str) -> int:
    return int(connection.rows(f"select count(*) from {capture.events} where signal = %s", [signal])[0][0])


def count_rows(connection: WarehouseConnection, relation: str) -> int:
    return int(connection.rows(f"select count(*) from {relation}")[0][0])


def newest_captured_no(connection: WarehouseConnection, capture: CaptureRelations, signal: str) -> int:
    rows = connection.rows(f"select max(build_no) from {capture.builds} where signal = %s", [signal])
    return int(rows[0][0] or 0)


def events_of(connection: WarehouseConnection, capture: CaptureRelations, build_id: str) -> list[SignalEvent]:
    rows = connection.rows(
        "select event_id, build_id, signal, entity_id, episode, kind, severity, score, observed_at, emitted_at, "
        f"row_json from {capture.events} where build_id = %s",
        [build_id],
    )
    return [
        SignalEvent(
            event_id=row[0],
            build_id=row[1],
            signal=row[2],
            entity_id=row[3],
            episode=int(row[4]),
            kind=Kind(row[5]),
            severity=Severity(row[6]),
            score=None if row[7] is None else float(row[7]),
            observed_at=_utc(row[8]),
            emitted_at=_utc(row[9]),
            row_json=row[10],
        )
        for row in rows
    ]


def flagged_severities(connection: WarehouseConnection, relation: str) -> dict[str, Severity]:
    """Who is flagged now, and how severely: the signal's own table."""
    return {row[0]: Severity(row[1]) for row in connection.rows(f"select entity_id, severity from {relation}")}


def rows_by_key(
    connection: WarehouseConnection, relation: str, key: str, columns: Sequence[str], values: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Rows of a model by the text of their key; the first one where a key stands twice."""
    found: dict[str, Mapping[str, Any]] = {}
    listed = ", ".join(columns)
    for start in range(0, len(values), IDS_PER_QUERY):
        some = list(values[start : start + IDS_PER_QUERY])
        marks = ", ".join(["%s"] * len(some))
        sql = f"select cast({key} as varchar), {listed} from {relation} where cast({key} as varchar) in ({marks})"
        for row in connection.rows(sql, some):
            found.setdefault(str(row[0]), dict(zip(columns, row[1:], strict=True)))
    return found


def do_not_contact_rows(connection: WarehouseConnection, relation: str) -> list[tuple[str, str, str, datetime]]:
    """(entity, entity_id, reason, since) of everyone who must not be contacted."""
    rows = connection.rows(f"select entity_type, entity_id, reason, since_at from {relation}")
    return [(str(row[0]), str(row[1]), str(row[2] or ""), _utc(row[3])) for row in rows]
