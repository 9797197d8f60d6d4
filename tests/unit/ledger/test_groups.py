"""Groups: sealed before their first call, one outcome for all members, and nobody's poison is another's delay."""

from __future__ import annotations

import pytest
from ledger_bench import (
    DELIVERED,
    FAILED,
    REJECTED,
    Bench,
    Clock,
    MakeBench,
    escalated,
    opened,
    rendering_of,
    resolved,
    step,
)

from dagster_project.ledger.claims import release
from dagster_project.ledger.controls import Person, Selection, approve, discard, reject, replay
from dagster_project.ledger.intents import Rendering
from dagster_project.ledger.removed_signals import hold_removed

ADA = Person("ada", "checking the list")
ORDER = step("order", role="erp", group_by="row.supplier")


def held_for_approval(bench: Bench) -> None:
    held = bench.claim()
    (item,) = bench.ready(held)
    rendering = rendering_of(item)
    asked = Rendering(
        item.action_id, rendering.arguments_json, "needs_approval", "above 5000", True, rendering.member_ids
    )
    bench.store(held, [asked])
    release(bench.database, held)


@pytest.mark.parametrize(
    ("outcome", "state"), [(DELIVERED, "delivered"), (FAILED, "waiting"), (REJECTED, "dead")], ids=lambda v: str(v)[:9]
)
def test_members_inherit_what_became_of_their_group(make_bench: MakeBench, outcome: object, state: str) -> None:
    bench = make_bench(ORDER, step("note", needs=("order",)))
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"), opened("c", supplier="t"))
    held = bench.claim()
    bench.settle(held, bench.begin(held, "order"), outcome)  # type: ignore[arg-type]

    assert {bench.state(name, "order")[0] for name in "abc"} == {state}
    assert {row.state for row in bench.rows(is_group=True)} == {state}
    assert len(bench.rows(is_group=True)) == 2
    assert bench.broken_laws() == []


