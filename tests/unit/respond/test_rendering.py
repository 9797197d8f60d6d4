"""From claimed work to the request that is sent, or to the reason why none is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.respond.work_samples import context_of, event, post, version_of, work

from dagster_project.contracts.event import SignalEvent
from dagster_project.contracts.playbook import PlaybookVersion
from dagster_project.ledger.intents import Rendering
from dagster_project.ledger.work import StepResult
from dagster_project.respond.fitting import load_arguments
from dagster_project.respond.rendering import (
    NEEDS_APPROVAL,
    NOT_RENDERED,
    choose_route,
    hold_reason,
    render,
    scope_of,
)
from dagster_project.respond.templating import render_text


def render_it(version: PlaybookVersion, *events: SignalEvent, rows: Any = None, **options: Any) -> Rendering:
    step = version.playbook.steps[0]
    return render(work(step, *events, **options), step, context_of(version, rows=rows))


def sent(rendering: Rendering) -> dict[str, Any]:
    assert rendering.arguments_json is not None, (rendering.reason, rendering.detail)
    found: dict[str, Any] = json.loads(rendering.arguments_json)
    return found


def test_a_request_is_stored_as_the_operation_takes_it() -> None:
    version = version_of(post(with_={"text": "{{ row.name }}: {{ event.score | percent }}"}))
    rendering = render_it(version, event(name="Ada"))
    assert sent(rendering)["text"] == "Ada: 91 %"
    assert (rendering.reason, rendering.is_held) == ("", False)
    operation = context_of(version).operation
    assert load_arguments(operation, rendering.arguments_json or "").model_dump_json() == rendering.arguments_json


def test_what_is_missing_makes_one_dead_letter_that_names_it() -> None:
    version = version_of(post(with_={"text": "{{ row.nmae }}"}))
    rendering = render_it(version, event())
    assert (rendering.arguments_json, rendering.reason) == (None, NOT_RENDERED)
    assert rendering.detail.startswith("text: ")
    assert "nmae" in rendering.detail


def test_a_row_that_was_not_found_is_named_with_its_key() -> None:
    enrich = {"plan": {"model": "customer_plans", "key": "customer_id"}}
    version = version_of(post(with_={"text": "{{ plan.name }}"}), enrich=enrich)
    rendering = render_it(version, event("c7"))
    assert rendering.reason == NOT_RENDERED
    assert "plan: customer_plans has no row for event.entity_id = c7" in rendering.detail
    assert sent(render_it(version, event("c7"), rows={"plan": {"c7": {"name": "Gold"}}}))["text"] == "Gold"


def test_arguments_that_the_operation_refuses_are_told_without_the_value() -> None:
    version = version_of(post(with_={"channel": "{{ row.phone }}"}))
    rendering = render_it(version, event(phone=["+49 30 1234567"]))
    assert (rendering.arguments_json, rendering.reason) == (None, "invalid_request")
    assert rendering.detail.startswith("channel: ")
    assert "1234567" not in rendering.detail


def test_text_that_is_no_unicode_is_refused_for_this_case_only() -> None:
    rendering = render_it(version_of(post(with_={"text": "{{ row.name }}"})), event(name="\ud800"))
    assert rendering.arguments_json is None
    assert rendering.reason in (NOT_RENDERED, "invalid_request")


# --- routes


def route(*rules: dict[str, Any], **parts: Any) -> PlaybookVersion:
    return version_of(post(with_={"text": "{{ route.to }}"}), routes={"to": list(rules)}, **parts)


@pytest.mark.parametrize(
    ("severity", "to"), [("critical", "first"), ("high", "second"), ("medium", "last"), ("low", "last")]
)
def test_the_first_rule_that_holds_decides_and_the_last_one_always_does(severity: str, to: str) -> None:
    version = route(
        {"when": {"severity": "critical"}, "use": "first"},
        {"when": {"severity": {"at_least": "high"}}, "use": "second"},
        {"use": "last"},
    )
    assert choose_route(version.playbook.routes["to"], event(severity=severity).scope()) == to


@pytest.mark.parametrize("use", [4, 1.5, True, None, ["a", "b"], {"a": 1}])
def test_a_route_may_lead_to_any_value(use: Any) -> None:
    assert choose_route(route({"use": use}).playbook.routes["to"], event().scope()) == use


def test_a_parameter_in_a_route_is_rendered() -> None:
    version = route({"use": "{{ parameters.channel }}"}, parameters={"channel": "#for-{{ row.team }}"})
    assert sent(render_it(version, event(team="blue")))["text"] == "#for-blue"


def test_a_value_that_comes_by_a_route_is_escaped_as_any_other() -> None:
    version = route({"use": "{{ row.name }}"})
    assert "<" not in sent(render_it(version, event(name="<!channel>")))["text"]
    by_parameter = route({"use": "{{ parameters.p }}"}, parameters={"p": "for {{ row.name }}"})
    assert "<" not in sent(render_it(by_parameter, event(name="<!channel>")))["text"]


def test_a_route_that_cannot_be_rendered_is_one_dead_letter_and_no_crash() -> None:
    rendering = render_it(route({"use": "{{ row.missing }}"}), event())
    assert (rendering.arguments_json, rendering.reason) == (None, NOT_RENDERED)
    assert "missing" in rendering.detail


# --- groups


def group(**changes: Any) -> PlaybookVersion:
    return version_of(post(group_by="row.supplier", **changes))


def test_a_group_sees_its_most_severe_member_first_and_the_sums_of_all() -> None:
    version = group(with_={"text": "{{ group.count }} {{ group.value }} {{ row.value }} {{ event.entity_id }}"})
    members = [event("b", "low", value="1.5"), event("c", "critical", value=10), event("a", "critical", value=3)]
    assert sent(render_it(version, *members))["text"] == "3 14.5 3 a"


def test_members_stand_in_order_of_severity() -> None:
    version = group(with_={"text": "{% for one in members %}{{ one.event.entity_id }}{% endfor %}"})
    assert sent(render_it(version, event("b", "low"), event("a", "high"), event("c", "high")))["text"] == "acb"


def test_a_group_names_the_members_that_were_part_of_it() -> None:
    assert render_it(group(), event("a"), event("b")).member_ids == ("action-a", "action-b")
    failing = group(with_={"text": "{{ row.missing }}"})
    assert render_it(failing, event("a"), event("b")).member_ids == ("action-a", "action-b")


def test_totals_cover_what_was_looked_up_and_leave_out_what_was_not_found() -> None:
    enrich = {"open": {"role": "erp", "lookup": "open_purchase_lines", "by": "row.sku"}}
    version = version_of(post(group_by="row.supplier"), enrich=enrich)
    step = version.playbook.steps[0]
    members = [event("a", sku="s1", qty=1), event("b", sku="s2", qty="2"), event("c", sku="s3", qty=None)]
    rows = {"open": {"s1": {"quantity": 4}, "s2": {"quantity": "0.5"}}}
    scope = scope_of(work(step, *members), context_of(version, rows=rows))
    assert scope["group"]["qty"] == 3
    assert scope["group"]["open"] == {"quantity": 4.5}
    assert scope["group"]["count"] == 3
    assert "reason" not in scope["group"]  # text has no sum
    assert len(scope["members"]) == 3


def test_results_of_earlier_steps_are_at_hand() -> None:
    version = version_of(post("next", needs=[], with_={"text": "{{ steps.first.url }} {{ steps.first.result.ts }}"}))
    first = StepResult(external_id="1", url="http://crm/1", result={"ts": "17.5"})
    assert sent(render_it(version, event(), first=first))["text"] == "http://crm/1 17.5"


# --- holds

LARGE, MANY = {"group.value": {"above": 5000}}, {"group.count": {"above": 2}}


@pytest.mark.parametrize(
    ("values", "is_held"),
    [([5000], False), ([5000.01], True), ([2000, 3000.5], True), ([1, 1, 1], True), ([1, 1], False), ([None], False)],
)
def test_any_of_the_conditions_holds_the_work(values: list[Any], is_held: bool) -> None:
    version = group(hold_when=[LARGE, MANY])
    rendering = render_it(version, *(event(f"e{i}", value=value) for i, value in enumerate(values)))
    assert rendering.is_held is is_held
    assert rendering.reason == (NEEDS_APPROVAL if is_held else "")
    assert rendering.arguments_json is not None  # what is held can be read before it is approved


def test_a_hold_says_what_was_asked() -> None:
    version = group(hold_when=[LARGE])
    assert render_it(version, event(value=6000)).detail == (
        'held for approval by the playbook: group.value {"above": 5000}'
    )


def test_what_a_person_approved_is_not_held_again() -> None:
    rendering = render_it(group(hold_when=[LARGE]), event(value=6000), is_approved=True)
    assert (rendering.is_held, rendering.reason) == (False, "")


def test_a_row_that_was_not_found_is_missing_in_a_condition_and_no_crash() -> None:
    enrich = {"plan": {"model": "customer_plans", "key": "customer_id"}}
    absent = version_of(post(hold_when=[{"plan": {"is_null": True}}]), enrich=enrich)
    assert render_it(absent, event()).is_held
    compared = version_of(post(hold_when=[{"plan.fee": {"above": 1}}, {"plan": "gold"}]), enrich=enrich)
    assert not render_it(compared, event()).is_held


def test_no_condition_holds_nothing() -> None:
    assert hold_reason(version_of(post()).playbook.steps[0], {}) == ""


def test_compiled_templates_are_kept_for_the_next_row() -> None:
    from dagster_project.respond import templating

    version = version_of(post(with_={"text": "kept {{ row.name }}"}))
    render_it(version, event("a", name="x"))
    before = templating._compiled.cache_info().misses
    render_it(version, event("b", name="y"))
    assert templating._compiled.cache_info().misses == before


def test_a_name_is_not_mistaken_for_a_template() -> None:
    assert render_text("{{ row.name }}", {"row": {"name": "{{ row.secret }}"}}) == "{{ row.secret }}"
