"""Takes released builds into the ledger, each whole and once, and plans what they lead to, in one transaction."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.contracts.conditions import resolve_path
from dagster_project.contracts.event import Build, BuildRefused, SignalEvent
from dagster_project.contracts.vocabulary import ActionState, Kind, Severity
from dagster_project.crash_points import reach
from dagster_project.ledger.cool_down import acted_since, note_cool_down
from dagster_project.ledger.database import Database
from dagster_project.ledger.listed_work import listed_contacts
from dagster_project.ledger.modes import mode_of
from dagster_project.ledger.planning import (
    RESTORED_LEDGER,
    BoundOperation,
    Plan,
    PlanFacts,
    PlannedAction,
    plan_build,
)
from dagster_project.ledger.readiness import refresh_lanes
from dagster_project.ledger.row_counts import Counted, Subject, add_counts, counted_action
from dagster_project.ledger.schema import actions, builds, events, facts, playbook_versions
from dagster_project.ledger.supersession import supersede
from dagster_project.ledger.transitions import chunks, write_audit

INCARNATION = "warehouse_incarnation"
ACTOR = "loop"


class BuildMismatch(BuildRefused):
    """A build's events are not what the build says; it is not taken in, and nothing of it was planned."""


class BuildTooLarge(BuildMismatch):
    """A build has more events than this process may read at once; it stays in the warehouse, whole."""


class WrongWarehouse(Exception):
    """The events come from another warehouse than the ledger is bound to (invariant 7)."""


@dataclass(frozen=True)
class IntakeReport:
    """What one build came to in the ledger."""

    build_id: str
    signal: str
    is_new: bool  # False where another process had taken it in already
    handling: str = ""
    events: int = 0
    actions: int = 0
    states: Mapping[str, int] | None = None
    guards: Mapping[Kind, str] | None = None


def bind_incarnation(database: Database, incarnation_id: str) -> None:
    """Binds a new ledger to its warehouse; a bound one refuses any other. Raises WrongWarehouse."""

    def work(connection: Connection) -> str:
        _insert_if_absent(connection, facts, {"name": INCARNATION, "value": incarnation_id})
        return connection.execute(select(facts.c.value).where(facts.c.name == INCARNATION)).scalar_one()

    with database.reading() as connection:
        bound = connection.execute(select(facts.c.value).where(facts.c.name == INCARNATION)).scalar()
    bound = bound if bound is not None else database.write(work)
    if bound != incarnation_id:
        raise WrongWarehouse(
            f"this ledger belongs to the warehouse {bound}, these events come from {incarnation_id}. Nothing was taken "
            "in. Point LOOP_LEDGER_URL at the ledger of this warehouse, or start a new one."
        )


def known_builds(database: Database, signal: str) -> set[str]:
    with database.reading() as connection:
        return set(connection.execute(select(builds.c.build_id).where(builds.c.signal == signal)).scalars())


def take_in(
    database: Database,
    build: Build,
    signal_events: Sequence[SignalEvent],
    signal: CatalogSignal,
    operations: Mapping[str, BoundOperation],
    is_baseline: bool,
    flagged_now: Mapping[str, Severity] | None = None,
    is_unaccounted: bool = False,
) -> IntakeReport:
    """Takes one build in.

    Parameters: the build; all of its events; its signal; what each step is bound to; whether it is a baseline (the
    build's own word, or a ledger that meets this signal for the first time); the severities flagged now, where a newer
    build exists; whether the ledger, before it was restored, may have acted on it. Raises BuildMismatch.
    """
    _check_counts(build, signal_events)

    def work(connection: Connection) -> IntakeReport:
        known = read_facts(connection, database.now(), signal, signal_events, is_baseline, flagged_now, is_unaccounted)
        return _take_in(connection, database.now(), build, signal_events, signal, operations, known)

    try:
        report = database.write(work, over=build.signal)
    except IntegrityError as error:
        if build.build_id in known_builds(database, build.signal):
            return IntakeReport(build.build_id, build.signal, is_new=False)
        raise BuildMismatch(
            f"build {build.build_id} of {build.signal} was not taken in: the ledger refused one of its rows "
            f"({error.orig}). Nothing of it was planned."
        ) from error
    reach("build_ingested")
    return report


def _check_counts(build: Build, signal_events: Sequence[SignalEvent]) -> None:
    found = {kind: sum(1 for event in signal_events if event.kind is kind) for kind in Kind}
    said = {kind: build.count_of(kind) for kind in Kind}
    if found != said:
        raise BuildMismatch(
            f"build {build.build_id} of {build.signal} says {_counts(said)}, its events in the warehouse are "
            f"{_counts(found)}. It was not taken in and nothing of it was planned; the next pass looks again."
        )


