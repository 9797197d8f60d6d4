"""Intent before call, outcome after it, and what each outcome makes of its action."""

from __future__ import annotations

import pytest
from ledger_bench import (
    DELIVERED,
    FAILED,
    LEASE,
    REJECTED,
    RETRY,
    UNKNOWN,
    Bench,
    Clock,
    MakeBench,
    opened,
    resolved,
    step,
)

from dagster_project.contracts.destination import Outcome, ReasonFor, Verdict
from dagster_project.ledger.claims import release
from dagster_project.ledger.contacts import refresh_do_not_contact
from dagster_project.ledger.controls import Person, Selection, discard, pause, replay
from dagster_project.ledger.intents import Rendering
from dagster_project.ledger.schema import attempts, audit

ADA = Person("ada", "checking the list")


def claimed_and_rendered(bench: Bench) -> tuple[object, list[str]]:
    held = bench.claim()
    items = bench.ready(held)
    bench.render(held, items)
    return held, [item.action_id for item in items]


def test_an_intent_stands_in_the_ledger_before_the_call(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    (intent,) = bench.begin(bench.claim())

    (attempt,) = bench.attempts(intent.action_id)
    assert (attempt.number, attempt.verdict, attempt.run_id, attempt.begun_at) == (1, None, "run-1", clock())
    assert bench.verbs(intent.action_id) == ["planned", "attempted"]
    assert bench.action("a", "call").lease_until == clock() + LEASE


def test_a_delivery_keeps_what_the_destination_gave(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    clock.step(5)
    bench.run(DELIVERED)

    row = bench.action("a", "call")
    assert (row.state, row.external_id, row.url, row.result_json) == (
        "delivered",
        "ext-1",
        "http://crm/ext-1",
        '{"ts": "1.5"}',
    )
    assert (row.settled_at, row.lease_token, row.is_ready, row.attempts) == (clock(), None, False, 1)
    assert bench.verbs(row.action_id) == ["planned", "attempted", "delivered"]


def test_later_steps_see_the_results_of_those_they_need(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"), step("task", needs=("join",)), step("close", on=("resolved",), follows="join"))
    bench.take_in(opened("a"))
    held = bench.claim()
    bench.settle(held, bench.begin(held))

    (task,) = bench.ready(held)
    assert task.results["join"].external_id == "ext-1"
    bench.settle(held, bench.begin(held))
    bench.take_in(resolved("a"))
    (close,) = bench.ready(bench.claim(run="run-2"))
    assert close.results["join"].result == {"ts": "1.5"}


@pytest.mark.parametrize("subject", ["all", "signal:customer_churn_risk", "destination:hubspot"])
def test_no_intent_for_what_was_paused_since_it_was_rendered(make_bench: MakeBench, subject: str) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    held, ids = claimed_and_rendered(bench)
    pause(bench.database, subject, ADA)

    assert bench.intend(held, ids) == []
    assert bench.rows(attempts) == []
    assert bench.state("a", "call") == ("waiting", "")


def test_no_intent_for_who_was_listed_since_it_was_rendered(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("call"), step("tell", role="chat", needs=("call",), is_internal=True))
    bench.take_in(opened("a"), opened("b"))
    held, ids = claimed_and_rendered(bench)
    assert refresh_do_not_contact(bench.database, [("customer", "a", "asked us", clock())]) == 1
    assert refresh_do_not_contact(bench.database, [("customer", "a", "asked us", clock())]) == 0

    (intent,) = bench.intend(held, ids)

    assert intent.action_id == bench.action("b", "call").action_id
    assert bench.state("a", "call") == ("suppressed", "do_not_contact")
    assert bench.state("a", "tell") == ("suppressed", "need_suppressed")
    assert bench.broken_laws() == []


def test_no_intent_for_a_group_with_a_member_who_was_listed_since(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("mail", group_by="row.owner"))
    bench.take_in(opened("a", owner="o"), opened("b", owner="o"))
    held, ids = claimed_and_rendered(bench)
    refresh_do_not_contact(bench.database, [("customer", "a", "asked us", clock())])

    assert bench.intend(held, ids) == [], "the rendered request still names the listed customer"


def test_no_intent_under_a_lease_that_went_to_another_run(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    held, ids = claimed_and_rendered(bench)
    clock.step(LEASE.total_seconds())
    second = bench.claim(run="run-2")

    assert bench.intend(held, ids) == []
    assert len(bench.intend(second, ids)) == 1


def test_no_intent_for_what_was_superseded_since_it_was_rendered(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    held, ids = claimed_and_rendered(bench)
    bench.take_in(resolved("a"))

    assert bench.intend(held, ids) == []
    assert bench.state("a", "call") == ("suppressed", "superseded")


def test_no_intent_for_a_later_event_once_an_earlier_one_is_replayed(make_bench: MakeBench) -> None:
    bench = make_bench(step("call"), step("again", on=("resolved",)))
    bench.take_in(opened("a"))
    bench.run(REJECTED)
    bench.take_in(resolved("a"))
    held, ids = claimed_and_rendered(bench)
    assert ids == [bench.action("a", "again", "resolved").action_id]

    assert replay(bench.database, Selection(reason="invalid_request"), ADA) == 1

    assert bench.intend(held, ids) == []


def test_a_retry_waits_longer_each_time_and_the_last_one_dies(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    waits = []
    for _ in range(RETRY.max_attempts - 1):
        bench.run(FAILED)
        row = bench.action("a", "call")
        assert (row.state, row.reason, row.lease_token, row.is_ready) == ("waiting", "server_error", None, True)
        waits.append((row.due_at - clock()).total_seconds())
        clock.step(waits[-1])
    bench.run(FAILED)

    assert 15 <= waits[0] <= 30 <= waits[1] <= 60
    row = bench.action("a", "call")
    assert (row.state, row.reason, row.attempts) == ("dead", "server_error", 3)
    assert [one.number for one in bench.attempts(row.action_id)] == [1, 2, 3]
    assert bench.verbs(row.action_id) == ["planned", *["attempted", "retried"] * 2, "attempted", "died"]
    assert bench.broken_laws() == []


def test_a_retry_honours_the_wait_that_was_asked_for(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    bench.run(Outcome(Verdict.RETRY, ReasonFor.CONFLICT.value, retry_after=500.0))

    assert (bench.action("a", "call").due_at - clock()).total_seconds() == 500.0


def test_what_lies_with_the_whole_destination_burns_no_attempt(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    limited = Outcome(Verdict.RETRY, ReasonFor.RATE_LIMITED.value, retry_after=7.0, scope="destination")
    for _ in range(RETRY.max_attempts + 2):
        bench.run(limited)
        clock.step(7)

    row = bench.action("a", "call")
    assert (row.state, row.reason, row.attempts) == ("waiting", "rate_limited", 0)
    assert {one.is_counted for one in bench.attempts(row.action_id)} == {False}


def test_what_was_never_begun_waits_and_burns_no_attempt(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    held = bench.claim()
    not_begun = Outcome(Verdict.RETRY, "not_sent", "not begun: rate_limited", retry_after=3.0)
    bench.settle(held, bench.begin(held), not_begun, is_sent=False)

    row = bench.action("a", "call")
    assert (row.state, row.reason, row.attempts) == ("waiting", "not_sent", 0)


def test_a_rejected_action_is_dead_at_once_and_keeps_its_reason(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    bench.run(REJECTED)

    row = bench.action("a", "call")
    assert (row.state, row.reason, row.detail) == ("dead", "invalid_request", "400: no such field")


@pytest.mark.parametrize(
    ("role", "state"), [("crm", "waiting"), ("desk", "waiting"), ("erp", "waiting"), ("chat", "held")]
)
def test_an_unknown_outcome_is_repeated_only_where_that_is_harmless(
    make_bench: MakeBench, clock: Clock, role: str, state: str
) -> None:
    bench = make_bench(step("call", role=role))
    bench.take_in(opened("a"))
    bench.run(UNKNOWN)

    row = bench.action("a", "call")
    assert row.state == state
    assert row.attempts == 1
    if role == "erp":
        assert (row.due_at - clock()).total_seconds() >= 60.0


def test_an_unkeyed_step_that_accepts_a_second_effect_is_repeated(make_bench: MakeBench) -> None:
    bench = make_bench(step("tell", role="chat", is_at_least_once=True))
    bench.take_in(opened("a"))
    held = bench.claim()
    bench.settle(held, bench.begin(held), UNKNOWN, is_at_least_once=True)

    assert bench.state("a", "tell") == ("waiting", "timed_out")


def test_a_zombie_closes_its_own_attempt_and_nothing_else(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("tell", role="chat"))
    bench.take_in(opened("a"))
    zombie = bench.claim()
    intents = bench.begin(zombie)
    clock.step(LEASE.total_seconds())
    bench.claim(run="run-2")
    before, entries = bench.rows(), len(bench.rows(audit))

    report = bench.settle(zombie, intents, DELIVERED)

    assert (report.zombies, report.states) == (1, {})
    assert bench.rows() == before
    assert len(bench.rows(audit)) == entries
    assert [row.verdict for row in bench.attempts(intents[0].action_id)] == ["delivered"]


def test_a_zombie_s_delivery_beside_that_of_its_successor_breaks_no_law_where_keys_make_it_one_effect(
    make_bench: MakeBench, clock: Clock
) -> None:
    bench = make_bench(step("join", role="crm"))
    bench.take_in(opened("a"))
    zombie = bench.claim()
    intents = bench.begin(zombie)
    clock.step(LEASE.total_seconds())
    bench.claim(run="run-2")
    clock.step(60)
    bench.run(DELIVERED, run="run-3")
    bench.settle(zombie, intents, DELIVERED)

    assert bench.state("a", "join") == ("delivered", "")
    assert bench.broken_laws() == []


def test_dependents_go_with_a_dead_need_and_come_back_with_its_replay(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("join"), step("task", needs=("join",)), step("tell", role="chat", needs=("task",)))
    bench.take_in(opened("a"))
    bench.run(REJECTED)
    assert [bench.state("a", name) for name in ("task", "tell")] == [("waiting", "need_dead")] * 2
    assert bench.claim(run="run-2").count == 0

    assert replay(bench.database, Selection(ids=(bench.action("a", "join").action_id,)), ADA) == 1
    assert [bench.state("a", name) for name in ("join", "task", "tell")] == [("waiting", "")] * 3
    bench.run(DELIVERED, run="run-3")

    assert {row.state for row in bench.rows()} == {"delivered"}
    assert bench.broken_laws() == []


def test_dependents_of_a_suppressed_need_are_suppressed(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"), step("task", needs=("join",)), step("tell", role="chat", needs=("task",)))
    bench.take_in(opened("a"))
    discard(bench.database, Selection(ids=(bench.action("a", "join").action_id,)), ADA)

    assert [bench.state("a", name) for name in ("task", "tell")] == [("suppressed", "need_suppressed")] * 2


def test_a_poison_row_delays_no_other_entity(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"), step("task", needs=("join",)))
    bench.take_in(*(opened(name) for name in "abcde"))

    bench.run(lambda item: REJECTED if item.event and item.event.entity_id == "c" else DELIVERED)

    assert bench.state("c", "join") == ("dead", "invalid_request")
    assert {bench.state(name, "task") for name in "abde"} == {("delivered", "")}


def test_what_cannot_be_rendered_is_dead_with_its_reason_and_no_attempt(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"), step("task", needs=("join",)))
    bench.take_in(opened("a"))
    held = bench.claim()
    (item,) = bench.ready(held)
    bench.store(held, [Rendering(item.action_id, reason="not_rendered", detail="no row.email")])

    assert bench.state("a", "join") == ("dead", "not_rendered")
    assert bench.state("a", "task") == ("waiting", "need_dead")
    assert bench.rows(attempts) == []
    assert bench.action("a", "join").attempts == 0


def test_a_rendering_under_a_lost_lease_is_not_stored(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    first = bench.claim()
    items = bench.ready(first)
    clock.step(LEASE.total_seconds())
    second = bench.claim(run="run-2")
    bench.render(first, items)

    (item,) = bench.ready(second)
    assert item.arguments_json is None


def test_a_request_is_rendered_once_and_sent_as_it_was(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    bench.run(FAILED)
    clock.step(60)
    held = bench.claim(run="run-2")

    (item,) = bench.ready(held)
    assert item.arguments_json == '{"about": ["a"]}'
    release(bench.database, held)
