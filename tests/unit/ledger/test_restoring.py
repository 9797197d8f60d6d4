"""A ledger behind its mark holds what it cannot account for, and only that; one that goes on is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledger_bench import DELIVERED, Bench, MakeBench, opened, resolved, step

from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.ledger.controls import Person, Selection, approve, mark_done
from dagster_project.ledger.intake import bind_incarnation
from dagster_project.ledger.marks import FileMarks, Mark, MarkUnavailable
from dagster_project.ledger.restored_work import record_found, restored_work
from dagster_project.ledger.restoring import advance, recognise, unaccounted_through
from dagster_project.ledger.schema import builds
from dagster_project.ledger.unknown_outcomes import unknown_count

ADA = Person("ada", "looked")
NOT_DONE = Outcome(Verdict.RETRY, "proved_not_done")


@pytest.fixture
def place(tmp_path: Path) -> FileMarks:
    return FileMarks(tmp_path / "mark.json")


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    made = make_bench(
        step("call"),
        step("order", role="erp", group_by="row.owner"),
        step("tell", role="chat", needs=("call",)),
        step("close", on=("resolved",), follows="call"),
    )
    bind_incarnation(made.database, "w1")
    return made


def lived_on(bench: Bench, place: FileMarks, through: int) -> None:
    """Since this ledger's backup another life of it has gone on, up to a build."""
    advance(bench.database, place)
    place.raise_to("w1", Mark(99, bench.clock(), {bench.signal.name: through}))


def test_a_ledger_that_goes_on_is_left_alone(bench: Bench, place: FileMarks) -> None:
    bench.take_in(opened("a", owner="o1"))
    for _ in range(3):
        advance(bench.database, place)
        assert recognise(bench.database, place) is None
    assert {row.state for row in bench.rows()} == {"waiting"}


def test_open_work_is_held_and_asked_about_and_told_once(bench: Bench, place: FileMarks) -> None:
    bench.take_in(opened("a", owner="o1"))
    lived_on(bench, place, 1)
    found = recognise(bench.database, place)
    assert found is not None and found.held == 3
    assert {(row.state, row.reason) for row in bench.rows()} == {("held", "restored_ledger")}
    assert recognise(bench.database, place) is None
    assert unknown_count(bench.database, bench.signal.name) == 3
    assert bench.run().count == 0
    assert bench.broken_laws() == []


def test_builds_of_the_gap_are_held_under_their_old_keys_and_later_ones_wait_behind_them(
    bench: Bench, place: FileMarks
) -> None:
    lived_on(bench, place, 2)
    bench.take_in(is_baseline=True)
    recognise(bench.database, place)
    assert unaccounted_through(bench.database, bench.signal.name) == 2
    bench.take_in(opened("a", owner="o1"), opened("b", owner="o1"), is_unaccounted=True)
    (group,) = bench.rows(is_group=True)
    assert (group.state, group.reason, group.is_ready) == ("held", "restored_ledger", True)
    bench.take_in(resolved("a", owner="o1"), opened("c", owner="o2"))
    assert bench.state("a", "call") == ("held", "restored_ledger"), "it may be done, so its end does not supersede it"
    assert not bench.action("a", "close", kind="resolved").is_ready
    bench.run_until_quiet()
    assert bench.state("c", "tell") == ("delivered", "")
    assert bench.state("a", "close", kind="resolved") == ("waiting", "")

    record_found(bench.database, bench.action("a", "call").action_id, DELIVERED)
    mark_done(bench.database, Selection(reason="restored_ledger", signal=bench.signal.name), ADA)
    bench.run_until_quiet()
    assert bench.state("a", "close", kind="resolved") == ("delivered", "")
    assert bench.broken_laws() == []


def test_what_was_not_done_goes_on_unless_its_episode_has_ended(bench: Bench, place: FileMarks) -> None:
    bench.take_in(opened("a", owner="o1"), opened("b", owner="o1"))
    lived_on(bench, place, 1)
    recognise(bench.database, place)
    bench.take_in(resolved("a", owner="o1"))
    for item in restored_work(bench.database, bench.signal.name, 100, []).items:
        record_found(bench.database, item.action_id, NOT_DONE)
    bench.run_until_quiet()
    assert {bench.state("a", name) for name in ("call", "order", "tell")} == {("suppressed", "superseded")}
    assert {bench.state("b", name) for name in ("call", "order", "tell")} == {("delivered", "")}
    assert bench.state("a", "close", kind="resolved") == ("suppressed", "nothing_to_follow")
    assert bench.broken_laws() == []


def test_what_was_never_rendered_is_released_and_not_approved(bench: Bench, place: FileMarks) -> None:
    bench.take_in(opened("a", owner="o1"))
    lived_on(bench, place, 1)
    recognise(bench.database, place)
    assert approve(bench.database, Selection(signal=bench.signal.name), ADA) == 3
    assert {(row.state, row.is_approved) for row in bench.rows()} == {("waiting", False)}
    bench.run_until_quiet()
    assert {row.state for row in bench.rows()} == {"delivered"}


def test_a_new_ledger_begins_where_an_earlier_one_of_its_warehouse_ended(bench: Bench, place: FileMarks) -> None:
    place.raise_to("w1", Mark(57, bench.clock(), {bench.signal.name: 3}))
    bench.take_in(opened("a", owner="o1"), is_baseline=True)
    advance(bench.database, place)
    assert recognise(bench.database, place) is None
    assert [row.handling for row in bench.rows(builds)] == ["baseline"]


def test_a_mark_never_falls(place: FileMarks, bench: Bench) -> None:
    place.raise_to("w1", Mark(7, bench.clock(), {"s": 4}))
    place.raise_to("w1", Mark(3, bench.clock(), {"s": 2, "t": 1}))
    found = place.read("w1")
    assert found is not None and (found.number, dict(found.taken_in)) == (7, {"s": 4, "t": 1})
    assert place.read("another") is None


def test_a_mark_that_cannot_be_read_is_told_and_nothing_is_sent(place: FileMarks, bench: Bench) -> None:
    place.path.write_text("{", encoding="utf-8")
    with pytest.raises(MarkUnavailable, match=r"mark\.json cannot be read.*Nothing was sent"):
        recognise(bench.database, place)
