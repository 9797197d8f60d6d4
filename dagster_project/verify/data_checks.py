"""Asset checks on a signal's data: how old it is, whether its volume is believable, whether the capture is complete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import AssetCheckResult, AssetChecksDefinition, AssetCheckSeverity, AssetKey, asset_check

from dagster_project.contracts.catalog import CaptureRelations, CatalogSignal
from dagster_project.contracts.vocabulary import Kind
from dagster_project.contracts.warehouse import WarehouseTarget
from dagster_project.detect.warehouse_reading import (
    BuildRecord,
    build_records,
    count_events,
    count_rows,
    reading,
)

NAMED = 20
CLOCK_MARGIN = timedelta(minutes=5)  # clocks of loaders and of this host may differ by so much


def build_data_checks(
    signal: CatalogSignal, capture: CaptureRelations, target: WarehouseTarget
) -> list[AssetChecksDefinition]:
    """The checks on a signal's own asset."""
    key = AssetKey([signal.name])
    return [
        _fresh_within(signal, key, capture, target),
        _volume(signal, key, capture, target),
        _capture(signal, key, capture, target),
    ]


def _records(signal: CatalogSignal, capture: CaptureRelations, target: WarehouseTarget) -> list[BuildRecord]:
    with reading(target) as warehouse:
        return build_records(warehouse, capture, signal.name)


def judge_age(records: list[BuildRecord], now: datetime, limit: timedelta) -> tuple[bool, dict[str, Any]]:
    """Whether the data of the newest captured build is young enough; a signal without any build has no data at all."""
    captured = [record for record in records if record.status == "captured"]
    if not captured:
        return False, {"why": "nothing was captured yet"}
    newest = max(captured, key=lambda record: record.data_as_of)
    age = now - newest.data_as_of
    is_ahead = age < -CLOCK_MARGIN
    why = "" if age <= limit else f"the data is {age} old, fresh_within is {limit}"
    why = f"the data claims to be from {-age} ahead of now: is its moment in UTC?" if is_ahead else why
    return not why, {
        "data_as_of": newest.data_as_of.isoformat(),
        "age_hours": round(age.total_seconds() / 3600, 2),
        "limit_hours": limit.total_seconds() / 3600,
        "why": why,
    }


def _fresh_within(
    signal: CatalogSignal, key: AssetKey, capture: CaptureRelations, target: WarehouseTarget
) -> AssetChecksDefinition:
    @asset_check(
        asset=key, name="fresh_within", description="The data that the signal was computed from is young enough."
    )
    def fresh_within() -> AssetCheckResult:
        records = _records(signal, capture, target)
        passed, metadata = judge_age(records, datetime.now(UTC), signal.spec.fresh_within.as_timedelta())
        return AssetCheckResult(passed=passed, metadata=metadata)

    return fresh_within


def judge_volume(records: list[BuildRecord], signal: CatalogSignal) -> tuple[bool, dict[str, Any]]:
    """Whether the newest captured build, unless it is a baseline, stays within the guards."""
    captured = [record for record in records if record.status == "captured"]
    if not captured or captured[-1].is_baseline:
        return True, {"why": "no build after the baseline yet"}
    newest = captured[-1]
    over = {
        kind.value: f"{count}, the guard lets {signal.spec.guard_for(kind).limit(newest.population)} pass"
        for kind, count in _guarded_counts(newest, signal)
        if count > signal.spec.guard_for(kind).limit(newest.population)
    }
    return not over, {
        "flagged": newest.flagged,
        "opened": newest.opened,
        "resolved": newest.resolved,
        "why": str(over or ""),
    }


def _guarded_counts(newest: BuildRecord, signal: CatalogSignal) -> list[tuple[Kind, int]]:
    """The kinds that planning holds back; `escalated` only where the signal says so."""
    counts = [(Kind.OPENED, newest.opened), (Kind.RESOLVED, newest.resolved)]
    return [*counts, (Kind.ESCALATED, newest.escalated)] if Kind.ESCALATED in signal.spec.guards else counts


def _volume(
    signal: CatalogSignal, key: AssetKey, capture: CaptureRelations, target: WarehouseTarget
) -> AssetChecksDefinition:
    @asset_check(asset=key, name="volume", description="The newest build's wave is no larger than the guards allow.")
    def volume() -> AssetCheckResult:
        passed, metadata = judge_volume(_records(signal, capture, target), signal)
        return AssetCheckResult(passed=passed, severity=AssetCheckSeverity.WARN, metadata=metadata)

    return volume


def capture_faults(records: list[BuildRecord], events_found: int, rows_found: int) -> list[str]:
    """What is missing or waiting in a signal's capture, in words; empty where it is complete."""
    if not records:
        return ["nothing was captured yet: run `dbt build`"]
    captured = [record for record in records if record.status == "captured"]
    said = sum(record.opened + record.escalated + record.resolved for record in captured)
    faults = [f"builds say {said} events, {events_found} are stored"] if said != events_found else []
    newest = records[-1]
    if newest.status != "captured":
        faults.append(f"the newest build captured nothing: {newest.held_reason}")
    elif newest.flagged != rows_found:
        faults.append(f"the newest build saw {newest.flagged} rows, the table has {rows_found}")
    faults += [
        f"build {record.build_no} is held: {record.held_reason or 'its tests have not run'}"
        for record in captured
        if record.released_at is None
    ]
    return faults


def _capture(
    signal: CatalogSignal, key: AssetKey, capture: CaptureRelations, target: WarehouseTarget
) -> AssetChecksDefinition:
    @asset_check(asset=key, name="capture_complete", description="Every build's events are stored and released.")
    def capture_complete() -> AssetCheckResult:
        with reading(target) as warehouse:
            records = build_records(warehouse, capture, signal.name)
            events_found = count_events(warehouse, capture, signal.name)
            rows_found = count_rows(warehouse, signal.relation)
        faults = capture_faults(records, events_found, rows_found)
        return AssetCheckResult(
            passed=not faults, metadata={"builds": len(records), "faults": "; ".join(faults[:NAMED])}
        )

    return capture_complete