def _counts(by_kind: Mapping[Kind, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in by_kind.items())


def _take_in(
    connection: Connection,
    now: datetime,
    build: Build,
    signal_events: Sequence[SignalEvent],
    signal: CatalogSignal,
    operations: Mapping[str, BoundOperation],
    plan_facts: PlanFacts,
) -> IntakeReport:
    is_baseline = plan_facts.is_baseline
    version = signal.version.content_hash()
    spec = signal.spec.model_copy(update={"mode": mode_of(connection, signal.name, signal.spec.mode)})
    plan = plan_build(build, signal_events, spec, signal.version, operations, plan_facts)
    _insert_build(connection, build, plan, is_baseline, now)
    note_cool_down(connection, build.signal, spec.cool_down.as_timedelta() if spec.cool_down else None)
    _insert_events(connection, signal_events, plan)
    insert_version(connection, signal, version, now)
    ends = not is_baseline and Kind.RESOLVED not in plan.guards  # a wave that waits for a person ends nothing yet
    gone = [event for event in signal_events if event.kind is Kind.RESOLVED] if ends else []
    supersede(connection, build, gone, now)
    _insert_actions(connection, build, plan.actions, version, signal.spec.contact_entity(), now)
    depending = (a for a in plan.actions if a.step.follows or a.state is ActionState.DEAD)
    late = plan_facts.open_lanes | {a.event.entity_id for a in depending if a.event}
    refresh_lanes(connection, build.signal, late, now)
    reach("intake_open")
    return IntakeReport(
        build_id=build.build_id,
        signal=build.signal,
        is_new=True,
        handling="baseline" if is_baseline else "planned",
        events=len(signal_events),
        actions=len(plan.actions),
        states=_count_states(plan.actions),
        guards=plan.guards,
    )


def _count_states(planned: Iterable[PlannedAction]) -> dict[str, int]:
    states: dict[str, int] = {}
    for action in planned:
        if not action.is_group:
            states[action.state.value] = states.get(action.state.value, 0) + 1
    return states


def read_facts(
    connection: Connection,
    now: datetime,
    signal: CatalogSignal,
    signal_events: Sequence[SignalEvent],
    is_baseline: bool,
    flagged_now: Mapping[str, Severity] | None,
    is_unaccounted: bool = False,
) -> PlanFacts:
    """What planning has to know of the ledger about these events."""
    if is_baseline:
        return PlanFacts(is_baseline=True)
    entities = {event.entity_id for event in signal_events}
    contacts = {str(resolve_path(signal.spec.contact_path(), event.scope())) for event in signal_events}
    recent: set[str] = set()
    open_lanes: set[str] = set()
    for some in chunks(sorted(entities)):
        lane = (actions.c.signal == signal.name, actions.c.entity_id.in_(some))
        is_open: ColumnElement[bool] = actions.c.state.in_(("waiting", "held"))
        if is_unaccounted:  # groups get the keys that they had when nothing was held for being unaccounted for
            is_open = and_(is_open, actions.c.reason != RESTORED_LEDGER)
        open_lanes |= set(connection.execute(select(actions.c.entity_id).where(*lane, is_open)).scalars())
    if signal.spec.cool_down is not None:
        recent = set(acted_since(connection, signal.name, entities, now - signal.spec.cool_down.as_timedelta()))
    return PlanFacts(
        is_baseline=False,
        do_not_contact=listed_contacts(connection, signal.spec.contact_entity(), contacts),
        recently_acted=recent,
        open_lanes=open_lanes,
        flagged_now=None if is_unaccounted else flagged_now,
        is_unaccounted=is_unaccounted,
    )


def _insert_build(connection: Connection, build: Build, plan: Plan, is_baseline: bool, now: datetime) -> None:
    row = {
        name: getattr(build, name)
        for name in (
            "build_id", "signal", "build_no", "code_version", "criteria_version", "data_as_of", "population", "flagged",
            "opened", "escalated", "resolved", "captured_at", "released_at",
        )
    }  # fmt: skip
    handling = "baseline" if is_baseline else "planned"
    detail = "; ".join(plan.guards.values())
    connection.execute(insert(builds), {**row, "ingested_at": now, "handling": handling, "detail": detail})
    add_counts(connection, {Counted(build.signal, Subject.BUILD, handling): 1})
    entry = {"at": now, "actor": ACTOR, "verb": "ingested", "signal": build.signal, "build_id": build.build_id}
    write_audit(connection, [{**entry, "reason": handling, "detail": f"{build.event_count} events. {detail}".strip()}])


def _insert_events(connection: Connection, signal_events: Sequence[SignalEvent], plan: Plan) -> None:
    rows = [
        {
            "event_id": event.event_id,
            "build_id": event.build_id,
            "signal": event.signal,
            "entity_id": event.entity_id,
            "episode": event.episode,
            "kind": event.kind.value,
            "severity": event.severity.value,
            "score": event.score,
            "observed_at": event.observed_at,
            "emitted_at": event.emitted_at,
            "row_json": event.row_json,
            "reason": plan.unplanned.get(event.event_id, ""),
        }
        for event in signal_events
    ]
    if rows:
        connection.execute(insert(events), rows)
        add_counts(connection, Counter(_counted_event(event, plan) for event in signal_events))


def _counted_event(event: SignalEvent, plan: Plan) -> Counted:
    return Counted(event.signal, Subject.EVENT, event.kind.value, reason=plan.unplanned.get(event.event_id, ""))


def insert_version(connection: Connection, signal: CatalogSignal, version: str, now: datetime) -> None:
    content = json.dumps(signal.version.model_dump(mode="json", by_alias=True), sort_keys=True)
    row = {"version": version, "signal": signal.name, "playbook": signal.version.playbook.name, "content_json": content}
    _insert_if_absent(connection, playbook_versions, {**row, "first_seen_at": now})


def _insert_if_absent(connection: Connection, table: Any, row: Mapping[str, Any]) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).values(**row).on_conflict_do_nothing())


