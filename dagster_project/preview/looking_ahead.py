"""Looks ahead: who would be flagged, enter and leave, and what would be done, with nothing written and nothing sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.contracts.destination import LookupFailed
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.playbook import Step
from dagster_project.contracts.vocabulary import Kind, Mode, Severity
from dagster_project.detect.episodes import Foreseen, KnownEpisode, foresee
from dagster_project.detect.row_defects import row_defects
from dagster_project.detect.warehouse_reading import (
    WarehouseConnection,
    WarehouseUnavailable,
    newest_captured_no,
    reading,
)
from dagster_project.ledger.criteria import values_in_force
from dagster_project.ledger.intake import read_facts
from dagster_project.ledger.planning import Plan, PlannedAction, plan_build
from dagster_project.ledger.work import Member, StepResult, WorkItem, earlier_work
from dagster_project.preview.compiled_sql import PreviewFailed, selecting_sql
from dagster_project.respond.action_run import Surroundings
from dagster_project.respond.bindings import operations_of
from dagster_project.respond.enrichment import Enriched, enrich
from dagster_project.respond.rendering import RenderContext, render

SHOWN_A_STEP = 3  # rendered requests that a preview shows of each step


@dataclass(frozen=True)
class RenderedSample:
    step: str
    operation: str
    destination: str
    entities: tuple[str, ...]
    request: str  # JSON, or why it could not be rendered
    is_held: bool
    is_broken: bool


@dataclass(frozen=True)
class Preview:
    signal: str
    flagged: int
    foreseen: tuple[Foreseen, ...]
    plan: Plan
    limits: Mapping[Kind, int]
    samples: tuple[RenderedSample, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def count(self, kind: Kind) -> int:
        return sum(1 for one in self.foreseen if one.kind is kind)


def preview(around: Surroundings, name: str, variables: Mapping[str, Any], is_rendered: bool = True) -> Preview:
    """Looks at one signal under other thresholds, or as it stands, with the criteria in force.

    Parameters: the surroundings; the signal; thresholds that differ; whether requests are rendered too, for which
    destinations may be asked. Raises PreviewFailed or WarehouseUnavailable.
    """
    signal = around.catalog.signal(name)
    sql = selecting_sql(around.settings, signal, {**values_in_force(around.database), **variables})
    with reading(around.settings.warehouse_target) as warehouse:
        rows = _rows(warehouse, signal, sql)
        known, closed, last_rows = _episodes(warehouse, around, name)
        population = _population(warehouse, around, name)
        is_first = newest_captured_no(warehouse, around.catalog.capture, name) == 0
    if defects := row_defects(rows):
        raise PreviewFailed(f"{signal.sql_file}: {'; '.join(defects)}. A build would be refused")
    foreseen = foresee(rows, known, closed, signal.spec.lifecycle)
    build, events = _as_build(name, foreseen, len(rows), population, last_rows)
    plan = _plan(around, signal, build, events)
    notes = _notes(signal, population, is_first)
    samples: list[RenderedSample] = []
    if is_rendered:
        try:
            samples = asyncio.run(_samples(around, signal, plan))
        except LookupFailed as error:
            notes.append(f"no request is shown, since what it needs cannot be looked up now: {error}")
    limits = {kind: signal.spec.guard_for(kind).limit(population) for kind in (Kind.OPENED, Kind.RESOLVED)}
    return Preview(name, len(rows), tuple(foreseen), plan, limits, tuple(samples), tuple(notes))


def _notes(signal: CatalogSignal, population: int | None, is_first: bool) -> list[str]:
    notes = ["models above the signal are read as they were last built, except those that a threshold changes"]
    if signal.spec.open_after is not None:
        notes.append("open_after is set: who enters is noticed first, and opened when it has lasted")
    if signal.spec.resolve_after is not None:
        notes.append("resolve_after is set: who leaves is resolved when it has lasted")
    if is_first:
        notes.append("its first build is a baseline: all whom it finds are recorded, and nothing is done about them")
    if population is None and signal.spec.population is not None:
        notes.append("the population was never counted, so shares were not checked")
    return notes


def _rows(warehouse: WarehouseConnection, signal: CatalogSignal, sql: str) -> list[dict[str, Any]]:
    columns = list(signal.columns)
    try:
        found = warehouse.rows(sql)
    except WarehouseUnavailable:
        raise
    except Exception as error:
        raise PreviewFailed(f"{signal.sql_file}: {str(error).strip().splitlines()[0]}") from error
    return [dict(zip(columns, row, strict=True)) for row in found]


def _episodes(
    warehouse: WarehouseConnection, around: Surroundings, name: str
) -> tuple[dict[str, KnownEpisode], dict[str, int], dict[str, str]]:
    rows = warehouse.rows(
        f"select entity_id, status, episode, peak_severity, last_row from {around.catalog.capture.state} "
        "where signal = %s",
        [name],
    )
    known = {
        row[0]: KnownEpisode(row[0], int(row[2]), Severity(row[3]), row[4] or "{}") for row in rows if row[1] == "open"
    }
    closed = {row[0]: int(row[2]) for row in rows if row[1] != "open"}
    return known, closed, {entity: one.last_row for entity, one in known.items()}


def _population(warehouse: WarehouseConnection, around: Surroundings, name: str) -> int | None:
    rows = warehouse.rows(
        f"select population from {around.catalog.capture.builds} where signal = %s and population is not null "
        "order by captured_at desc limit 1",
        [name],
    )
    return int(rows[0][0]) if rows else None


def _as_build(
    name: str, foreseen: Sequence[Foreseen], flagged: int, population: int | None, last_rows: Mapping[str, str]
) -> tuple[Build, list[SignalEvent]]:
    now = datetime.now(UTC)
    counts = {kind: sum(1 for one in foreseen if one.kind is kind) for kind in Kind}
    build = Build(
        build_id=f"preview of {name}",
        signal=name,
        build_no=0,
        is_baseline=False,
        code_version="",
        criteria_version="",
        data_as_of=now,
        population=population,
        flagged=flagged,
        opened=counts[Kind.OPENED],
        escalated=counts[Kind.ESCALATED],
        resolved=counts[Kind.RESOLVED],
        captured_at=now,
        released_at=now,
    )
    events = [
        SignalEvent(
            event_id=f"{name}|{one.entity_id}|{one.kind}",
            build_id=build.build_id,
            signal=name,
            entity_id=one.entity_id,
            episode=one.episode,
            kind=one.kind,
            severity=one.severity,
            score=None if one.row is None or one.row.get("score") is None else float(one.row["score"]),
            observed_at=now,
            emitted_at=now,
            row_json=last_rows.get(one.entity_id, "{}") if one.row is None else json.dumps(one.row, default=_as_json),
        )
        for one in foreseen
    ]
    return build, events


def _as_json(value: Any) -> Any:
    """Values as the capture's JSON has them: numbers as numbers, moments as text."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def _plan(around: Surroundings, signal: CatalogSignal, build: Build, events: Sequence[SignalEvent]) -> Plan:
    """The plan as if the signal were live, with what the ledger knows now."""
    with around.database.reading() as connection:
        facts = read_facts(connection, around.database.now(), signal, events, is_baseline=False, flagged_now=None)
    spec = signal.spec.model_copy(update={"mode": Mode.LIVE})
    return plan_build(build, events, spec, signal.version, operations_of(signal.version, around.bindings), facts)