def test_a_failed_group_goes_again_with_the_same_members_and_key(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(ORDER)
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    bench.run(FAILED)
    clock.step(60)

    (item,) = bench.ready(bench.claim(run="run-2"))
    assert item.action_id == bench.group("order").action_id
    assert item.arguments_json == '{"about": ["a", "b"]}'
    assert {member.event.entity_id for member in item.members} == {"a", "b"}


def test_a_resolved_member_leaves_a_group_that_is_not_sealed(make_bench: MakeBench) -> None:
    bench = make_bench(ORDER)
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    bench.take_in(resolved("a"))

    assert bench.state("a", "order") == ("suppressed", "superseded")
    (item,) = bench.ready(bench.claim())
    assert {member.event.entity_id for member in item.members} == {"b"}


def test_a_group_without_members_is_suppressed(make_bench: MakeBench) -> None:
    bench = make_bench(ORDER)
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    bench.take_in(resolved("a"), resolved("b"))

    assert (bench.group("order").state, bench.group("order").reason) == ("suppressed", "no_members")
    assert bench.claim().count == 0
    assert bench.broken_laws() == []


def test_a_member_that_resolved_between_reading_and_sealing_is_not_in_the_request(make_bench: MakeBench) -> None:
    bench = make_bench(ORDER)
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    held = bench.claim()
    (item,) = bench.ready(held)
    bench.take_in(resolved("a"))
    bench.render(held, [item])
    release(bench.database, held)

    second = bench.claim(run="run-2")
    bench.begin(second)
    (sent,) = bench.ready(second)

    assert sent.arguments_json == '{"about": ["b"]}'


def test_a_sealed_group_is_not_taken_apart(make_bench: MakeBench) -> None:
    bench = make_bench(ORDER)
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    held_for_approval(bench)
    bench.take_in(resolved("a"))

    assert [bench.state(name, "order") for name in "ab"] == [("held", "needs_approval")] * 2


def test_an_approved_group_is_sent_as_it_was_shown(make_bench: MakeBench) -> None:
    bench = make_bench(ORDER, step("tell", role="chat", needs=("order",), group_by="row.supplier"))
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    held_for_approval(bench)
    assert bench.claim(run="run-2").count == 0

    assert approve(bench.database, Selection(ids=(bench.action("a", "order").action_id,)), ADA) == 1
    assert [bench.state(name, "order") for name in "ab"] == [("waiting", "")] * 2
    bench.run(run="run-3")

    assert {row.state for row in bench.rows()} == {"delivered"}
    assert "approved" in bench.verbs(bench.action("b", "order").action_id)
    assert bench.broken_laws() == []


def test_a_rejected_group_takes_its_members_and_their_dependents_along(make_bench: MakeBench) -> None:
    bench = make_bench(ORDER, step("tell", role="chat", needs=("order",), group_by="row.supplier"))
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    held_for_approval(bench)

    assert reject(bench.database, Selection(ids=(bench.group("order").action_id,)), ADA) == 1

    assert [bench.state(name, "order") for name in "ab"] == [("suppressed", "rejected")] * 2
    assert [bench.state(name, "tell") for name in "ab"] == [("suppressed", "need_suppressed")] * 2
    assert (bench.group("tell").state, bench.group("tell").reason) == ("suppressed", "no_members")
    assert bench.broken_laws() == []


def test_a_group_waits_for_all_of_its_members_needs(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("join"), step("order", role="erp", needs=("join",), group_by="row.supplier"))
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    bench.run(lambda item: FAILED if item.event and item.event.entity_id == "a" else DELIVERED)
    assert bench.group("order").is_ready is False

    clock.step(60)
    bench.run(run="run-2")

    assert {row.state for row in bench.rows()} == {"delivered"}


def test_a_member_whose_need_died_delays_no_other(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"), step("order", role="erp", needs=("join",), group_by="row.supplier"))
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    bench.run(lambda item: REJECTED if item.event and item.event.entity_id == "a" else DELIVERED)

    assert bench.state("a", "order") == ("waiting", "need_dead")
    assert bench.state("b", "order") == ("delivered", "")
    assert bench.group("order").state == "delivered"
    assert bench.broken_laws() == []


def test_a_member_without_a_value_to_group_by_delays_no_other_group_of_its_event(make_bench: MakeBench) -> None:
    bench = make_bench(ORDER, step("tell", role="chat", needs=("order",), group_by="row.region"))
    bench.take_in(opened("a", supplier="s", region="north"), opened("poison", region="north"))
    bench.run_until_quiet()

    assert bench.state("poison", "order") == ("dead", "no_group_value")
    assert bench.state("poison", "tell") == ("waiting", "need_dead")
    assert bench.state("a", "tell") == ("delivered", "")


def test_an_entity_with_earlier_work_gets_a_group_of_its_own(make_bench: MakeBench) -> None:
    bench = make_bench(
        step("call", role="chat"),
        step("raise_it", role="erp", on=("escalated",), group_by="row.owner"),
    )
    bench.take_in(opened("slow"))
    bench.take_in(opened("fresh"))
    bench.run(lambda item: FAILED if item.event and item.event.entity_id == "slow" else DELIVERED)
    bench.take_in(escalated("slow", owner="o"), escalated("fresh", owner="o"))
    bench.run(run="run-2")

    assert bench.state("fresh", "raise_it", "escalated") == ("delivered", "")
    assert bench.state("slow", "raise_it", "escalated") == ("waiting", "")
    assert len(bench.rows(is_group=True)) == 2


def test_a_replayed_group_waits_behind_an_earlier_event_of_a_member_that_was_replayed_too(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(step("call"), step("raise_it", role="erp", on=("escalated",), group_by="row.owner"))
    bench.take_in(opened("a"))
    bench.run(REJECTED)
    bench.take_in(escalated("a", owner="o"))
    bench.run(REJECTED)

    assert replay(bench.database, Selection(reason="invalid_request"), ADA) == 2
    (first,) = bench.ready(bench.claim(run="run-2"))

    assert first.step == "call"


def test_a_discard_takes_no_member_out_of_a_group_under_way(make_bench: MakeBench) -> None:
    bench = make_bench(ORDER)
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    held = bench.claim()
    intents = bench.begin(held)
    discard(bench.database, Selection(signal=bench.signal.name), ADA)
    bench.settle(held, intents, DELIVERED)

    assert bench.group("order").state == "delivered"
    assert [bench.state(name, "order") for name in "ab"] == [("delivered", "")] * 2


def test_a_discard_of_a_whole_waiting_group_leaves_nothing_to_send(make_bench: MakeBench) -> None:
    bench = make_bench(ORDER)
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))

    assert discard(bench.database, Selection(signal=bench.signal.name), ADA) == 1
    assert {(row.state, row.reason) for row in bench.rows()} == {("suppressed", "discarded")}
    assert bench.claim().count == 0
    assert bench.broken_laws() == []


def test_a_member_left_out_of_its_sealed_group_goes_alone_once_its_need_is_replayed(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"), step("order", role="erp", needs=("join",), group_by="row.supplier"))
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    bench.run(lambda item: REJECTED if item.event and item.event.entity_id == "a" else DELIVERED)
    replay(bench.database, Selection(ids=(bench.action("a", "join").action_id,)), ADA)
    bench.run_until_quiet()

    assert bench.state("a", "order") == ("delivered", "")
    assert len(bench.attempts(bench.group("order").action_id)) == 1
    assert bench.broken_laws() == []


@pytest.mark.parametrize("is_sealed", [False, True], ids=["unsealed", "sealed"])
def test_a_signal_that_is_gone_for_a_moment_takes_no_group_apart(make_bench: MakeBench, is_sealed: bool) -> None:
    bench = make_bench(ORDER)
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    held = bench.claim()
    if is_sealed:
        bench.render(held, bench.ready(held))
    hold_removed(bench.database, [], bench.sweeping)

    assert {(row.state, row.reason) for row in bench.rows()} == {("waiting", "")}
    assert bench.broken_laws() == []
    release(bench.database, held)
    hold_removed(bench.database, [], bench.sweeping)
    assert {(row.state, row.reason) for row in bench.rows()} == {("held", "signal_removed")}
    assert approve(bench.database, Selection(reason="signal_removed"), ADA) == 1
    bench.run(run="run-2")
    assert {row.state for row in bench.rows()} == {"delivered"}
    assert bench.broken_laws() == []
