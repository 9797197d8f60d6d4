"""The cool-down against events that are planned before the first of them is delivered: one goes out, and only one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ledger_bench import DELIVERED, REJECTED, UNKNOWN, Bench, Clock, MakeBench, opened, operations_of, resolved, step

from dagster_project.contracts.playbook import Step
from dagster_project.contracts.vocabulary import Severity
from dagster_project.ledger.controls import Person, Selection, mark_done
from dagster_project.ledger.reopening import Range, Reopening, reopen

ADA = Person("ada", "asked for it")
MONTH = {"days": 30}
STEPS = (step("call"), step("tell", role="chat", needs=("call",)))


def three_at_once(make_bench: MakeBench, *steps: Step) -> Bench:
    bench = make_bench(*steps, cool_down=MONTH, lifecycle="occurrence")
    for episode in (1, 2, 3):
        bench.take_in(opened("a", episode=episode, supplier="s"), opened(f"once-{episode}", supplier="s"))
    return bench


@pytest.mark.parametrize("call", [step("call"), step("call", group_by="row.supplier")], ids=["single", "group"])
def test_of_three_planned_at_once_the_first_goes_out(make_bench: MakeBench, call: Step) -> None:
    bench = three_at_once(make_bench, call, STEPS[1])
    bench.run_until_quiet()

    for name, rest in (("call", "cool_down"), ("tell", "need_suppressed")):
        assert [bench.state("a", name, episode=n) for n in (1, 2, 3)] == [
            ("delivered", ""),
            *[("suppressed", rest)] * 2,
        ]
        assert {bench.state(f"once-{n}", name)[0] for n in (1, 2, 3)} == {"delivered"}
    assert "suppressed" in bench.verbs(bench.action("a", "call", episode=2).action_id)
    assert bench.broken_laws() == []


def test_where_the_first_comes_to_nothing_the_second_goes_out(make_bench: MakeBench) -> None:
    bench = three_at_once(make_bench, step("call"))
    bench.run_until_quiet(lambda item: REJECTED if item.event and item.event.episode == 1 else DELIVERED)

    found = [bench.state("a", "call", episode=episode) for episode in (1, 2, 3)]
    assert found == [("dead", "invalid_request"), ("delivered", ""), ("suppressed", "cool_down")]


def test_an_attempt_that_may_have_happened_counts_once_it_is_known(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("call"), cool_down=MONTH)
    bench.take_in(opened("a"))
    bench.run(UNKNOWN)
    bench.take_in(resolved("a"))
    bench.take_in(opened("a", episode=2))
    clock.step(4000)
    bench.run_until_quiet()

    assert bench.state("a", "call") == ("delivered", "")
    assert bench.state("a", "call", episode=2) == ("suppressed", "cool_down")


def test_what_a_person_notes_as_done_counts_too(make_bench: MakeBench) -> None:
    bench = make_bench(step("call", role="chat"), cool_down=MONTH, lifecycle="occurrence")
    bench.take_in(opened("a"))
    bench.run(UNKNOWN)
    bench.take_in(opened("a", episode=2))
    mark_done(bench.database, Selection(reason="unknown_outcome"), ADA)
    bench.run_until_quiet()

    assert bench.state("a", "call", episode=2) == ("suppressed", "cool_down")


def test_after_the_cool_down_what_waited_goes_out(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("call"), cool_down=MONTH, lifecycle="occurrence")
    bench.take_in(opened("a"))
    bench.take_in(opened("a", episode=2))
    first = bench.claim()
    bench.settle(first, bench.begin(first))
    clock.step(timedelta(**MONTH).total_seconds())
    bench.run_until_quiet()

    assert bench.state("a", "call", episode=2) == ("delivered", "")


def test_a_cool_down_that_its_file_no_longer_has_keeps_nothing_back(make_bench: MakeBench) -> None:
    bench = three_at_once(make_bench, step("call"))
    without = bench.signal.spec.model_copy(update={"cool_down": None})
    bench.signal = bench.signal.model_copy(update={"spec": without})
    bench.take_in(opened("b"))
    bench.run_until_quiet()

    assert {row.state for row in bench.rows()} == {"delivered"}


def test_what_was_left_for_its_cool_down_is_done_when_a_person_asks_for_it_later(
    make_bench: MakeBench, clock: Clock
) -> None:
    bench = three_at_once(make_bench, *STEPS)
    bench.run_until_quiet()
    clock.step(timedelta(**MONTH).total_seconds())
    asked = Reopening(bench.signal, operations_of(bench.signal), {"a": Severity.HIGH}, needs_approval=False)
    reopen(bench.database, Range(ids=(bench.action("a", "call", episode=2).event_id,)), asked, ADA)
    bench.run_until_quiet()

    assert [bench.state("a", name, episode=2)[0] for name in ("call", "tell")] == ["delivered"] * 2
    assert bench.state("a", "call", episode=3) == ("suppressed", "cool_down")
    assert bench.broken_laws() == []
