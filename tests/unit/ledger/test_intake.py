"""Each build comes into the ledger whole and once, and leads to what its signal says, or to a reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from ledger_bench import Bench, Clock, MakeBench, escalated, opened, operations_of, resolved, signal_of, step

from dagster_project.contracts.vocabulary import Severity
from dagster_project.ledger.catching_up import NewBuild, take_in_all
from dagster_project.ledger.contacts import refresh_do_not_contact
from dagster_project.ledger.database import Database
from dagster_project.ledger.intake import (
    BuildMismatch,
    WrongWarehouse,
    bind_incarnation,
    known_builds,
)
from dagster_project.ledger.schema import actions, audit, builds, events, playbook_versions


def test_a_build_is_taken_in_whole(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("call"), step("tell", role="chat", needs=("call",)))
    report = bench.take_in(opened("a"), opened("b"))

    assert (report.is_new, report.events, report.actions, report.states) == (True, 2, 4, {"waiting": 4})
    assert known_builds(bench.database, bench.signal.name) == {report.build_id}
    (build,) = bench.rows(builds)
    assert (build.opened, build.handling, build.ingested_at) == (2, "planned", clock())
    assert len(bench.rows(audit, verb="planned")) == 4
    assert len(bench.rows(audit, verb="ingested")) == 1
    assert bench.broken_laws() == []


def test_the_same_build_again_is_no_news(make_bench: MakeBench) -> None:
    bench = make_bench()
    build, found = bench.build(opened("a"))
    bench.put(build, found)
    before = [bench.rows(table) for table in (builds, events, actions, audit)]

    assert bench.put(build, found).is_new is False
    assert [bench.rows(table) for table in (builds, events, actions, audit)] == before


def test_one_build_taken_in_by_many_at_once_is_there_once(make_bench: MakeBench) -> None:
    bench = make_bench(step("call"), step("order", role="erp", group_by="row.supplier"))
    build, found = bench.build(*(opened(f"e{number}", supplier="s") for number in range(30)))

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: bench.put(build, found), range(4)))

    assert sorted(report.is_new for report in reports) == [False, False, False, True]
    assert len(bench.rows(actions)) == 61
    assert bench.broken_laws() == []


@pytest.mark.parametrize("change", [{"opened": 3}, {"resolved": 1}, {"opened": 1, "escalated": 1}])
def test_a_build_whose_events_are_not_what_it_says_is_refused(make_bench: MakeBench, change: Mapping[str, int]) -> None:
    bench = make_bench()
    build, found = bench.build(opened("a"), opened("b"))

    with pytest.raises(BuildMismatch, match="nothing of it was planned"):
        bench.put(replace(build, **change), found)
    assert bench.rows(builds) == bench.rows(events) == bench.rows(actions) == bench.rows(audit) == []


def test_another_build_under_a_number_that_is_taken_is_refused_whole(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    build, found = bench.build(opened("b"), build_no=1)

    with pytest.raises(BuildMismatch, match="Nothing of it was planned"):
        bench.put(replace(build, build_id="impostor"), found)
    assert [row.entity_id for row in bench.rows(events)] == ["a"]


def test_a_crash_in_the_middle_leaves_nothing(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = make_bench()
    build, found = bench.build(opened("a"))

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("dagster_project.ledger.intake.refresh_lanes", dies)
        with pytest.raises(KeyboardInterrupt):
            bench.put(build, found)
    for table in (builds, events, actions, audit, playbook_versions):
        assert bench.rows(table) == []
    assert bench.put(build, found).is_new


def test_a_baseline_is_recorded_and_not_acted_upon(make_bench: MakeBench) -> None:
    bench = make_bench()
    report = bench.take_in(opened("a"), opened("b"), is_baseline=True)

    assert (report.handling, report.actions) == ("baseline", 0)
    assert {row.reason for row in bench.rows(events)} == {"baseline"}
    assert bench.broken_laws() == []


def new_builds(bench: Bench, *made: Any) -> Sequence[NewBuild]:
    return [NewBuild(build, tuple(found), None) for build, found in made]


def catch_up(bench: Bench, *made: Any) -> list[str]:
    reports = take_in_all(bench.database, new_builds(bench, *made), bench.signal, operations_of(bench.signal))
    return [report.handling for report in reports]


def test_all_that_is_found_at_the_first_meeting_is_baseline(make_bench: MakeBench) -> None:
    bench = make_bench()
    first, second, third = bench.build(opened("a")), bench.build(opened("b")), bench.build(opened("c"))

    assert catch_up(bench, first, second) == ["baseline", "baseline"]
    assert catch_up(bench, third) == ["planned"]
    assert {row.entity_id for row in bench.rows(actions)} == {"c"}


def test_a_first_meeting_that_broke_off_half_way_stays_a_baseline(make_bench: MakeBench) -> None:
    bench = make_bench()
    first, second = bench.build(opened("a")), bench.build(opened("b"))
    broken = replace(second[0], opened=7), second[1]
    with pytest.raises(BuildMismatch):
        catch_up(bench, first, broken)

    assert catch_up(bench, second) == ["baseline"]


def test_a_signal_with_a_long_name_is_met_like_any_other(database: Database, clock: Clock) -> None:
    bench = Bench(database, clock, signal_of(step("call"), name="pallet_temperature_out_of_its_range_for_too_long_ok"))

    assert catch_up(bench, bench.build(opened("a"))) == ["baseline"]
    assert catch_up(bench, bench.build(opened("b"))) == ["planned"]


def test_a_build_that_calls_itself_a_baseline_is_one(make_bench: MakeBench) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    build, found = bench.build(opened("b"))

    assert catch_up(bench, (replace(build, is_baseline=True), found)) == ["baseline"]


def test_a_late_build_acts_only_on_who_is_still_flagged_as_severely(make_bench: MakeBench) -> None:
    bench = make_bench(step("call", on=("opened", "escalated", "resolved")))
    flagged = {"same": Severity.HIGH, "worse": Severity.CRITICAL, "better": Severity.LOW}
    bench.take_in(opened("same"), opened("worse"), opened("better"), opened("gone"), flagged_now=flagged)
    bench.take_in(escalated("better"), resolved("ended"), flagged_now=flagged)

    assert {row.entity_id for row in bench.rows(actions)} == {"same", "worse", "ended"}
    assert {row.entity_id for row in bench.rows(events, reason="no_longer_flagged")} == {"better", "gone"}


def test_a_late_build_of_an_occurrence_is_acted_upon_all_the_same(make_bench: MakeBench) -> None:
    bench = make_bench(step("call"), lifecycle="occurrence")
    bench.take_in(opened("won"), flagged_now={})

    assert bench.state("won", "call") == ("waiting", "")


def test_no_new_campaign_inside_the_cool_down(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench(step("call"), step("close", on=("resolved",), follows="call"), cool_down={"days": 2})
    bench.take_in(opened("a"))
    bench.run()
    bench.take_in(resolved("a"))
    bench.run(run="run-2")
    bench.take_in(opened("a", episode=2), opened("b"))
    clock.step(2 * 86_400)
    bench.take_in(opened("a", episode=3))

    assert [row.episode for row in bench.rows(events, reason="cool_down")] == [2]
    assert bench.state("b", "call") == ("waiting", "")
    assert bench.state("a", "call", episode=3) == ("waiting", "")


def test_what_follows_an_unplanned_opening_is_suppressed_with_its_reason(make_bench: MakeBench) -> None:
    bench = make_bench(step("call"), step("close", on=("resolved",), follows="call"))
    bench.take_in(opened("a"), is_baseline=True)
    bench.take_in(resolved("a"))

    assert bench.state("a", "close", "resolved") == ("suppressed", "nothing_to_follow")
    assert bench.broken_laws() == []


def test_who_must_not_be_contacted_is_not_and_what_is_internal_goes_on(make_bench: MakeBench, clock: Clock) -> None:
    contact = {"entity": "account", "by": "row.account_id"}
    bench = make_bench(
        step("call"), step("note", needs=("call",)), step("tell", role="chat", is_internal=True), contact=contact
    )
    refresh_do_not_contact(bench.database, [("account", "42", "asked us", clock()), ("customer", "b", "", clock())])
    bench.take_in(opened("a", account_id=42), opened("b", account_id=43))

    assert bench.state("a", "call") == ("suppressed", "do_not_contact")
    assert bench.state("a", "note")[0] == "suppressed"
    assert bench.state("a", "tell") == ("waiting", "")
    assert bench.state("b", "call") == ("waiting", "")
    assert bench.action("b", "call").contact_id == "43"


def test_a_wave_above_the_guard_s_count_is_held_whole(make_bench: MakeBench) -> None:
    bench = make_bench(
        step("call"), step("close", on=("resolved",)), guards={"opened": {"count": 2}, "resolved": {"count": 1}}
    )
    bench.take_in(opened("a"), opened("b"))
    report = bench.take_in(opened("c"), opened("d"), opened("e"), resolved("x"))

    assert report.states == {"held": 3, "waiting": 1}
    assert {bench.state(name, "call") for name in "ab"} == {("waiting", "")}
    assert {bench.state(name, "call") for name in "cde"} == {("held", "volume_guard")}
    assert "3 opened in one build, the guard lets 2 pass" in bench.rows(builds, build_no=2)[0].detail


@pytest.mark.parametrize(("population", "state"), [(100, "held"), (200, "waiting"), (None, "waiting")])
def test_a_wave_above_the_guard_s_share_is_held_whole(
    make_bench: MakeBench, population: int | None, state: str
) -> None:
    bench = make_bench(step("call"), guards={"opened": {"count": 100, "share": 0.01}})
    bench.take_in(opened("a"), opened("b"), population=population)

    assert {row.state for row in bench.rows(actions)} == {state}


def test_nothing_of_a_shadow_signal_is_ever_due(make_bench: MakeBench) -> None:
    bench = make_bench(step("call"), step("order", role="erp", group_by="row.supplier"), mode="shadow")
    bench.take_in(opened("a", supplier="s"))

    assert {(row.state, row.reason) for row in bench.rows(actions)} == {("suppressed", "shadow")}
    assert bench.claim().count == 0
    assert bench.broken_laws() == []


def test_an_event_that_no_step_answers_says_so(make_bench: MakeBench) -> None:
    bench = make_bench(step("call", when={"severity": "critical"}))
    bench.take_in(opened("a"), opened("b", severity="critical"))

    assert [(row.entity_id, row.reason) for row in bench.rows(events, entity_id="a")] == [("a", "no_step_applies")]
    assert bench.state("b", "call") == ("waiting", "")


def test_the_events_of_another_warehouse_are_refused(database: Database) -> None:
    bind_incarnation(database, "w1")
    bind_incarnation(database, "w1")

    with pytest.raises(WrongWarehouse, match="belongs to the warehouse w1, these events come from w2"):
        bind_incarnation(database, "w2")


def test_two_warehouses_at_once_bind_a_new_ledger_to_one_of_them(database: Database) -> None:
    def bind(name: str) -> str | None:
        try:
            bind_incarnation(database, name)
        except WrongWarehouse:
            return None
        return name

    with ThreadPoolExecutor(4) as pool:
        bound = [name for name in pool.map(bind, ["w1", "w2", "w3", "w4"]) if name]
    assert len(bound) == 1


def test_an_action_keeps_the_version_of_the_playbook_it_was_planned_with(database: Database, clock: Clock) -> None:
    old = Bench(database, clock, signal_of(step("call"), step("gone", needs=("call",))))
    old.take_in(opened("a"))
    new = Bench(database, clock, signal_of(step("call")))
    new.next_build_no = 2
    new.take_in(opened("b"))
    new.run()

    assert len(new.rows(playbook_versions)) == 2
    assert new.state("a", "gone") == ("delivered", "")
    assert {row.playbook_version for row in new.rows(actions)} == {
        bench.signal.version.content_hash() for bench in (old, new)
    }
