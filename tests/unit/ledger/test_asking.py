"""Questions about held unknown outcomes: one that cannot be asked stops no other, and none takes a run's lease."""

from __future__ import annotations

import asyncio

import pytest
from delivery_on_bench import Connector, Hand, TextTo, hand, operation, texting
from ledger_bench import DELIVERED, UNKNOWN, Bench, MakeBench, opened

from dagster_project.contracts.destination import IdempotencyClass, Outcome, Request
from dagster_project.ledger.unknown_outcomes import unknown_count
from dagster_project.respond.reconciling import reconcile_unknown

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
        return asyncio.run(reconcile_unknown(workshop))


@pytest.mark.parametrize(
    ("today", "cause"),
    [
        ({}, "no destination is bound to the role 'chat' any more"),
        ({"chat": Connector("slack", operation("chat_post", idempotency=UNKEYED))}, "no operation 'chat_call'"),
        ({"chat": Connector("slack", operation("chat_call", TextTo, UNKEYED))}, "does not fit chat_call any more"),
    ],
    ids=["role gone", "operation gone", "arguments changed"],
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
