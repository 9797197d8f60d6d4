"""What the end of an episode does to work that was not sent, and what it leaves alone."""

from __future__ import annotations

import pytest
from ledger_bench import (
    DELIVERED,
    FAILED,
    LEASE,
    REJECTED,
    UNKNOWN,
    Clock,
    MakeBench,
    escalated,
    opened,
    resolved,
    step,
)

from dagster_project.ledger.controls import Person, Selection, approve, replay

STEPS = (
    step("task"),
    step("tell", role="chat", needs=("task",)),
    step("raise_it", on=("escalated",), follows="task"),
    step("close", on=("resolved",), follows="task"),
)


def test_unsent_work_of_the_episode_ends_and_nothing_is_compensated(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"), opened("b"))
    bench.take_in(escalated("a"))
    bench.take_in(resolved("a"))

    superseded = ("suppressed", "superseded")
    assert [bench.state("a", name) for name in ("task", "tell")] == [superseded] * 2
    assert bench.state("a", "raise_it", "escalated") == superseded
    assert bench.state("a", "close", "resolved") == ("suppressed", "nothing_to_follow")
    assert bench.state("b", "task") == ("waiting", "")
    assert bench.broken_laws() == []


def test_what_was_delivered_is_compensated_and_the_rest_ends(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"))
    bench.run(lambda item: DELIVERED if item.step == "task" else FAILED)
    bench.take_in(resolved("a"))
    bench.run(run="run-2")

    assert bench.state("a", "tell") == ("suppressed", "superseded")
    assert bench.state("a", "close", "resolved") == ("delivered", "")
    assert bench.broken_laws() == []


def test_a_call_under_way_is_left_alone_and_then_compensated(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"))
    held = bench.claim()
    intents = bench.begin(held)
    bench.take_in(resolved("a"))
    assert bench.state("a", "task") == ("waiting", "")
    assert bench.state("a", "tell") == ("suppressed", "superseded")

    bench.settle(held, intents, DELIVERED)
    bench.run(run="run-2")

    assert bench.state("a", "close", "resolved") == ("delivered", "")
    assert bench.broken_laws() == []


def test_the_call_of_a_dead_run_is_left_alone(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"))
    bench.begin(bench.claim())
    bench.take_in(resolved("a"))
    clock.step(LEASE.total_seconds() + 60)
    bench.run(run="run-2")
    clock.step(60)
    bench.run_until_quiet()

    assert bench.state("a", "task") == ("delivered", "")
    assert bench.state("a", "close", "resolved") == ("delivered", "")


@pytest.mark.parametrize("role", ["crm", "chat"])
def test_an_unknown_outcome_is_left_alone(make_bench: MakeBench, role: str) -> None:
    bench = make_bench(step("task", role=role), step("close", on=("resolved",), follows="task"))
    bench.take_in(opened("a"))
    bench.run(UNKNOWN)
    before = bench.state("a", "task")
    bench.take_in(resolved("a"))

    assert bench.state("a", "task") == before
    assert bench.state("a", "close", "resolved") == ("waiting", "")
    assert bench.claim(run="run-2").count == 0


def test_the_work_of_a_later_episode_is_left_alone(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a", episode=2))
    bench.take_in(resolved("a", episode=1))

    assert bench.state("a", "task", episode=2) == ("waiting", "")


def test_a_new_episode_goes_after_the_end_of_the_last_one(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"))
    bench.run()
    bench.take_in(resolved("a"))
    bench.take_in(opened("a", episode=2))
    bench.run(run="run-2")
    assert bench.state("a", "close", "resolved") == ("delivered", "")
    assert bench.state("a", "task", episode=2) == ("waiting", "")

    bench.run(run="run-3")
    assert bench.state("a", "task", episode=2) == ("delivered", "")


def test_a_dead_step_does_not_block_what_comes_later(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"))
    bench.run(REJECTED)
    bench.take_in(resolved("a"))

    assert bench.state("a", "task") == ("dead", "invalid_request")
    assert bench.state("a", "close", "resolved") == ("suppressed", "nothing_to_follow")
    assert bench.state("a", "tell") == ("suppressed", "superseded")


def test_work_held_for_a_person_is_superseded_too(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS, guards={"opened": {"count": 0}})
    bench.take_in(opened("a"))
    assert bench.state("a", "task") == ("held", "volume_guard")
    bench.take_in(resolved("a"))

    assert bench.state("a", "task") == ("suppressed", "superseded")


def test_a_wave_of_resolved_that_is_held_ends_no_work_before_a_person_has_looked(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS, guards={"resolved": {"count": 1}})
    bench.take_in(opened("a"), opened("b"))
    bench.take_in(resolved("a"), resolved("b"))

    assert [bench.state(name, "close", "resolved") for name in "ab"] == [("held", "volume_guard")] * 2
    assert [bench.state(name, "task") for name in "ab"] == [("waiting", "")] * 2


def test_an_approved_wave_of_resolved_compensates_what_was_delivered(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS, guards={"resolved": {"count": 0}})
    bench.take_in(opened("a"))
    bench.run()
    bench.take_in(resolved("a"))
    assert bench.claim(run="run-2").count == 0

    assert approve(bench.database, Selection(reason="volume_guard"), Person("ada", "seen")) == 1
    bench.run(run="run-3")

    assert bench.state("a", "close", "resolved") == ("delivered", "")


def test_work_replayed_after_its_episode_ended_goes_before_a_new_episode(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"))
    bench.run(REJECTED)
    bench.take_in(resolved("a"))
    replay(bench.database, Selection(reason="invalid_request"), Person("ada", "mended"))
    bench.take_in(opened("a", episode=2))
    bench.run(run="run-2")

    assert bench.state("a", "task", episode=1) == ("delivered", "")
    assert bench.state("a", "task", episode=2) == ("waiting", "")


def test_what_a_zombie_has_delivered_is_left_alone_and_then_compensated(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"))
    zombie = bench.claim()
    intents = bench.begin(zombie)
    clock.step(LEASE.total_seconds())
    bench.claim(run="run-2")
    bench.settle(zombie, intents, DELIVERED)
    bench.take_in(resolved("a"))
    clock.step(60)
    bench.run_until_quiet()

    assert bench.state("a", "task") == ("delivered", "")
    assert bench.state("a", "close", "resolved") == ("delivered", "")
    assert bench.broken_laws() == []
