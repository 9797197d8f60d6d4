"""The promise act_within: what it measures, what alarms, and what time held is."""

from __future__ import annotations

from datetime import timedelta

from ledger_bench import DELIVERED, FAILED, REJECTED, START, Bench, Clock, MakeBench, escalated, opened, resolved, step

from dagster_project.ledger.controls import Person, Selection, approve
from dagster_project.verify.sla import EventTiming, held_time, judge, read_timings

HOUR = 3600.0
ADA = Person("ada", "seen")


def timings(bench: Bench) -> dict[str, EventTiming]:
    with bench.database.reading() as connection:
        found = read_timings(connection, bench.signal.name, bench.clock())
    return {timing.entity_id: timing for timing in found}


def held(bench: Bench) -> dict[str, timedelta]:
    """How long each entity's event has waited for a person."""
    mine = list(timings(bench).values())
    with bench.database.reading() as connection:
        spans = held_time(connection, mine, bench.clock())
    return {timing.entity_id: spans[timing.event_id] for timing in mine}


def test_an_event_is_done_when_its_last_required_step_is_delivered(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("call"), step("tell", role="chat", needs=("call",)), step("extra", is_required=False))
    bench.take_in(opened("a"))
    clock.step(60)
    bench.run(lambda item: FAILED if item.step in ("tell", "extra") else DELIVERED)
    assert not timings(bench)["a"].is_done

    clock.step(60)
    bench.run(lambda item: FAILED if item.step == "extra" else DELIVERED, run="run-2")

    timing = timings(bench)["a"]
    assert (timing.is_done, timing.total) == (True, timedelta(seconds=120))
    assert held(bench)["a"] == timedelta(0)
    clock.step(HOUR * 10)
    assert timings(bench)["a"].total == timedelta(seconds=120)


def test_what_is_not_done_takes_as_long_as_it_has_waited(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    clock.step(1800)
    verdict = judge(list(timings(bench).values()), bench.signal.spec)
    assert (verdict.is_kept, verdict.measured, verdict.in_time) == (True, 1, 1)
    assert verdict.oldest_open is not None
    assert verdict.oldest_open.total == timedelta(seconds=1800)

    clock.step(1801)
    verdict = judge(list(timings(bench).values()), bench.signal.spec)
    assert (verdict.is_kept, verdict.in_time, [late.entity_id for late in verdict.late]) == (False, 0, ["a"])


def test_the_limit_itself_is_in_time(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    clock.step(HOUR)
    bench.run()

    assert judge(list(timings(bench).values()), bench.signal.spec).is_kept


def test_time_held_is_told_apart(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("call"), guards={"opened": {"count": 0}})
    bench.take_in(opened("a"))
    clock.step(7200)
    assert held(bench)["a"] == timedelta(seconds=7200)
    approve(bench.database, Selection(reason="volume_guard"), ADA)
    clock.step(30)
    bench.run()

    timing = timings(bench)["a"]
    assert (timing.total, held(bench)["a"]) == (timedelta(seconds=7230), timedelta(seconds=7200))
    assert not judge([timing], bench.signal.spec).is_kept, "the total alarms"


def test_a_dead_required_step_is_never_in_time(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    bench.run(REJECTED)

    verdict = judge(list(timings(bench).values()), bench.signal.spec)
    assert (verdict.is_kept, verdict.late[0].is_failed) == (False, True)


def test_suppressed_work_and_later_kinds_are_not_measured(make_bench: MakeBench) -> None:
    bench = make_bench(step("call"), step("raise_it", on=("escalated",)))
    bench.take_in(opened("a"), opened("b"))
    bench.take_in(resolved("a"))
    bench.take_in(escalated("b"))

    assert set(timings(bench)) == {"b"}


def test_members_of_a_group_are_measured_and_the_group_is_not(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("order", role="erp", group_by="row.supplier"))
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    clock.step(10)
    bench.run()

    assert {name: timing.total for name, timing in timings(bench).items()} == {
        "a": timedelta(seconds=10),
        "b": timedelta(seconds=10),
    }


def test_old_work_leaves_the_window_only_when_it_is_done(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("done"), opened("open"))
    bench.run(lambda item: DELIVERED if item.event and item.event.entity_id == "done" else FAILED)
    clock.step(8 * 86_400)

    assert set(timings(bench)) == {"open"}


def timing(seconds: float, is_done: bool = True) -> EventTiming:
    return EventTiming(f"e{seconds}", f"e{seconds}", is_done, False, timedelta(seconds=seconds))


def test_a_small_share_of_late_deliveries_is_within_the_promise(make_bench: MakeBench) -> None:
    spec = make_bench().signal.spec
    in_time = [timing(number) for number in range(95)]
    late = [timing(HOUR + 1 + number) for number in range(5)]

    assert judge([*in_time, *late], spec).is_kept
    assert not judge([*in_time, *late, timing(HOUR * 2)], spec).is_kept
    assert not judge([*in_time, timing(HOUR + 1, is_done=False)], spec).is_kept, "an overdue one always alarms"
    assert judge([], spec).is_kept
    assert [t.total.total_seconds() for t in judge(late, spec).late] == sorted(
        (t.total.total_seconds() for t in late), reverse=True
    )


def test_percentiles_are_of_what_is_done(make_bench: MakeBench) -> None:
    spec = make_bench().signal.spec
    verdict = judge([*(timing(n) for n in range(1, 21)), timing(9999, is_done=False)], spec)

    assert (verdict.p50, verdict.p95) == (10.0, 19.0)
    assert START.tzinfo is not None
