"""Plans events of the past anew because a person asked for it: a baseline that is acted on, a range that is backfilled.

The keys stay what they were: an action's id follows from its event and step. So a step that was planned for an event is
never planned a second time, and what was delivered, or may have been, is never done again; only steps without an
action, and those that the loop itself chose not to do at the time (shadow, cool-down), are planned, under the playbook
in force.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.contracts.conditions import resolve_path
from dagster_project.contracts.event import Build, SignalEvent, group_id_for
from dagster_project.contracts.vocabulary import ActionState, Kind, Severity
from dagster_project.ledger.controls import Person
from dagster_project.ledger.cool_down import COOL_DOWN
from dagster_project.ledger.database import Database
from dagster_project.ledger.erasure import ERASED_JSON
from dagster_project.ledger.intake import action_row, insert_version, read_facts
from dagster_project.ledger.modes import mode_of
from dagster_project.ledger.planning import BoundOperation, PlannedAction, groups_of, plan_build
from dagster_project.ledger.readiness import refresh_groups, refresh_lanes
from dagster_project.ledger.row_counts import Counted, Subject, add_counts, counted_action
from dagster_project.ledger.schema import actions, builds, events
from dagster_project.ledger.transitions import Transition, apply_transitions, chunks, write_audit
from dagster_project.ledger.work import load_events

BASELINE = "baseline"
SHADOW = "shadow"
ACTED_ON_REQUEST = "acted_on_request"
# why an action was never tried, and may be now; whatever else is suppressed was decided by a person or by the facts
REOPENED_FROM = (SHADOW, COOL_DOWN, "need_suppressed")
KINDS = (Kind.OPENED.value, Kind.ESCALATED.value)  # an end that is past has nothing to undo that was not done


class NothingToReopen(Exception):
    """Nothing of what was asked for can be planned anew; nothing was changed."""


@dataclass(frozen=True)
class Range:
    """Which events are meant; every part that is given narrows it.

    Parameters: events or entities by their ids; when their build was captured; a column of the row and the text that it
    has to have; how many at most, the most severe first; whether the baseline is meant, or everything else.
    """

    ids: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    is_baseline: bool = False

    @property
    def is_everything(self) -> bool:
        return not (self.ids or self.since or self.until or self.where or self.limit)


@dataclass
class ReopenReport:
    """What was planned, or would be, and why the rest was not."""

    events: int = 0
    planned: Counter[str] = field(default_factory=Counter)  # actions by state
    left: Counter[str] = field(default_factory=Counter)  # events by reason


@dataclass(frozen=True)
class Reopening:
    """One request: the signal as it is in force, its bindings, who is flagged now, and whether a second person has to
    approve what is planned."""

    signal: CatalogSignal
    operations: Mapping[str, BoundOperation]
    flagged_now: Mapping[str, Severity]
    needs_approval: bool


def reopen(
    database: Database, wanted: Range, reopening: Reopening, person: Person, is_dry_run: bool = False
) -> ReopenReport:
    """Plans the events of a range anew, as normal events with guards and approval, in one transaction.

    Raises NothingToReopen where the range names nothing at all.
    """
    if wanted.is_everything:
        raise NothingToReopen("say which: ids, a time range, --where or --limit. Nothing was planned.")

    def work(connection: Connection) -> ReopenReport:
        return _reopen(connection, wanted, reopening, person, database.now(), is_dry_run)

    if is_dry_run:
        with database.reading() as connection:
            return work(connection)
    return database.write(work, over=reopening.signal.name)


def _reopen(
    connection: Connection, wanted: Range, reopening: Reopening, person: Person, now: datetime, is_dry_run: bool
) -> ReopenReport:
    report = ReopenReport()
    chosen = _chosen(connection, wanted, reopening, report)
    planned = _planned(connection, chosen, reopening, now, report)
    existing = _existing(connection, [event.event_id for event in chosen])
    kept = _not_done_yet(planned, existing)
    report.events = len({action.event.event_id for action in kept if action.event is not None})
    report.planned.update(action.state.value for action in kept if not action.is_group)
    unplanned = sum(report.left.values()) - report.left["episode_ended"] - report.left["personal_data_erased"]
    report.left["nothing_new_to_do"] += len(chosen) - report.events - unplanned
    report.left = +report.left
    if kept and not is_dry_run:
        _write(connection, kept, existing, reopening, person, now)
    return report


# --- which events


def _chosen(connection: Connection, wanted: Range, reopening: Reopening, report: ReopenReport) -> list[SignalEvent]:
    """The events of the range whose episode still runs, the most severe first."""
    where: list[ColumnElement[bool]] = [events.c.signal == reopening.signal.name, events.c.kind.in_(KINDS)]
    where.append(events.c.reason == BASELINE if wanted.is_baseline else events.c.reason != BASELINE)
    where += [builds.c.captured_at >= wanted.since] if wanted.since else []
    where += [builds.c.captured_at < wanted.until] if wanted.until else []
    if wanted.ids:
        where.append(events.c.event_id.in_(wanted.ids) | events.c.entity_id.in_(wanted.ids))
    query = select(events.c.event_id).join(builds, builds.c.build_id == events.c.build_id).where(*where)
    found = list(load_events(connection, connection.execute(query).scalars()).values())
    found = [event for event in found if _has(event, wanted.where)]
    report.left["personal_data_erased"] += sum(1 for event in found if event.row_json == ERASED_JSON)
    found = [event for event in found if event.row_json != ERASED_JSON]
    ended = _ended(connection, reopening.signal.name, found)
    report.left["episode_ended"] += sum(1 for event in found if (event.entity_id, event.episode) in ended)
    running = [event for event in found if (event.entity_id, event.episode) not in ended]
    running.sort(key=lambda event: (-event.severity.rank, -(event.score or 0.0), event.entity_id, event.event_id))
    return running[: wanted.limit]


def _has(event: SignalEvent, where: Mapping[str, str]) -> bool:
    return all(str(event.row.get(name)) == text for name, text in where.items())


def _ended(connection: Connection, signal: str, found: Sequence[SignalEvent]) -> set[tuple[str, int]]:
    ended: set[tuple[str, int]] = set()
    for lanes in chunks(sorted({event.entity_id for event in found})):
        resolved = (events.c.signal == signal, events.c.entity_id.in_(lanes), events.c.kind == Kind.RESOLVED.value)
        rows = connection.execute(select(events.c.entity_id, events.c.episode).where(*resolved))
        ended |= {(row.entity_id, row.episode) for row in rows}
    return ended


# --- what is planned


def _planned(
    connection: Connection, chosen: Sequence[SignalEvent], reopening: Reopening, now: datetime, report: ReopenReport
) -> list[PlannedAction]:
    """The plan of all chosen events, each within its own build, the guards over all of them together."""
    signal = reopening.signal
    facts = read_facts(connection, now, signal, chosen, is_baseline=False, flagged_now=reopening.flagged_now)
    facts = replace(facts, recently_acted=facts.recently_acted - _only_by_themselves(connection, chosen))
    spec = signal.spec.model_copy(update={"mode": mode_of(connection, signal.name, signal.spec.mode)})
    by_build: dict[str, list[SignalEvent]] = {}
    for event in chosen:
        by_build.setdefault(event.build_id, []).append(event)
    planned: list[PlannedAction] = []
    for row in _build_rows(connection, by_build):
        build = _as_build(row, chosen)
        plan = plan_build(build, by_build[row.build_id], spec, signal.version, reopening.operations, facts)
        report.left.update(plan.unplanned.values())
        planned += [action for action in plan.actions if not action.is_group]
    occasion = hashlib.sha256("|".join(sorted(event.event_id for event in chosen)).encode()).hexdigest()[:16]
    held = [_for_approval(action) for action in planned] if reopening.needs_approval else planned
    return [_in_group_of_its_own(action, occasion, reopening) for action in held]


def _only_by_themselves(connection: Connection, chosen: Sequence[SignalEvent]) -> set[str]:
    """Entities whose recent deliveries are those of the chosen events alone: these are no reason to cool down."""
    ids = {event.event_id for event in chosen}
    found: set[str] = set()
    for lanes in chunks(sorted({event.entity_id for event in chosen})):
        delivered = (
            actions.c.entity_id.in_(lanes),
            actions.c.kind == Kind.OPENED.value,
            actions.c.state == "delivered",
        )
        rows = connection.execute(select(actions.c.entity_id, actions.c.event_id).where(*delivered)).all()
        others = {row.entity_id for row in rows if row.event_id not in ids}
        found |= {row.entity_id for row in rows} - others
    return found


def _build_rows(connection: Connection, build_ids: Mapping[str, Any]) -> Sequence[Row[Any]]:
    found: list[Row[Any]] = []
    for ids in chunks(sorted(build_ids)):
        found += connection.execute(select(builds).where(builds.c.build_id.in_(ids))).all()
    return sorted(found, key=lambda row: row.build_no)


def _as_build(row: Row[Any], chosen: Sequence[SignalEvent]) -> Build:
    """A build as planning sees it: as large as the whole request, so that the guards look at all of it."""
    counts = Counter(event.kind for event in chosen)
    return Build(
        build_id=row.build_id,
        signal=row.signal,
        build_no=row.build_no,
        is_baseline=False,
        code_version=row.code_version or "",
        criteria_version=row.criteria_version or "",
        data_as_of=row.data_as_of,
        population=row.population,
        flagged=row.flagged,
        opened=counts[Kind.OPENED],
        escalated=counts[Kind.ESCALATED],
        resolved=0,
        captured_at=row.captured_at,
        released_at=row.released_at,
    )


def _for_approval(action: PlannedAction) -> PlannedAction:
    if action.state is not ActionState.WAITING:
        return action
    detail = "planned on a person's request; another person approves it"
    return replace(action, state=ActionState.HELD, reason=ACTED_ON_REQUEST, detail=detail, is_ready=False)


def _in_group_of_its_own(action: PlannedAction, occasion: str, reopening: Reopening) -> PlannedAction:
    """A group of this request: the build's own group of the same value was sealed, or sent, long ago."""
    if action.group_id is None or action.event is None:
        return action
    value = resolve_path(
        action.step.group_by or "", {**action.event.scope(), "parameters": reopening.signal.version.parameters}
    )
    group_id = group_id_for(action.event.build_id, action.step.name, f"{action.kind}|{value}|{occasion}")
    return replace(action, group_id=group_id)


