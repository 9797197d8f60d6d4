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
    operations_of,
    resolved,
    step,
)

from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.contracts.vocabulary import Severity
from dagster_project.ledger.catching_up import NewBuild, take_in_all
from dagster_project.ledger.claims import release
from dagster_project.ledger.controls import Person, Selection, approve, reject, replay
from dagster_project.ledger.schema import events
from dagster_project.ledger.unknown_outcomes import record_answer
from dagster_project.ledger.work import WorkItem

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


def test_a_wave_of_resolved_that_is_held_holds_what_it_is_about(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS, guards={"resolved": {"count": 1}})
    bench.take_in(opened("a"), opened("b"))
    bench.take_in(resolved("a"), resolved("b"))

    assert [bench.state(name, "close", "resolved") for name in "ab"] == [("held", "volume_guard")] * 2
    assert [bench.state(name, "task") for name in "ab"] == [("held", "resolved_wave")] * 2


def test_an_approved_wave_of_resolved_compensates_what_was_delivered(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS, guards={"resolved": {"count": 0}})
    bench.take_in(opened("a"))
    bench.run()
    bench.take_in(resolved("a"))
    assert bench.claim(run="run-2").count == 0

    assert approve(bench.database, Selection(reason="volume_guard"), Person("ada", "seen")) == 1
    bench.run(run="run-3")

    assert bench.state("a", "close", "resolved") == ("delivered", "")