async def _samples(around: Surroundings, signal: CatalogSignal, plan: Plan) -> list[RenderedSample]:
    """Renders the first few requests of each step; what only a delivered step could know is named in angle brackets."""
    chosen = _chosen(plan)
    events = [event for _, some in chosen for event in some]
    if not events:
        return []
    opened = {role: binding.open() for role, binding in around.bindings.items()}
    enriched = Enriched()
    try:
        await enrich(
            signal.version.playbook,
            events,
            enriched,
            around.settings.warehouse_target,
            around.catalog.models,
            opened,
            lambda name, step, ids: earlier_work(around.database, name, step, ids),
        )
        samples = []
        for action, some in chosen:
            destination = opened[action.step.role]
            operation = destination.operations[action.step.operation]
            context = RenderContext(signal.version, enriched, destination, operation)
            rendering = render(_item(action, some), action.step, context)
            samples.append(
                RenderedSample(
                    step=action.step.name,
                    operation=action.step.operation,
                    destination=destination.name,
                    entities=tuple(event.entity_id for event in some),
                    request=rendering.arguments_json or f"{rendering.reason}: {rendering.detail}",
                    is_held=rendering.is_held,
                    is_broken=rendering.arguments_json is None,
                )
            )
        return samples
    finally:
        for destination in opened.values():
            await destination.close()


def _chosen(plan: Plan) -> list[tuple[PlannedAction, list[SignalEvent]]]:
    """The first few sendable actions or groups of each step, each with its events."""
    members: dict[str, list[SignalEvent]] = {}
    for action in plan.actions:
        if action.group_id is not None and action.event is not None:
            members.setdefault(action.group_id, []).append(action.event)
    counts: dict[str, int] = {}
    chosen = []
    for action in plan.actions:
        if action.state.value not in ("waiting", "held") or action.group_id is not None:
            continue
        counts[action.step.name] = counts.get(action.step.name, 0) + 1
        if counts[action.step.name] <= SHOWN_A_STEP:
            events = members[action.action_id] if action.is_group else [action.event] if action.event else []
            chosen.append((action, events))
    return sorted(chosen, key=lambda pair: pair[0].step_index)


def _item(action: PlannedAction, events: Sequence[SignalEvent]) -> WorkItem:
    results = _placeholders(action.step)
    members = tuple(Member(event.event_id, event, results) for event in events) if action.is_group else ()
    return WorkItem(
        action_id=action.action_id,
        is_group=action.is_group,
        step=action.step.name,
        operation=action.step.operation,
        role=action.step.role,
        destination=action.bound.destination,
        idempotency=action.bound.idempotency,
        playbook_version="",
        is_approved=False,
        arguments_json=None,
        attempted_at=None,
        event=None if action.is_group else action.event,
        results=results,
        members=members,
    )


class _Unknown(dict[str, str]):
    """Stands for a result's fields that nobody can know yet."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self._step = step

    def __missing__(self, name: str) -> str:
        return f"<{name} of {self._step}>"


def _placeholders(step: Step) -> dict[str, StepResult]:
    names = [*step.needs, *([step.follows] if step.follows else [])]
    return {name: StepResult(f"<id of {name}>", f"https://<{name}>", _Unknown(name)) for name in names}
