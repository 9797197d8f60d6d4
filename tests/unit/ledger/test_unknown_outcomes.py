"""Held unknown outcomes: asked about where the destination can tell, and left to a person where it cannot."""

from __future__ import annotations

from ledger_bench import DELIVERED, UNKNOWN, Bench, Clock, MakeBench, opened, step

from dagster_project.contracts.destination import Outcome, ReasonFor, Verdict
from dagster_project.ledger.controls import Person, Selection, reject
from dagster_project.ledger.unknown_outcomes import record_answer, unknown_count, unknown_work

NOT_DONE = Outcome(Verdict.RETRY, ReasonFor.NOT_FOUND.value, "no such message")


def held_unknown(make_bench: MakeBench, **more: object) -> Bench:
    bench = make_bench(step("tell", role="chat", **more), step("note", needs=("tell",)))
    bench.take_in(opened("a", owner="o"), opened("b", owner="o"))
    bench.run(lambda item: UNKNOWN if item.step == "tell" else DELIVERED)
    return bench


def test_a_held_unknown_outcome_is_offered_with_its_stored_request(make_bench: MakeBench) -> None:
    bench = held_unknown(make_bench)

    assert unknown_count(bench.database, bench.signal.name) == 2
    assert unknown_count(bench.database, "another") == 0
    items = unknown_work(bench.database, bench.signal.name, 10).items
    assert {item.arguments_json for item in items} == {'{"about": ["a"]}', '{"about": ["b"]}'}


def test_it_did_happen(make_bench: MakeBench) -> None:
    bench = held_unknown(make_bench)
    record_answer(bench.database, bench.action("a", "tell").action_id, DELIVERED)
    bench.run(run="run-2")

    assert bench.state("a", "tell") == ("delivered", "")
    assert bench.action("a", "tell").external_id == "ext-1"
    assert bench.state("a", "note") == ("delivered", "")
    assert bench.state("b", "note") == ("waiting", "")
    assert bench.broken_laws() == []


def test_it_did_not_happen_and_goes_again_without_a_further_attempt_counted(
    make_bench: MakeBench, clock: Clock
) -> None:
    bench = held_unknown(make_bench)
    record_answer(bench.database, bench.action("a", "tell").action_id, NOT_DONE)

    row = bench.action("a", "tell")
    assert (row.state, row.reason, row.is_ready) == ("waiting", "proved_not_done", True)
    assert row.attempts == 1, "one call was made"


def test_what_was_proved_not_done_is_delivered_once(make_bench: MakeBench) -> None:
    bench = held_unknown(make_bench)
    for entity in "ab":
        record_answer(bench.database, bench.action(entity, "tell").action_id, NOT_DONE)
    bench.run(run="run-2")

    assert {row.state for row in bench.rows()} == {"delivered"}
    assert bench.broken_laws() == []


def test_it_cannot_be_told_now_and_is_asked_again_later(make_bench: MakeBench, clock: Clock) -> None:
    bench = held_unknown(make_bench)
    record_answer(bench.database, bench.action("a", "tell").action_id, UNKNOWN)

    assert bench.state("a", "tell") == ("held", "unknown_outcome")
    assert unknown_count(bench.database, bench.signal.name) == 1
    clock.step(300)
    assert unknown_count(bench.database, bench.signal.name) == 2


def test_it_can_never_be_told_and_waits_for_a_person(make_bench: MakeBench, clock: Clock) -> None:
    bench = held_unknown(make_bench)
    record_answer(bench.database, bench.action("a", "tell").action_id, None)
    clock.step(86_400)

    assert bench.state("a", "tell") == ("held", "unknown_outcome")
    assert unknown_count(bench.database, bench.signal.name) == 1


def test_an_answer_that_comes_after_a_person_s_word_changes_nothing(make_bench: MakeBench) -> None:
    bench = held_unknown(make_bench)
    action_id = bench.action("a", "tell").action_id
    reject(bench.database, Selection(ids=(action_id,)), Person("ada", "seen in the channel"))
    record_answer(bench.database, action_id, DELIVERED)

    assert bench.state("a", "tell") == ("suppressed", "rejected")


def test_a_group_s_answer_is_its_members(make_bench: MakeBench) -> None:
    bench = held_unknown(make_bench, group_by="row.owner")
    assert unknown_count(bench.database, bench.signal.name) == 1
    record_answer(bench.database, bench.group("tell").action_id, DELIVERED)
    bench.run(run="run-2")

    assert {row.state for row in bench.rows()} == {"delivered"}
    assert bench.broken_laws() == []


def test_a_group_proved_not_done_goes_again(make_bench: MakeBench) -> None:
    bench = held_unknown(make_bench, group_by="row.owner")
    record_answer(bench.database, bench.group("tell").action_id, NOT_DONE)
    bench.run(run="run-2")

    assert {row.state for row in bench.rows()} == {"delivered"}
    assert bench.broken_laws() == []
