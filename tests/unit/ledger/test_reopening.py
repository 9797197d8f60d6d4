"""Events of the past are planned anew only where somebody asks, under their old keys, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
from ledger_bench import DELIVERED, Bench, MakeBench, opened, operations_of, resolved, signal_of, step

from dagster_project.contracts.roles import Member, Role
from dagster_project.contracts.vocabulary import Severity
from dagster_project.ledger.controls import Person, Selection, approve
from dagster_project.ledger.erasure import erase_entity
from dagster_project.ledger.governed import Council, Lever, NotAllowed
from dagster_project.ledger.reopening import NothingToReopen, Range, Reopening, ReopenReport, reopen
from dagster_project.ledger.schema import audit, events

ADA = Person("ada", "win them back")
FLAGGED = dict.fromkeys("abcdef", Severity.HIGH)


def asked(
    bench: Bench,
    wanted: Range,
    flagged: Mapping[str, Severity] = FLAGGED,
    needs_approval: bool = False,
    is_dry_run: bool = False,
) -> ReopenReport:
    request = Reopening(bench.signal, operations_of(bench.signal), flagged, needs_approval)
    return reopen(bench.database, wanted, request, ADA, is_dry_run)


def with_baseline(make_bench: MakeBench, **spec: object) -> Bench:
    bench = make_bench(step("call"), step("order", role="erp", group_by="row.owner"), **spec)
    happened = [opened(name, owner="o1", country="FR" if name in "ab" else "DE") for name in "abcd"]
    bench.take_in(*happened, is_baseline=True)
    return bench


def test_a_baseline_is_acted_on_for_those_who_were_asked_for_and_no_other(make_bench: MakeBench) -> None:
    bench = with_baseline(make_bench)
    assert asked(bench, Range(ids=("a", "b"), is_baseline=True), is_dry_run=True).events == 2
    assert bench.rows() == []

    report = asked(bench, Range(ids=("a", "b"), is_baseline=True))
    bench.run_until_quiet()
    assert dict(report.planned) == {"waiting": 4}
    assert {(row.entity_id, row.state) for row in bench.rows(is_group=False)} == {
        ("a", "delivered"),
        ("b", "delivered"),
    }
    assert len(bench.rows(is_group=True)) == 1
    assert {row.entity_id for row in bench.rows(events, reason="baseline")} == {"c", "d"}
    assert bench.broken_laws() == []


def test_a_second_request_makes_groups_of_its_own_and_a_repeated_one_nothing(make_bench: MakeBench) -> None:
    bench = with_baseline(make_bench)
    asked(bench, Range(where={"country": "FR"}, is_baseline=True))
    bench.run_until_quiet()
    again = asked(bench, Range(where={"country": "FR"}, is_baseline=True))
    assert (again.events, dict(again.planned)) == (0, {})
    asked(bench, Range(limit=1, is_baseline=True))
    bench.run_until_quiet()
    groups = bench.rows(is_group=True)
    assert len(groups) == 2 and {row.state for row in groups} == {"delivered"}
    assert len(bench.rows(events, reason="baseline")) == 1
    assert bench.broken_laws() == []


def test_the_guard_looks_at_the_whole_request(make_bench: MakeBench) -> None:
    bench = with_baseline(make_bench, guards={"opened": {"count": 2}})
    report = asked(bench, Range(limit=4, is_baseline=True))
    assert dict(report.planned) == {"held": 8}
    assert {row.reason for row in bench.rows()} == {"volume_guard"}


def test_whoever_has_left_or_ended_is_not_acted_on(make_bench: MakeBench) -> None:
    bench = with_baseline(make_bench)
    bench.take_in(resolved("a"))
    report = asked(bench, Range(ids=tuple("abcd"), is_baseline=True), flagged={"c": Severity.HIGH, "d": Severity.LOW})
    assert {row.entity_id for row in bench.rows(is_group=False)} == {"c"}
    assert dict(report.left) == {"episode_ended": 1, "no_longer_flagged": 2}


def test_where_people_sign_in_somebody_else_approves(make_bench: MakeBench) -> None:
    bench = with_baseline(make_bench)
    asked(bench, Range(ids=("a",), is_baseline=True), needs_approval=True)
    assert bench.run().count == 0
    assert {row.reason for row in bench.rows()} == {"acted_on_request"}
    assert {row.verb for row in bench.rows(audit, actor="ada")} == {"planned", "proposed"}
    council = Council(bench.database, {bench.signal.name: "success"})
    everything = Selection(signal=bench.signal.name, reason="acted_on_request")
    with pytest.raises(NotAllowed, match="four eyes"):
        council.pull(Member("ada", frozenset({Role.ADMIN})), Lever.APPROVE, everything, "mine")
    assert council.pull(Member("bob", frozenset({Role.APPROVER})), Lever.APPROVE, everything, "yes") == 2
    bench.run_until_quiet()
    assert {row.state for row in bench.rows()} == {"delivered"}
    assert bench.broken_laws() == []


def test_a_backfill_plans_the_steps_that_are_new_and_repeats_none(make_bench: MakeBench) -> None:
    bench = make_bench(step("call"), cool_down={"days": 30})
    bench.take_in(opened("a"), opened("b"))
    bench.run_until_quiet()
    delivered = {row.action_id: row.attempts for row in bench.rows(state="delivered")}
    bench.signal = signal_of(step("call"), step("tell", role="chat", needs=("call",)), cool_down={"days": 30})
    report = asked(bench, Range(since=bench.clock() - timedelta(days=1), until=bench.clock() + timedelta(days=1)))
    assert dict(report.planned) == {"waiting": 2}
    bench.run_until_quiet()
    assert {(row.step, row.state) for row in bench.rows()} == {("call", "delivered"), ("tell", "delivered")}
    assert {key: len(bench.attempts(key)) for key in delivered} == dict.fromkeys(delivered, 1)
    assert bench.broken_laws() == []


def test_what_was_left_in_shadow_is_done_once_it_is_live_and_asked_for(make_bench: MakeBench) -> None:
    bench = make_bench(step("call"), step("tell", role="chat", needs=("call",)), mode="shadow")
    bench.take_in(opened("a"))
    assert {row.reason for row in bench.rows()} <= {"shadow", "need_suppressed"}
    live = bench.signal.spec.model_copy(update={"mode": "live"})
    bench.signal = bench.signal.model_copy(update={"spec": live})
    report = asked(bench, Range(ids=("a",)))
    assert dict(report.planned) == {"waiting": 2}
    bench.run_until_quiet(DELIVERED)
    assert {row.state for row in bench.rows()} == {"delivered"}
    assert bench.broken_laws() == []


def test_an_event_whose_row_was_erased_is_left(make_bench: MakeBench) -> None:
    bench = with_baseline(make_bench)
    erase_entity(bench.database, bench.signal.name, "a", ADA)
    report = asked(bench, Range(ids=("a",), is_baseline=True))
    assert (report.events, dict(report.left)) == (0, {"personal_data_erased": 1})


def test_a_request_for_nothing_in_particular_is_refused(make_bench: MakeBench) -> None:
    bench = with_baseline(make_bench)
    with pytest.raises(NothingToReopen, match="Nothing was planned"):
        asked(bench, Range(is_baseline=True))
    assert bench.rows() == []


def test_a_rejected_and_a_dead_step_stay_what_they_are(make_bench: MakeBench) -> None:
    bench = make_bench(step("call"), guards={"opened": {"count": 0}})
    bench.take_in(opened("a"))
    approve(bench.database, Selection(signal=bench.signal.name), ADA)
    before = [as_dict(row) for row in bench.rows()]
    assert asked(bench, Range(ids=("a",))).events == 0
    assert [as_dict(row) for row in bench.rows()] == before


def as_dict(row: object) -> dict[str, object]:
    return dict(row._mapping)  # type: ignore[attr-defined]
