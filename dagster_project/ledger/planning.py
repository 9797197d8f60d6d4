"""Decides, without touching anything, what one build's events lead to: actions, groups, and reasons for not acting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from dagster_project.contracts.conditions import holds, resolve_path
from dagster_project.contracts.destination import IdempotencyClass
from dagster_project.contracts.event import Build, SignalEvent, action_id_for, group_id_for
from dagster_project.contracts.playbook import PlaybookVersion, Step
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.vocabulary import ActionState, Kind, Lifecycle, Mode, Severity

RESTORED_LEDGER = "restored_ledger"  # why work is held that may have been done after the ledger's backup


@dataclass(frozen=True)
class BoundOperation:
    """What a step's role and operation came to under the settings in force."""

    destination: str
    idempotency: IdempotencyClass


@dataclass(frozen=True)
class PlanFacts:
    """What planning has to know beside the build itself; read by the ledger in the same transaction."""

    is_baseline: bool
    do_not_contact: Set[str] = frozenset()  # ids of the contact entity
    recently_acted: Set[str] = frozenset()  # entity ids inside the signal's cool-down
    open_lanes: Set[str] = frozenset()  # entity ids with unsettled actions of earlier events
    # severity of the entities that are flagged now; None where the build is the newest, so that its events are current
    flagged_now: Mapping[str, Severity] | None = None
    ended: Set[tuple[str, int]] = frozenset()  # entity id and episode of what a later build of the same pass ends
    is_unaccounted: bool = False  # an earlier life of a restored ledger may have acted on this build already


@dataclass(frozen=True)
class PlannedAction:
    action_id: str
    event: SignalEvent | None  # None for a group
    kind: Kind
    step: Step
    step_index: int
    bound: BoundOperation
    severity_rank: int
    state: ActionState
    reason: str = ""
    detail: str = ""
    is_ready: bool = False
    group_id: str | None = None
    contact_id: str | None = None  # whom it reaches; None where nobody outside

    @property
    def is_group(self) -> bool:
        return self.event is None


@dataclass(frozen=True)
class Plan:
    actions: tuple[PlannedAction, ...] = ()
    unplanned: Mapping[str, str] = field(default_factory=dict)  # event id -> reason, for events without any action
    guards: Mapping[Kind, str] = field(default_factory=dict)  # which guard held what, in words


def plan_build(
    build: Build,
    events: Sequence[SignalEvent],
    spec: SignalSpec,
    version: PlaybookVersion,
    operations: Mapping[str, BoundOperation],
    facts: PlanFacts,
) -> Plan:
    """The plan of one build.

    Parameters: the build and all of its events; the signal's spec; its playbook with settled parameters; for each step
    by name what it is bound to; the facts.
    """
    unplanned: dict[str, str] = {}
    actions: list[PlannedAction] = []
    guards = {} if facts.is_baseline or facts.is_unaccounted else exceeded_guards(build, spec)
    for event in events:
        reason = reason_not_to_plan(event, spec, facts)
        planned = [] if reason else _plan_event(event, spec, version, operations, facts, guards)
        if planned:
            actions += planned
        else:
            unplanned[event.event_id] = reason or "no_step_applies"
    return Plan(actions=(*actions, *groups_of(actions)), unplanned=unplanned, guards=guards)


def exceeded_guards(build: Build, spec: SignalSpec) -> dict[Kind, str]:
    """The kinds whose wave is larger than their guard lets through without a person's word."""
    exceeded = {}
    for kind in (Kind.OPENED, Kind.RESOLVED, *(k for k in spec.guards if k is Kind.ESCALATED)):
        limit = spec.guard_for(kind).limit(build.population)
        if build.count_of(kind) > limit:
            exceeded[kind] = f"{build.count_of(kind)} {kind} in one build, the guard lets {limit} pass"
    return exceeded


def guards_ends(told: str) -> bool:
    """Whether what a build's guards said, as it is kept with the build, holds its ends."""
    return f" {Kind.RESOLVED} in one build" in told


def reason_not_to_plan(event: SignalEvent, spec: SignalSpec, facts: PlanFacts) -> str:
    """Why an event leads to no action at all; empty where its steps are to be planned."""
    if facts.is_baseline:
        return "baseline"
    if _is_overtaken(event, spec, facts):
        return "no_longer_flagged"
    if event.kind is Kind.OPENED and event.entity_id in facts.recently_acted:
        return "cool_down"
    return ""


