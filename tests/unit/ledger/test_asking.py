"""Questions about held unknown outcomes: one that cannot be asked stops no other, and none takes a run's lease."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from delivery_on_bench import Connector, Hand, TextTo, hand, operation, texting
from ledger_bench import DELIVERED, LEASE, UNKNOWN, Bench, MakeBench, opened

from dagster_project.contracts.destination import IdempotencyClass, Outcome, Request
from dagster_project.ledger.controls import Person, pause, resume
from dagster_project.ledger.destination_state import CircuitPolicy, DestinationNews, record_news
from dagster_project.ledger.intake import bind_incarnation
from dagster_project.ledger.marks import FileMarks, Mark
from dagster_project.ledger.restoring import advance, recognise
from dagster_project.ledger.unknown_outcomes import unknown_count
from dagster_project.respond.asking import ask_until
from dagster_project.respond.reconciling import reconcile_unknown
from dagster_project.respond.restored import reconcile_restored

UNKEYED = IdempotencyClass.UNKEYED
POST = operation("chat_call", idempotency=UNKEYED)


def held_unknown(make_bench: MakeBench, *entities: str) -> Bench:
    """Messages of which nobody knows whether they were posted."""
    bench = make_bench(texting("tell", "chat"))
    bench.take_in(*(opened(entity, text=entity) for entity in entities))
    lost = Connector("slack", POST, answer=lambda _: UNKNOWN, found=lambda _: UNKNOWN)
    hand(bench, chat=lost).deliver()
    assert {(row.state, row.reason) for row in bench.rows()} == {("held", "unknown_outcome")}
    bench.clock.step(600)
    return bench


def ask(one: Hand) -> dict[str, int]:
    with one.at_work() as workshop:
        return asyncio.run(reconcile_unknown(workshop, ask_until(workshop)))


@pytest.mark.parametrize(
    ("today", "cause"),
    [
        ({}, "no destination is bound to the role 'chat' any more"),
        ({"chat": Connector("teams", POST)}, "planned for slack, and the role 'chat' is bound to teams now"),
        ({"chat": Connector("slack", operation("chat_post", idempotency=UNKEYED))}, "no operation 'chat_call'"),
        ({"chat": Connector("slack", operation("chat_call", TextTo, UNKEYED))}, "does not fit chat_call any more"),
    ],
    ids=["role gone", "role bound to another", "operation gone", "arguments changed"],
)
def test_what_cannot_be_asked_about_waits_for_a_person_and_says_why(
    make_bench: MakeBench, today: dict[str, Connector], cause: str
) -> None:
    bench = held_unknown(make_bench, "a", "b")
    one = hand(bench, **today)
    ask(one)
    assert [cause in row.detail for row in bench.rows()] == [True, True]
    assert {(row.state, row.reason) for row in bench.rows()} == {("held", "unknown_outcome")}
    assert len(one.said) == 2
    assert cause in one.said[0]
    assert unknown_count(bench.database, bench.signal.name) == 0, "no further run is asked for"
    assert bench.broken_laws() == []


def test_a_connector_that_breaks_over_one_question_answers_the_next(make_bench: MakeBench) -> None:
    bench = held_unknown(make_bench, "a", "b")

    def found(request: Request) -> Outcome:
        if request.key == bench.action("a", "tell").action_id:
            raise RuntimeError("a reply of a shape that nobody foresaw")
        return DELIVERED

    assert ask(hand(bench, chat=Connector("slack", POST, found=found))) == {"delivered": 1, "unknown": 1}
    assert bench.state("a", "tell") == ("held", "unknown_outcome")
    assert "RuntimeError" in bench.action("a", "tell").detail
    assert bench.state("b", "tell")[0] == "delivered"


def slow(bench: Bench, seconds: float = 20.0) -> Connector:
    """A connector whose every question takes so long and tells nothing."""

    def found(_request: Request) -> Outcome:
        bench.clock.step(seconds)
        return UNKNOWN

    return Connector("slack", POST, found=found)


def test_questions_end_when_a_sixth_of_the_lease_has_gone_and_the_next_run_goes_on(make_bench: MakeBench) -> None:
    bench = held_unknown(make_bench, *(f"e{n:02}" for n in range(8)))
    slack = slow(bench)
    first = hand(bench, chat=slack)
    began_at = bench.clock.now
    assert ask(first) == {"unknown": 3}
    assert bench.clock.now - began_at < LEASE / 3
    assert any("5 questions" in said for said in first.said)
    assert unknown_count(bench.database, bench.signal.name) == 5

    bench.clock.step(600)  # what was asked about first may be asked about again, and waits behind what never was
    ask(hand(bench, chat=slack))
    ask(hand(bench, chat=slack))
    assert len(set(slack.asked)) == 8


@pytest.mark.parametrize("why", ["paused", "circuit open", "asked to wait"])
def test_a_destination_that_takes_nothing_now_is_not_asked(make_bench: MakeBench, why: str) -> None:
    bench = held_unknown(make_bench, "a")
    if why == "paused":
        pause(bench.database, "destination:slack", Person("ada", "look into it"))
    else:
        news = DestinationNews(failures=1, had_success=False, retry_after=30.0 if why == "asked to wait" else None)
        record_news(bench.database, "slack", news, CircuitPolicy(1, 30, 900))
    slack = Connector("slack", POST, found=lambda _: DELIVERED)
    assert ask(hand(bench, chat=slack)) == {}
    assert slack.asked == []
    assert unknown_count(bench.database, bench.signal.name) == 0, "no run is asked for that could not ask"

    if why == "paused":
        resume(bench.database, "destination:slack", Person("ada", "it works"))
    bench.clock.step(60)
    assert unknown_count(bench.database, bench.signal.name) == 1
    assert ask(hand(bench, chat=slack)) == {"delivered": 1}


def test_a_restored_ledger_s_questions_end_with_their_share_of_the_lease_too(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    bench = make_bench(texting("tell", "chat"))
    bind_incarnation(bench.database, "w1")
    bench.take_in(*(opened(f"e{n}", text=f"e{n}") for n in range(5)))
    place = FileMarks(tmp_path / "mark.json")
    advance(bench.database, place)
    place.raise_to("w1", Mark(99, bench.clock(), {bench.signal.name: 1}))
    recognise(bench.database, place)
    asked = unknown_count(bench.database, bench.signal.name)
    slack = slow(bench)
    with hand(bench, chat=slack).at_work() as workshop:
        answers = asyncio.run(reconcile_restored(workshop, ask_until(workshop)))
    assert asked == 5
    assert answers == {"asked again later": 3}
    assert unknown_count(bench.database, bench.signal.name) == 2
