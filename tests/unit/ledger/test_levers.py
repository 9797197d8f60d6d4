"""The levers: what a person may change, that it is recorded with who and why, and what stays as it is."""

from __future__ import annotations

import pytest
from ledger_bench import DELIVERED, LEASE, REJECTED, UNKNOWN, Bench, Clock, MakeBench, opened, rendering_of, step

from dagster_project.ledger.claims import release
from dagster_project.ledger.controls import (
    NothingSelected,
    Person,
    Selection,
    approve,
    discard,
    pause,
    reject,
    replay,
    resume,
)
from dagster_project.ledger.intents import Rendering
from dagster_project.ledger.schema import audit

ADA = Person("ada", "looked at it")
STEPS = (step("join"), step("tell", role="chat", needs=("join",)))


def wave(make_bench: MakeBench) -> Bench:
    bench = make_bench(*STEPS, guards={"opened": {"count": 1}})
    bench.take_in(opened("a"), opened("b"))
    return bench


@pytest.mark.parametrize("lever", [approve, reject, discard, replay])
def test_a_lever_without_a_selection_moves_nothing(make_bench: MakeBench, lever: object) -> None:
    bench = wave(make_bench)
    before = bench.rows()

    with pytest.raises(NothingSelected):
        lever(bench.database, Selection(), ADA)  # type: ignore[operator]
    assert bench.rows() == before


def test_an_approved_wave_goes_in_order(make_bench: MakeBench) -> None:
    bench = wave(make_bench)
    assert approve(bench.database, Selection(reason="volume_guard"), ADA) == 4
    assert [bench.action("a", name).is_ready for name in ("join", "tell")] == [True, False]
    bench.run()

    assert {row.state for row in bench.rows()} == {"delivered"}
    assert {row.is_approved for row in bench.rows()} == {True}
    entries = bench.rows(audit, verb="approved")
    assert {(row.actor, row.detail, row.from_state, row.to_state) for row in entries} == {
        ("ada", "looked at it", "held", "waiting")
    }
    assert bench.broken_laws() == []


def test_one_event_of_a_wave_can_be_approved_alone(make_bench: MakeBench) -> None:
    bench = wave(make_bench)
    assert approve(bench.database, Selection(ids=(bench.action("a", "join").event_id,)), ADA) == 2
    bench.run()

    assert [bench.state("a", name)[0] for name in ("join", "tell")] == ["delivered"] * 2
    assert {bench.state("b", name) for name in ("join", "tell")} == {("held", "volume_guard")}


def test_a_rejected_wave_ends(make_bench: MakeBench) -> None:
    bench = wave(make_bench)
    assert reject(bench.database, Selection(signal=bench.signal.name), ADA) == 4

    assert {(row.state, row.reason) for row in bench.rows()} == {("suppressed", "rejected")}
    assert approve(bench.database, Selection(signal=bench.signal.name), ADA) == 0
    assert bench.broken_laws() == []


def test_an_approved_action_is_not_held_again_and_is_sent_as_shown(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"))
    bench.take_in(opened("a"))
    held = bench.claim()
    (item,) = bench.ready(held)
    shown = rendering_of(item).arguments_json
    bench.store(held, [Rendering(item.action_id, shown, "needs_approval", "large", True)])
    release(bench.database, held)
    assert bench.state("a", "join") == ("held", "needs_approval")
    assert approve(bench.database, Selection(ids=(item.action_id,)), ADA) == 1

    (again,) = bench.ready(bench.claim(run="run-2"))
    assert (again.is_approved, again.arguments_json) == (True, shown)


def test_an_unknown_outcome_is_not_approved_but_replayed(make_bench: MakeBench) -> None:
    bench = make_bench(step("tell", role="chat"))
    bench.take_in(opened("a"))
    bench.run(UNKNOWN)

    assert approve(bench.database, Selection(reason="unknown_outcome"), ADA) == 0
    assert replay(bench.database, Selection(reason="unknown_outcome"), ADA) == 1
    bench.run(DELIVERED, run="run-2")

    assert bench.state("a", "tell") == ("delivered", "")
    assert bench.broken_laws() == []


def test_a_replayed_action_has_all_its_attempts_again_under_the_same_request(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"))
    bench.take_in(opened("a"))
    bench.run(REJECTED)
    assert replay(bench.database, Selection(signal=bench.signal.name), ADA) == 1

    row = bench.action("a", "join")
    assert (row.state, row.reason, row.attempts, row.is_sealed) == ("waiting", "", 0, True)
    bench.run(DELIVERED, run="run-2")
    assert [(one.number, one.verdict) for one in bench.attempts(row.action_id)] == [(1, "rejected"), (2, "delivered")]


@pytest.mark.parametrize("answer", [REJECTED, UNKNOWN])
def test_a_discard_ends_waiting_held_and_dead_work(make_bench: MakeBench, answer: object) -> None:
    bench = make_bench(step("tell", role="chat"), step("note", needs=("tell",)))
    bench.take_in(opened("a"), opened("b"))
    bench.run(lambda item: answer if item.event and item.event.entity_id == "a" else DELIVERED)  # type: ignore[arg-type,return-value]

    discard(bench.database, Selection(signal=bench.signal.name), ADA)

    assert bench.state("a", "tell") == ("suppressed", "discarded")
    assert bench.state("a", "note")[0] == "suppressed"
    assert bench.state("b", "note") == ("delivered", "")
    assert bench.broken_laws() == []


def test_a_discard_leaves_work_of_a_living_run_alone(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"))
    bench.take_in(opened("a"))
    bench.claim()

    assert discard(bench.database, Selection(signal=bench.signal.name), ADA) == 0


def test_a_discard_takes_what_a_dead_run_left(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("join"))
    bench.take_in(opened("a"))
    bench.claim()
    clock.step(LEASE.total_seconds())

    assert discard(bench.database, Selection(signal=bench.signal.name), ADA) == 1


@pytest.mark.parametrize("role", ["crm", "chat"])
def test_a_discard_leaves_the_lost_call_of_a_dead_run_to_the_sweep(
    make_bench: MakeBench, clock: Clock, role: str
) -> None:
    bench = make_bench(step("tell", role=role))
    bench.take_in(opened("a"))
    bench.begin(bench.claim())
    clock.step(LEASE.total_seconds())
    discard(bench.database, Selection(signal=bench.signal.name), ADA)
    bench.claim(run="run-2")

    assert [one.verdict for one in bench.attempts(bench.action("a", "tell").action_id)] == ["unknown"]


def test_a_lever_narrows_by_destination_and_reason(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"), step("tell", role="chat"))
    bench.take_in(opened("a"), opened("b"))
    bench.run(REJECTED)

    assert replay(bench.database, Selection(destination="slack", reason="another"), ADA) == 0
    assert replay(bench.database, Selection(destination="slack", reason="invalid_request"), ADA) == 2
    assert bench.state("a", "join") == ("dead", "invalid_request")


def test_a_pause_is_recorded_with_who_and_why(make_bench: MakeBench) -> None:
    bench = make_bench()
    pause(bench.database, "all", ADA)
    resume(bench.database, "all", Person("bob", "mended"))

    assert [(row.actor, row.verb, row.reason, row.detail) for row in bench.rows(audit)] == [
        ("ada", "paused", "all", "looked at it"),
        ("bob", "resumed", "all", "mended"),
    ]