def _existing(connection: Connection, event_ids: Sequence[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    for ids in chunks(event_ids):
        rows = connection.execute(select(actions).where(actions.c.event_id.in_(ids)))
        found |= {row.action_id: row for row in rows}
    return found


def _not_done_yet(planned: Sequence[PlannedAction], existing: Mapping[str, Row[Any]]) -> list[PlannedAction]:
    """Steps that have no action yet, or one that was never tried for a reason that is over; with their groups."""
    kept = []
    for action in planned:
        before = existing.get(action.action_id)
        was_left = before is not None and before.state == "suppressed" and before.reason in REOPENED_FROM
        changes = before is None or (was_left and action.state is not ActionState.SUPPRESSED)
        if changes:
            kept.append(action)
    return [*kept, *groups_of(kept)]


# --- how it is written


def _write(
    connection: Connection,
    kept: Sequence[PlannedAction],
    existing: Mapping[str, Row[Any]],
    reopening: Reopening,
    person: Person,
    now: datetime,
) -> None:
    signal, version = reopening.signal, reopening.signal.version.content_hash()
    insert_version(connection, signal, version, now)
    of_group = {action.group_id: action.event for action in kept if action.group_id and action.event}
    build_of = {row.build_id: row for row in _build_rows(connection, {e.build_id: 0 for e in _events_of(kept)})}
    rows = []
    for action in kept:
        event = action.event or of_group[action.action_id]
        build = _as_build(build_of[event.build_id], [])
        row = action_row(action, build, version, signal.spec.contact_entity(), now)
        rows.append({**row, "is_required": False, "is_ready": False})  # the promise counts from the build's own time
    new = [row for row in rows if row["action_id"] not in existing]
    if new:
        connection.execute(actions.insert(), new)
        add_counts(connection, Counter(_counted(row) for row in new))
    write_audit(connection, [_entry(row, person, now) for row in new])
    again = [row for row in rows if row["action_id"] in existing]
    apply_transitions(connection, [_again(existing[row["action_id"]], row, person) for row in again], person.name, now)
    _note_proposed(connection, rows, reopening, person, now)
    _are_planned(connection, sorted({event.event_id for event in _events_of(kept)}))
    refresh_lanes(connection, signal.name, {event.entity_id for event in _events_of(kept)}, now)
    refresh_groups(connection, [action.action_id for action in kept if action.is_group], now)


def _counted(row: Mapping[str, Any]) -> Counted:
    return counted_action(row["signal"], row["step"], row["is_group"], row["state"], row["reason"])


def _are_planned(connection: Connection, event_ids: Sequence[str]) -> None:
    """Events that were planned without any action have some now, and no reason any more."""
    changes: Counter[Counted] = Counter()
    for ids in chunks(event_ids):
        named = (events.c.event_id.in_(ids), events.c.reason != "")
        for row in connection.execute(select(events.c.signal, events.c.kind, events.c.reason).where(*named)):
            changes[Counted(row.signal, Subject.EVENT, row.kind, reason=row.reason)] -= 1
            changes[Counted(row.signal, Subject.EVENT, row.kind)] += 1
        connection.execute(update(events).where(*named).values(reason=""))
    add_counts(connection, changes)


def _events_of(kept: Sequence[PlannedAction]) -> list[SignalEvent]:
    return [action.event for action in kept if action.event is not None]


def _entry(row: Mapping[str, Any], person: Person, now: datetime) -> dict[str, Any]:
    return {
        "at": now,
        "actor": person.name,
        "verb": "planned",
        "signal": row["signal"],
        "build_id": row["build_id"],
        "action_id": row["action_id"],
        "to_state": row["state"],
        "reason": row["reason"],
        "detail": person.why,
    }


def _again(before: Row[Any], row: Mapping[str, Any], person: Person) -> Transition:
    """An action that was left at the time becomes what the playbook in force says."""
    state = ActionState(row["state"])
    kept = ("action_id", "state", "reason", "detail", "signal", "build_id", "planned_at")
    return Transition.of(
        before,
        state,
        "reopened",
        reason=row["reason"],
        detail=row["detail"] or person.why,
        columns={name: value for name, value in row.items() if name not in kept},
    )


def _note_proposed(
    connection: Connection, rows: Sequence[Mapping[str, Any]], reopening: Reopening, person: Person, now: datetime
) -> None:
    """Whoever asked has had a hand in it: where people sign in, somebody else approves."""
    if reopening.needs_approval:
        proposed = [{**_entry(row, person, now), "verb": "proposed", "to_state": None} for row in rows]
        write_audit(connection, [{**entry, "reason": ACTED_ON_REQUEST} for entry in proposed])