def test_work_replayed_after_its_episode_ended_makes_way_for_a_new_episode(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"))
    bench.run(REJECTED)
    bench.take_in(resolved("a"))
    replay(bench.database, Selection(reason="invalid_request"), Person("ada", "mended"))
    bench.take_in(opened("a", episode=2))
    bench.run_until_quiet()

    assert bench.state("a", "task", episode=1) == ("suppressed", "superseded")
    assert bench.state("a", "task", episode=2) == ("delivered", "")


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


# --- ends that come while something else is going on

GUARDED = {"guards": {"resolved": {"count": 1}}}
ME = Person("ada", "looked at it")


def test_a_compensation_is_due_also_after_the_next_episode(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"))
    bench.run_until_quiet()
    bench.take_in(resolved("a"))
    bench.take_in(opened("a", episode=2))
    bench.take_in(resolved("a", episode=2))
    bench.run_until_quiet()

    assert bench.state("a", "close", "resolved", 1) == ("delivered", "")
    assert bench.state("a", "task", "opened", 2) == ("suppressed", "superseded")
    assert bench.state("a", "close", "resolved", 2) == ("suppressed", "nothing_to_follow")
    assert bench.broken_laws() == []


def test_while_a_wave_of_ends_waits_nothing_goes_to_whom_it_is_about(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS, **GUARDED)
    bench.take_in(opened("a"), opened("b"), opened("c"))
    bench.take_in(resolved("a"), resolved("b"))
    bench.run_until_quiet()

    assert {bench.state(one, "task") for one in "ab"} == {("held", "resolved_wave")}
    assert bench.state("c", "task") == ("delivered", "")
    assert approve(bench.database, Selection(reason="volume_guard"), ME) == 2, "the compensations, and they alone"
    assert (
        approve(bench.database, Selection(reason="resolved_wave", ids=(bench.action("a", "task").action_id,)), ME) == 1
    )
    assert reject(bench.database, Selection(reason="resolved_wave"), ME) == 3
    bench.run_until_quiet()
    assert bench.state("a", "task") == ("delivered", ""), "a person said that its end was wrong"
    assert bench.state("b", "task") == ("suppressed", "rejected")
    assert bench.broken_laws() == []


def test_a_wave_of_ends_takes_its_entities_out_of_a_group_that_was_not_rendered(make_bench: MakeBench) -> None:
    bench = make_bench(step("order", role="erp", group_by="row.supplier"), **GUARDED)
    bench.take_in(*(opened(one, supplier="s") for one in "abc"))
    bench.take_in(resolved("a"), resolved("b"))
    sent: list[list[str]] = []

    def answer(item: WorkItem) -> Outcome:
        sent.append([event.entity_id for event, _ in item.cases()])
        return DELIVERED

    bench.run_until_quiet(answer)

    assert sent == [["c"]]
    assert {bench.state(one, "order") for one in "ab"} == {("held", "resolved_wave")}
    assert bench.broken_laws() == []
    assert approve(bench.database, Selection(reason="resolved_wave"), ME) == 2
    bench.run_until_quiet(answer)
    assert sorted(sent[1:]) == [["a"], ["b"]]
    assert bench.broken_laws() == []


NOT_BEGUN = Outcome(Verdict.RETRY, "run_ended", retry_after=0.0, scope="destination")


@pytest.mark.parametrize(("answer", "is_sent"), [(FAILED, True), (NOT_BEGUN, False)], ids=["failed", "not begun"])
def test_what_surely_was_not_done_is_not_tried_again_after_the_end(
    make_bench: MakeBench, clock: Clock, answer: Outcome, is_sent: bool
) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"))
    held = bench.claim()
    intents = bench.begin(held, "task")
    bench.take_in(resolved("a"))
    bench.settle(held, intents, answer, is_sent=is_sent)
    release(bench.database, held)
    clock.step(4_000)
    bench.run_until_quiet()

    assert bench.state("a", "task") == ("suppressed", "superseded")
    assert len(bench.attempts(bench.action("a", "task").action_id)) == 1
    assert bench.state("a", "close", "resolved") == ("suppressed", "nothing_to_follow")
    assert bench.broken_laws() == []


def test_what_may_have_been_done_goes_on_after_the_end_so_that_it_can_be_undone(
    make_bench: MakeBench, clock: Clock
) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"))
    bench.run(UNKNOWN)
    bench.take_in(resolved("a"))
    clock.step(4_000)
    bench.run_until_quiet()

    assert bench.state("a", "task") == ("delivered", "")
    assert bench.state("a", "close", "resolved") == ("delivered", "")


def test_what_the_destination_proved_undone_is_not_done_after_the_end(make_bench: MakeBench) -> None:
    bench = make_bench(step("tell", role="chat"))
    bench.take_in(opened("a"))
    bench.run(UNKNOWN)
    bench.take_in(resolved("a"))
    record_answer(bench.database, bench.action("a", "tell").action_id, Outcome(Verdict.RETRY, "not_there"))
    bench.run_until_quiet()

    assert bench.state("a", "tell") == ("suppressed", "superseded")
    assert bench.broken_laws() == []


def test_a_replay_of_everything_leaves_ended_episodes_alone(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("a"), opened("b"))
    bench.run_until_quiet(REJECTED)
    bench.take_in(resolved("a"))
    replay(bench.database, Selection(signal=bench.signal.name), ME)
    bench.run_until_quiet()

    assert bench.state("a", "task") == ("suppressed", "superseded")
    assert bench.state("b", "task") == ("delivered", "")
    assert bench.broken_laws() == []


def test_an_end_in_a_wave_that_waits_holds_what_comes_back_from_its_call(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(*STEPS, **GUARDED)
    bench.take_in(opened("a"), opened("b"))
    held = bench.claim()
    intents = bench.begin(held, "task")
    bench.take_in(resolved("a"), resolved("b"))
    bench.settle(held, intents, FAILED)
    release(bench.database, held)
    clock.step(4_000)
    bench.run_until_quiet()

    assert {bench.state(one, "task") for one in "ab"} == {("held", "resolved_wave")}
    assert bench.broken_laws() == []


def test_what_a_later_build_of_the_same_pass_has_ended_is_not_begun(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("b"))  # a ledger that meets the signal now would act on nothing
    flagged = {"a": Severity.HIGH}
    passes = [bench.build(opened("a")), bench.build(resolved("a")), bench.build(opened("a", episode=2))]
    new = [NewBuild(build, tuple(found), None if build is passes[-1][0] else flagged) for build, found in passes]
    take_in_all(bench.database, new, bench.signal, operations_of(bench.signal))
    bench.run_until_quiet()

    assert [(row.episode, row.reason) for row in bench.rows(events, entity_id="a", kind="opened")] == [
        (1, "no_longer_flagged"),
        (2, ""),
    ]
    assert bench.state("a", "close", "resolved", 1) == ("suppressed", "nothing_to_follow")
    assert bench.state("a", "task", "opened", 2) == ("delivered", "")
    assert bench.broken_laws() == []