def _insert_actions(
    connection: Connection,
    build: Build,
    planned: Sequence[PlannedAction],
    version: str,
    contact_entity: str,
    now: datetime,
) -> None:
    if not planned:
        return
    connection.execute(insert(actions), [action_row(a, build, version, contact_entity, now) for a in planned])
    add_counts(connection, Counter(_counted_plan(action, build) for action in planned))
    write_audit(connection, [_planned_entry(action, build, now) for action in planned])


def _counted_plan(action: PlannedAction, build: Build) -> Counted:
    return counted_action(build.signal, action.step.name, action.is_group, action.state.value, action.reason)


def action_row(action: PlannedAction, build: Build, version: str, contact_entity: str, now: datetime) -> dict[str, Any]:
    is_settled = action.state in (ActionState.SUPPRESSED, ActionState.DEAD)
    return {
        "action_id": action.action_id,
        "is_group": action.is_group,
        "group_id": action.group_id,
        "event_id": action.event.event_id if action.event else None,
        "build_id": build.build_id,
        "build_no": build.build_no,
        "signal": build.signal,
        "entity_id": action.event.entity_id if action.event else None,
        "episode": action.event.episode if action.event else None,
        "kind": action.kind.value,
        "step": action.step.name,
        "step_index": action.step_index,
        "role": action.step.role,
        "destination": action.bound.destination,
        "operation": action.step.operation,
        "idempotency": action.bound.idempotency.value,
        "playbook_version": version,
        "severity_rank": action.severity_rank,
        "is_required": action.step.is_required and action.kind is Kind.OPENED,
        "contact_entity": contact_entity if action.contact_id is not None else None,
        "contact_id": action.contact_id,
        "state": action.state.value,
        "reason": action.reason,
        "detail": action.detail,
        "is_ready": action.is_ready,
        "is_sealed": False,
        "is_approved": False,
        "planned_at": now,
        "due_at": now,
        "attempts": 0,
        "settled_at": now if is_settled else None,
    }


def _planned_entry(action: PlannedAction, build: Build, now: datetime) -> dict[str, Any]:
    return {
        "at": now,
        "actor": ACTOR,
        "verb": "planned",
        "signal": build.signal,
        "build_id": build.build_id,
        "action_id": action.action_id,
        "to_state": action.state.value,
        "reason": action.reason,
        "detail": action.detail,
    }


def baseline_through(database: Database, signal: str, newest_found: int) -> int:
    """The number of the last build that is baseline because the ledger met the signal only then; 0 where none is.

    Noted before the first build is taken in, so that a first meeting that breaks off half-way stays one.
    Parameters: the ledger; the signal; the newest build that this pass has found (0 for none).
    """
    name = f"baseline_through:{signal}"

    def known(connection: Connection) -> str | None:
        found: str | None = connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()
        return found

    def work(connection: Connection) -> str:
        is_first = not connection.execute(
            select(func.count()).select_from(builds).where(builds.c.signal == signal)
        ).scalar_one()
        _insert_if_absent(connection, facts, {"name": name, "value": str(newest_found if is_first else 0)})
        return known(connection) or "0"

    with database.reading() as connection:
        value = known(connection)
    if value is None and newest_found:
        value = database.write(work, over=signal)
    return int(value or 0)
