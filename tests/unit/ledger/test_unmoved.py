"""A lever that moves nothing says why: taken by a run, in another state, unknown."""

from __future__ import annotations

from datetime import timedelta

from ledger_bench import LEASE, Bench, MakeBench, opened, step

from dagster_project.ledger.controls import Person, Selection, discard
from dagster_project.ledger.governed import Lever
from dagster_project.ledger.unmoved import movable_lines, why_unmoved

ADA = Person("ada", "looked at it")


def told(bench: Bench, lever: str, selection: Selection) -> list[str]:
    with bench.database.reading() as connection:
        return why_unmoved(connection, lever, selection, bench.database.now())


def test_what_a_run_has_taken_is_told_with_the_end_of_its_lease(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"))
    bench.take_in(opened("a"), opened("b"))
    bench.claim()
    every = Selection(signal=bench.signal.name)
    ends_at = bench.database.now() + LEASE
    assert discard(bench.database, every, ADA) == 0
    (line,) = told(bench, "discard", every)
    assert line.startswith(f"2 taken by a run until {ends_at:%H:%M:%S} UTC")

    bench.clock.now += LEASE + timedelta(seconds=1)
    assert discard(bench.database, every, ADA) == 2


def test_another_state_is_told_with_what_the_lever_takes(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"))
    bench.take_in(opened("a"))
    bench.run()
    (line,) = told(bench, "discard", Selection(ids=(bench.action("a", "join").action_id,)))
    assert line == "1 delivered; discard takes waiting, held or dead work that no run has taken"


def test_what_would_end_is_counted_by_state_and_reason(make_bench: MakeBench) -> None:
    bench = make_bench(step("join"), guards={"opened": {"count": 1}})
    bench.take_in(opened("a"), opened("b"))
    with bench.database.reading() as connection:
        lines = movable_lines(connection, Lever.REJECT, Selection(signal=bench.signal.name))
    assert lines == [f"{bench.signal.name}: 2 held (volume_guard)"]