def _is_overtaken(event: SignalEvent, spec: SignalSpec, facts: PlanFacts) -> bool:
    """A build released late acts only for episodes that still run, at the event's severity or above."""
    if event.kind is not Kind.RESOLVED and (event.entity_id, event.episode) in facts.ended:
        return True
    if facts.flagged_now is None or event.kind is Kind.RESOLVED or spec.lifecycle is Lifecycle.OCCURRENCE:
        return False
    severity = facts.flagged_now.get(event.entity_id)
    return severity is None or severity.rank < event.severity.rank


def _plan_event(
    event: SignalEvent,
    spec: SignalSpec,
    version: PlaybookVersion,
    operations: Mapping[str, BoundOperation],
    facts: PlanFacts,
    guards: Mapping[Kind, str],
) -> list[PlannedAction]:
    scope = {**event.scope(), "parameters": version.parameters}
    planned: dict[str, PlannedAction] = {}
    contact = resolve_path(spec.contact_path(), scope)
    contact_id = None if contact is None else str(contact)
    for index, step in enumerate(version.playbook.steps):
        if event.kind not in step.on or not holds(step.when, scope):
            continue
        reached = None if step.is_internal else contact_id
        state, reason, detail = _first_state(event, reached, spec, facts, guards)
        action = PlannedAction(
            action_id=action_id_for(event.event_id, step.name),
            event=event,
            kind=event.kind,
            step=step,
            step_index=index,
            bound=operations[step.name],
            severity_rank=event.severity.rank,
            state=state,
            reason=reason,
            detail=detail,
            contact_id=reached,
        )
        action = _with_needs(action, planned)
        planned[step.name] = _with_group(
            action, scope, build_id=event.build_id, is_alone=event.entity_id in facts.open_lanes
        )
    is_first_in_lane = event.entity_id not in facts.open_lanes
    return [
        replace(a, is_ready=_is_to_be_asked(a) or (is_first_in_lane and _starts_ready(a))) for a in planned.values()
    ]


def _first_state(
    event: SignalEvent, reached: str | None, spec: SignalSpec, facts: PlanFacts, guards: Mapping[Kind, str]
) -> tuple[ActionState, str, str]:
    if spec.mode is Mode.SHADOW:
        return ActionState.SUPPRESSED, "shadow", ""
    if reached is not None and reached in facts.do_not_contact:
        return ActionState.SUPPRESSED, "do_not_contact", ""
    if facts.is_unaccounted:
        return ActionState.HELD, RESTORED_LEDGER, "its build was there before the ledger was restored; it may be done"
    if event.kind in guards:
        return ActionState.HELD, "volume_guard", guards[event.kind]
    return ActionState.WAITING, "", ""


def _with_needs(action: PlannedAction, planned: Mapping[str, PlannedAction]) -> PlannedAction:
    """A step whose need will never be delivered is not acted on either."""
    for need in action.step.needs:
        needed = planned.get(need)
        if needed is None or needed.state is ActionState.SUPPRESSED:
            if action.state is ActionState.SUPPRESSED:
                return action
            why = "was not planned" if needed is None else f"is suppressed: {needed.reason}"
            return replace(action, state=ActionState.SUPPRESSED, reason="need_suppressed", detail=f"{need} {why}")
    return action


def _with_group(action: PlannedAction, scope: Mapping[str, Any], build_id: str, is_alone: bool) -> PlannedAction:
    """Puts the action into its group. An entity with earlier work under way gets a group of its own, so that it delays
    nobody else's."""
    if action.step.group_by is None or action.state is ActionState.SUPPRESSED or action.event is None:
        return action
    value = resolve_path(action.step.group_by, scope)
    if value is None:
        detail = f"{action.step.group_by} is empty, so there is nothing to group by"
        return replace(action, state=ActionState.DEAD, reason="no_group_value", detail=detail)
    alone = f"|{action.event.entity_id}" if is_alone else ""
    return replace(action, group_id=group_id_for(build_id, action.step.name, f"{action.kind}|{value}{alone}"))


def _starts_ready(action: PlannedAction) -> bool:
    return action.state is ActionState.WAITING and not action.step.needs and action.step.follows is None


def _is_to_be_asked(action: PlannedAction) -> bool:
    """On held work `is_ready` says that its destination has not been asked about it yet."""
    return action.state is ActionState.HELD and action.reason == RESTORED_LEDGER


def groups_of(actions: Sequence[PlannedAction]) -> list[PlannedAction]:
    """One row for each group, in the state its members are in, as severe as its most severe member."""
    members: dict[str, list[PlannedAction]] = {}
    for action in actions:
        if action.group_id is not None:
            members.setdefault(action.group_id, []).append(action)
    return [
        replace(
            max(group, key=lambda a: a.severity_rank),
            action_id=group_id,
            event=None,
            group_id=None,
            contact_id=None,
            is_ready=all(a.is_ready for a in group),
        )
        for group_id, group in members.items()
    ]
