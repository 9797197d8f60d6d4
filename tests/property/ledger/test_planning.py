"""For any build: every event is planned or reasoned, groups agree with their members, and identities never change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ledger_bench import build_of, event_of, operations_of, signal_of, step

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.contracts.event import Build, SignalEvent, action_id_for
from dagster_project.contracts.playbook import Step
from dagster_project.contracts.vocabulary import ActionState, Kind, Severity
from dagster_project.ledger.planning import Plan, PlanFacts, PlannedAction, plan_build

ENTITIES = tuple("abcdef")
KINDS = st.lists(st.sampled_from(Kind), min_size=1, max_size=3, unique=True).map(tuple)


@st.composite
def playbook_steps(draw: st.DrawFn) -> list[Step]:
    names = ["s0", "s1", "s2", "s3"][: draw(st.integers(1, 4))]
    made = []
    for index, name in enumerate(names):
        made.append(
            step(
                name,
                draw(st.sampled_from(("crm", "erp", "chat", "desk"))),
                on=draw(KINDS),
                when=draw(st.sampled_from(({}, {"severity": {"at_least": "high"}}, {"row.owner": "o1"}))),
                needs=tuple(draw(st.lists(st.sampled_from(names[:index]), unique=True, max_size=2))) if index else (),
                follows=draw(st.none() | st.sampled_from(names)),
                group_by=draw(st.none() | st.sampled_from(("row.owner", "row.region"))),
                is_internal=draw(st.booleans()),
            )
        )
    return made


@dataclass(frozen=True)
class Case:
    build: Build
    events: list[SignalEvent]
    signal: CatalogSignal
    facts: PlanFacts

    def plan(self, events: Iterable[SignalEvent] | None = None) -> Plan:
        chosen = self.events if events is None else list(events)
        operations = operations_of(self.signal)
        return plan_build(self.build, chosen, self.signal.spec, self.signal.version, operations, self.facts)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    signal = signal_of(
        *draw(playbook_steps()),
        mode=draw(st.sampled_from(("live", "live", "shadow"))),
        lifecycle=draw(st.sampled_from(("state", "occurrence"))),
        guards={kind: {"count": draw(st.integers(0, 4))} for kind in draw(st.sets(st.sampled_from(Kind)))},
    )
    events = [
        event_of(
            signal.name,
            "b1",
            entity,
            draw(st.sampled_from(Kind)),
            draw(st.integers(1, 2)),
            draw(st.sampled_from(Severity)),
            **draw(st.fixed_dictionaries({}, optional={"owner": st.sampled_from(("o1", "o2")), "region": st.just(7)})),
        )
        for entity in draw(st.lists(st.sampled_from(ENTITIES), unique=True))
    ]
    some = st.frozensets(st.sampled_from(ENTITIES))
    facts = PlanFacts(
        is_baseline=draw(st.sampled_from((False, False, False, True))),
        do_not_contact=draw(some),
        recently_acted=draw(some),
        open_lanes=draw(some),
        flagged_now=draw(st.none() | st.dictionaries(st.sampled_from(ENTITIES), st.sampled_from(Severity), max_size=6)),
    )
    return Case(build_of(signal.name, 1, events), events, signal, facts)


def singles(plan: Plan) -> list[PlannedAction]:
    return [action for action in plan.actions if not action.is_group]


def groups(plan: Plan) -> list[PlannedAction]:
    return [action for action in plan.actions if action.is_group]


@given(cases())
def test_every_event_is_planned_or_has_the_reason_why_not(case: Case) -> None:
    plan = case.plan()
    planned = {action.event.event_id for action in singles(plan) if action.event}

    assert planned | set(plan.unplanned) == {event.event_id for event in case.events}
    assert planned & set(plan.unplanned) == set()
    assert all(plan.unplanned.values())


@given(cases())
def test_identities_are_the_event_s_and_the_step_s_alone(case: Case) -> None:
    plan = case.plan()

    assert case.plan() == plan
    ids = [action.action_id for action in plan.actions]
    assert len(ids) == len(set(ids))
    for action in singles(plan):
        assert action.event
        assert action.action_id == action_id_for(action.event.event_id, action.step.name)
        assert action.severity_rank == action.event.severity.rank


@given(cases(), st.randoms())
def test_the_order_of_the_events_does_not_matter(case: Case, random: Any) -> None:
    shuffled = list(case.events)
    random.shuffle(shuffled)

    def told(plan: Plan) -> set[tuple[object, ...]]:
        return {(a.action_id, a.state, a.reason, a.is_ready, a.group_id, a.severity_rank) for a in plan.actions}

    assert told(case.plan(shuffled)) == told(case.plan())


@given(cases())
def test_a_group_is_in_its_members_state_and_as_severe_as_the_worst(case: Case) -> None:
    plan = case.plan()
    members: dict[str, list[PlannedAction]] = {}
    for action in singles(plan):
        if action.group_id is not None:
            members.setdefault(action.group_id, []).append(action)

    assert set(members) == {group.action_id for group in groups(plan)}
    for group in groups(plan):
        mine = members[group.action_id]
        assert {(m.state, m.step.name, m.kind) for m in mine} == {(group.state, group.step.name, group.kind)}
        assert group.severity_rank == max(m.severity_rank for m in mine)
        assert group.is_ready == all(m.is_ready for m in mine)
        assert len({m.event.row[str(group.step.group_by).removeprefix("row.")] for m in mine if m.event}) == 1


@given(cases())
def test_an_entity_with_earlier_work_shares_no_group(case: Case) -> None:
    shared: dict[str, set[str]] = {}
    for action in singles(case.plan()):
        if action.group_id is not None and action.event:
            shared.setdefault(action.group_id, set()).add(action.event.entity_id)

    assert all(len(entities) == 1 for entities in shared.values() if entities & case.facts.open_lanes)


@given(cases())
def test_whatever_is_not_waiting_says_why(case: Case) -> None:
    for action in case.plan().actions:
        assert (action.reason == "") == (action.state is ActionState.WAITING)


@given(cases())
def test_what_is_ready_stands_behind_nothing(case: Case) -> None:
    for action in singles(case.plan()):
        if action.is_ready:
            assert action.event
            assert action.state is ActionState.WAITING
            assert not action.step.needs
            assert action.step.follows is None
            assert action.event.entity_id not in case.facts.open_lanes


@given(cases())
def test_nothing_is_done_whose_need_will_not_be(case: Case) -> None:
    plan = case.plan()
    states = {(a.event.event_id, a.step.name): a.state for a in singles(plan) if a.event}
    for action in singles(plan):
        assert action.event
        needs = [states.get((action.event.event_id, need)) for need in action.step.needs]
        if None in needs or ActionState.SUPPRESSED in needs:
            assert action.state is ActionState.SUPPRESSED


@given(cases())
def test_no_baseline_shadow_wave_or_listed_contact_is_sent(case: Case) -> None:
    plan = case.plan()
    sendable = [action for action in singles(plan) if action.state is ActionState.WAITING]
    if case.facts.is_baseline:
        assert plan.actions == ()
    if case.signal.spec.mode == "shadow":
        assert sendable == []
    for action in sendable:
        assert action.event
        assert action.kind not in plan.guards
        assert action.step.is_internal or action.event.entity_id not in case.facts.do_not_contact


@given(cases())
def test_a_wave_is_held_exactly_where_it_is_larger_than_its_guard(case: Case) -> None:
    plan = case.plan()
    expected = {
        kind
        for kind in Kind
        if case.build.count_of(kind) > case.signal.spec.guard_for(kind).limit(case.build.population)
    }

    assert set(plan.guards) == (set() if case.facts.is_baseline else expected)
