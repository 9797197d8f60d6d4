"""Who gets which work, when, and that no two runs ever hold the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from ledger_bench import DELIVERED, FAILED, LEASE, UNKNOWN, Clock, MakeBench, escalated, opened, step
from sqlalchemy import insert

from dagster_project.ledger.claims import due_count, most_severe_due, release, renew
from dagster_project.ledger.controls import Person, pause, resume
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import destinations

ADA = Person("ada", "checking the list")


def test_the_most_severe_goes_first_and_the_limit_holds(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.take_in(opened("low", severity="low"), opened("top", severity="critical"), opened("mid", severity="medium"))

    first, second = bench.claim(limit=1), bench.claim(limit=1)

    assert [item.event.entity_id for item in bench.ready(first) if item.event] == ["top"]
    assert [item.event.entity_id for item in bench.ready(second) if item.event] == ["mid"]
    assert due_count(bench.database, bench.signal.name) == 1


def test_the_rank_of_what_is_due_is_that_of_the_most_severe(make_bench: MakeBench) -> None:
    bench = make_bench()
    assert most_severe_due(bench.database, bench.signal.name) == 0
    bench.take_in(opened("low", severity="low"), opened("top", severity="critical"))
    ranks = sorted(row.severity_rank for row in bench.rows() if row.is_ready)

    assert most_severe_due(bench.database, bench.signal.name) == ranks[-1]
    bench.claim(limit=1)
    assert most_severe_due(bench.database, bench.signal.name) == ranks[0] < ranks[-1]


def test_among_equals_the_longest_due_goes_first(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("first"))
    clock.step(60)
    bench.take_in(opened("second"))

    (item,) = bench.ready(bench.claim(limit=1))

    assert item.event is not None
    assert item.event.entity_id == "first"


def test_a_claim_takes_the_rest_of_its_events_along(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"), step("task", needs=("join",)), step("tell", role="chat", needs=("task",)))
    bench.take_in(opened("a"), opened("b", severity="low"))

    held = bench.claim(limit=1)
    bench.work_off(held)

    assert [bench.state("a", name)[0] for name in ("join", "task", "tell")] == ["delivered"] * 3
    assert [bench.state("b", name)[0] for name in ("join", "task", "tell")] == ["waiting"] * 3


def test_a_claimed_group_brings_the_other_steps_of_its_events(make_bench: MakeBench) -> None:
    bench = make_bench(
        step("order", role="erp", group_by="row.supplier"),
        step("tell", role="chat", needs=("order",), group_by="row.supplier"),
        step("note", needs=("order",)),
    )
    bench.take_in(opened("a", supplier="s1"), opened("b", supplier="s1"))

    held = bench.claim(limit=1)
    bench.work_off(held)

    assert {row.state for row in bench.rows()} == {"delivered"}
    assert bench.attempts(bench.action("a", "order").action_id) == []
    assert len(bench.attempts(bench.group("order").action_id)) == 1
    assert bench.broken_laws() == []


def test_a_lease_keeps_others_off_until_it_ends(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    bench.claim()

    clock.step(LEASE.total_seconds() - 1)
    assert bench.claim(run="run-2").count == 0
    clock.step(1)
    assert bench.claim(run="run-2").count == 1


def test_a_renewed_lease_lasts_and_a_lost_one_is_not_taken_back(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    first = bench.claim()
    clock.step(200)
    renew(bench.database, first, LEASE)
    clock.step(200)
    assert bench.claim(run="run-2").count == 0

    clock.step(200)
    second = bench.claim(run="run-2")
    renew(bench.database, first, LEASE)

    assert second.count == 1
    assert bench.action("a", "call").lease_token == second.token


def test_what_is_given_back_may_be_taken_at_once(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    release(bench.database, bench.claim())

    assert bench.claim(run="run-2").count == 1


@pytest.mark.parametrize("subject", ["all", "signal:customer_churn_risk", "destination:hubspot"])
def test_a_pause_keeps_work_and_its_end_lets_it_go(make_bench: MakeBench, subject: str) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))

    assert pause(bench.database, subject, ADA)
    assert not pause(bench.database, subject, ADA)
    assert (due_count(bench.database, bench.signal.name), bench.claim().count) == (0, 0)
    assert bench.state("a", "call") == ("waiting", "")

    assert resume(bench.database, subject, ADA)
    assert not resume(bench.database, subject, ADA)
    assert (due_count(bench.database, bench.signal.name), bench.claim().count) == (1, 1)


def test_the_pause_of_one_signal_or_destination_is_no_other_s(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"), step("tell", role="chat"))
    bench.take_in(opened("a"))
    pause(bench.database, "signal:another", ADA)
    pause(bench.database, "destination:hubspot", ADA)

    bench.run()

    assert bench.state("a", "join") == ("waiting", "")
    assert bench.state("a", "tell") == ("delivered", "")


@pytest.mark.parametrize("column", ["open_until", "not_before"])
def test_work_waits_while_its_destination_is_closed(make_bench: MakeBench, clock: Clock, column: str) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    clock.step(1)
    closed = {"destination": "hubspot", "changed_at": clock(), column: clock()}
    clock.step(-1)
    with bench.database.writing() as connection:
        connection.execute(insert(destinations), closed)

    assert bench.claim().count == 0
    clock.step(1)
    assert bench.claim().count == 1


def test_a_later_event_is_not_due_before_the_earlier_one_is_done(make_bench: MakeBench) -> None:
    bench = make_bench(step("call"), step("raise_it", on=("escalated",), follows="call"))
    bench.take_in(opened("a"))
    bench.take_in(escalated("a"))
    assert due_count(bench.database, bench.signal.name) == 1

    bench.run()
    assert bench.state("a", "raise_it", "escalated") == ("waiting", "")
    bench.run()
    assert bench.state("a", "raise_it", "escalated") == ("delivered", "")


def test_the_open_attempt_of_a_dead_run_is_settled_before_anything_is_claimed(
    make_bench: MakeBench, clock: Clock
) -> None:
    bench = make_bench(step("join"), step("ask", role="desk"), step("order", role="erp"), step("tell", role="chat"))
    bench.take_in(opened("a"))
    bench.begin(bench.claim())
    clock.step(LEASE.total_seconds())

    assert bench.claim(run="run-2").count == 0

    assert bench.state("a", "join") == ("waiting", "reply_lost")
    assert bench.state("a", "ask") == ("waiting", "reply_lost")
    assert bench.state("a", "order") == ("waiting", "reply_lost")
    assert bench.state("a", "tell") == ("held", "unknown_outcome")
    assert [row.verdict for row in bench.attempts(bench.action("a", "tell").action_id)] == ["unknown"]
    due_in = (bench.action("a", "order").due_at - clock()).total_seconds()
    assert due_in >= 60.0, "an unknown find-then-create waits out the server's limit"
    clock.step(3600)
    assert bench.claim(run="run-3").count == 3
    assert bench.broken_laws() == []


def test_a_dead_run_without_open_attempts_loses_nothing(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    held = bench.claim()
    bench.render(held, bench.ready(held))
    clock.step(LEASE.total_seconds())

    bench.run(run="run-2")

    assert bench.state("a", "call") == ("delivered", "")
    assert len(bench.attempts(bench.action("a", "call").action_id)) == 1


def test_the_open_attempt_of_a_group_is_settled_for_all_its_members(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("tell", role="chat", group_by="row.owner"))
    bench.take_in(opened("a", owner="o"), opened("b", owner="o"))
    bench.begin(bench.claim())
    clock.step(LEASE.total_seconds())
    bench.claim(run="run-2")

    assert bench.group("tell").state == "held"
    assert [bench.state(entity, "tell") for entity in "ab"] == [("held", "unknown_outcome")] * 2
    assert bench.broken_laws() == []


def test_more_lost_attempts_than_one_sweep_takes_are_never_claimed_unswept(
    make_bench: MakeBench, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagster_project.ledger.sweep.SWEEP_LIMIT", 1)
    bench = make_bench(step("tell", role="chat"))
    bench.take_in(opened("a"), opened("b"), opened("c"))
    bench.begin(bench.claim())
    clock.step(LEASE.total_seconds())

    for run in ("run-2", "run-3", "run-4"):
        bench.run(DELIVERED, run=run)

    assert {bench.state(entity, "tell") for entity in "abc"} == {("held", "unknown_outcome")}


def test_giving_back_a_claim_leaves_calls_under_way_to_the_sweep(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("tell", role="chat"))
    bench.take_in(opened("a"))
    held = bench.claim()
    bench.begin(held)
    release(bench.database, held)
    bench.run(DELIVERED, run="run-2")
    clock.step(LEASE.total_seconds())
    bench.run(DELIVERED, run="run-3")

    assert bench.state("a", "tell") == ("held", "unknown_outcome")
    assert len(bench.attempts(bench.action("a", "tell").action_id)) == 1


def test_an_unkeyed_step_that_accepts_a_second_effect_is_sent_again_after_a_dead_run(
    make_bench: MakeBench, clock: Clock
) -> None:
    bench = make_bench(step("tell", role="chat", is_at_least_once=True))
    bench.take_in(opened("a"))
    bench.begin(bench.claim())
    clock.step(LEASE.total_seconds())
    bench.claim(run="run-2")

    assert bench.state("a", "tell") == ("waiting", "reply_lost")


def test_claimers_at_once_never_share_an_action(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"), step("ask", role="desk"), step("tell", role="chat", needs=("join",)))
    bench.take_in(*(opened(f"e{number}") for number in range(60)))

    def claim_and_begin(number: int) -> list[str]:
        held = bench.claim(limit=20, run=f"run-{number}")
        return [intent.action_id for intent in bench.begin(held)]

    with ThreadPoolExecutor(6) as pool:
        taken = [action_id for ids in pool.map(claim_and_begin, range(12)) for action_id in ids]

    assert len(taken) == len(set(taken)) == 120
    assert {len(bench.attempts(action_id)) for action_id in taken} == {1}


def test_runs_at_once_bring_every_event_to_its_end(
    make_bench: MakeBench, database: Database, request: pytest.FixtureRequest
) -> None:
    bench = make_bench(
        step("join"),
        step("order", role="erp", group_by="row.owner"),
        step("tell", role="chat", needs=("join", "order")),
    )
    bench.take_in(*(opened(f"e{number}", owner=f"o{number % 4}") for number in range(24)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: bench.run(limit=3, run=f"run-{number}"), range(16)))
    bench.run_until_quiet()

    assert {row.state for row in bench.rows()} == {"delivered"}
    assert {len(bench.attempts(row.action_id)) for row in bench.rows(group_id=None)} == {1}
    assert bench.broken_laws() == []


def test_work_that_failed_is_not_taken_again_before_it_is_due(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    bench.run(FAILED)
    assert bench.claim(run="run-2").count == 0

    clock.step(30)
    assert bench.claim(run="run-3").count == 1


def test_an_action_held_for_an_unknown_outcome_is_nobody_s_to_claim(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("tell", role="chat"))
    bench.take_in(opened("a"))
    bench.run(UNKNOWN)
    clock.step(100_000)

    assert bench.claim(run="run-2").count == 0
