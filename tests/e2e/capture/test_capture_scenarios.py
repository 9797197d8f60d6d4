"""Each promise of the event capture, by name, on each database; all of them look at one recorded replay."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from capture_lab import Step
from scenario_replay import STRANGE_IDS, Recording

LONG_NAME = "pallet_temperature_out_of_its_range_for_too_long_ok"
ALL_SIGNALS = {
    "customer_churn_risk",
    "product_low_stock",
    "deal_won",
    "invoice_overdue",
    "machine_overheating",
    "shipment_late",
    "supplier_overdue",
    LONG_NAME,
}


def event_id(incarnation: str, signal: str, entity: str, episode: int, kind: str, severity: str = "") -> str:
    parts = [incarnation, signal, entity, str(episode), kind, severity]
    return hashlib.md5("|".join(parts).encode()).hexdigest()


def by_first(cases: list[tuple[str, str]]) -> list[Any]:
    """Pairs as parameters that are named in the report after their first member."""
    return [pytest.param(*case, id=case[0]) for case in cases]


def statuses(step: Step) -> dict[str, str]:
    return {build["signal"]: build["status"] for build in step.builds}


def build_of(step: Step, signal: str) -> dict[str, Any]:
    found = [build for build in step.builds if build["signal"] == signal]
    assert len(found) == 1, step.builds
    return found[0]


def test_first_build_of_each_signal_is_a_released_baseline_on_five_threads(recording: Recording) -> None:
    step = recording["first build"]
    assert step.is_success, step.errors
    assert {build["signal"] for build in step.builds} == ALL_SIGNALS
    assert all(build["is_baseline"] and build["build_no"] == 1 and build["released_at"] for build in step.builds)
    assert step.events == [
        "customer_churn_risk: a.1 opened:low (baseline)",
        "customer_churn_risk: b.1 opened:high (baseline)",
        "deal_won: d1.1 opened:low (baseline)",
        "invoice_overdue: i1.1 opened:low (baseline)",  # a baseline opens at once whatever open_after says
        "product_low_stock: p.1 opened:low (baseline)",
        "shipment_late: s1.1 opened:low (baseline)",
    ]


def test_build_counts_population_flagged_and_kinds(recording: Recording) -> None:
    build = build_of(recording["enter, escalate, leave"], "customer_churn_risk")
    counts = {name: build[name] for name in ("population", "flagged", "opened", "escalated", "resolved")}
    assert counts == {"population": 3, "flagged": 2, "opened": 1, "escalated": 1, "resolved": 1}


def test_event_id_is_the_md5_of_its_parts(recording: Recording) -> None:
    parts = recording["first build"].seen["event_parts"]
    assert len(parts) == 6
    for found, incarnation, signal, entity, episode, kind in parts:
        assert found == event_id(incarnation, signal, entity, episode, kind)


@pytest.mark.parametrize("name", ["same data again", "full refresh"])
def test_building_again_adds_a_build_and_no_event(recording: Recording, name: str) -> None:
    step = recording[name]
    assert step.is_success, step.errors
    assert step.events == []
    assert set(statuses(step).values()) == {"captured"}
    assert not any(build["is_baseline"] for build in step.builds)


@pytest.mark.parametrize("name", ["unit tests only", "empty flag", "sample flag"])
def test_nothing_is_captured_by(recording: Recording, name: str) -> None:
    step = recording[name]
    assert step.is_success, step.errors
    assert (step.events, step.builds) == ([], [])


def test_enter_escalate_resolve_and_waiting_for_open_after(recording: Recording) -> None:
    step = recording["enter, escalate, leave"]
    assert step.events == [
        "customer_churn_risk: a.1 escalated:critical",
        "customer_churn_risk: b.1 resolved",
        "customer_churn_risk: c.1 opened:low",
        "deal_won: d2.1 opened:low",  # d1 left, but an occurrence never resolves; q and i2 wait
    ]


def test_resolved_keeps_the_last_row_and_the_peak(recording: Recording) -> None:
    [(severity, row_json, observed_at)] = recording["enter, escalate, leave"].seen["resolved"]
    assert severity == "high"
    assert json.loads(row_json) == {"entity_id": "b", "severity": "high", "score": 1.0, "reason": "r"}
    assert str(observed_at) == "2026-02-01 01:00:00"


def test_lower_is_silent_return_is_episode_2_and_builds_count_for_open_after(recording: Recording) -> None:
    assert recording["lower, return, wait"].events == [
        "customer_churn_risk: b.2 opened:low",
        "product_low_stock: q.1 opened:low",  # second build; i2 has lasted 1:30 of 2:00; d1 is back and stays episode 1
    ]


def test_hours_count_for_open_after_builds_for_resolve_after_and_no_escalation_below_the_peak(
    recording: Recording,
) -> None:
    assert recording["patience met"].events == [
        "invoice_overdue: i2.1 opened:low",
        "product_low_stock: p.1 resolved",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "gone for one build",
        "back within resolve_after",
        "noticed anew after being forgotten",
        "gone again before open_after",
    ],
)
def test_flapping_is_silent(recording: Recording, name: str) -> None:
    step = recording[name]
    assert step.is_success, step.errors
    assert step.events == []
    assert set(statuses(step).values()) == {"captured"}


def test_older_source_is_skipped_and_says_which(recording: Recording) -> None:
    step = recording["older source"]
    assert step.events == []
    assert statuses(step) == dict.fromkeys(ALL_SIGNALS, "skipped_stale")
    for build in step.builds:
        assert build["build_no"] is None
        assert build["released_at"] is None
        assert "landing.flag_rows was loaded until 2026-02-01 01:00:00" in build["held_reason"]


def test_empty_source_is_skipped_and_says_which(recording: Recording) -> None:
    step = recording["empty source"]
    assert step.events == []
    assert statuses(step) == dict.fromkeys(ALL_SIGNALS, "skipped_empty")
    assert all("landing.flag_rows" in build["held_reason"] for build in step.builds)


def test_empty_population_is_skipped_and_says_which(recording: Recording) -> None:
    step = recording["empty population"]
    assert step.events == []
    assert statuses(step) == {"customer_churn_risk": "skipped_empty"}
    assert step.builds[0]["held_reason"] == "empty: population landing.customers"


def test_sources_back_to_normal_are_captured_and_nothing_was_lost(recording: Recording) -> None:
    step = recording["sources are back"]
    assert statuses(step) == dict.fromkeys(ALL_SIGNALS, "captured")
    assert step.events == []  # nobody was resolved meanwhile


@pytest.mark.parametrize(
    ("name", "said"),
    by_first(
        [
            ("null id", '1 row(s) without entity_id (for example "severity low, observed_at 2026-01-01 00:00:00")'),
            ("blank id", "1 row(s) without entity_id"),
            ("duplicate ids", '2 row(s) repeat an entity_id (for example "a", "it\'s")'),
            ("unknown severity", '(for example "a has urgent", "n0 has null", "n1 has null")'),
            ("NaN", '1 row(s) with NaN or infinity in score (for example "a")'),
            ("infinity", '1 row(s) with NaN or infinity in score (for example "a")'),
            ("no observed_at", '1 row(s) without an observed_at that is a moment (for example "a")'),
        ]
    ),
)
def test_bad_rows_fail_the_build_capture_nothing_and_leave_the_table(
    recording: Recording, name: str, said: str
) -> None:
    step = recording[name]
    assert not step.is_success
    assert (step.events, step.builds) == ([], [])
    assert step.seen["is_table_as_before"]
    [error] = [text for text in step.errors if text.startswith("customer_churn_risk: error")]
    assert said in error
    assert "signal customer_churn_risk refused, nothing was captured" in error
    assert "build it again" in error


def test_retry_captures_what_was_refused_before(recording: Recording) -> None:
    assert not recording["refused before a retry"].is_success
    retried = recording["retry"]
    assert retried.is_success, retried.errors
    assert statuses(retried) == {"customer_churn_risk": "captured"}
    assert retried.builds[0]["released_at"] is not None


def test_moments_are_utc_whatever_the_session_and_the_type(recording: Recording) -> None:
    step = recording["moments of every kind"]
    assert step.is_success, step.errors
    observed_at = datetime.fromisoformat("2026-01-01")
    assert step.seen["observed"] == {"zoned": observed_at, "plain": observed_at}
    build = build_of(step, "supplier_overdue")
    assert json.loads(build["sources"]) == {
        "landing.flag_rows": "2026-02-01 07:10:00.000000",
        "landing.suppliers": "2026-01-31 17:00:00.000000",
    }  # open_orders is empty, and may be
    assert build["data_as_of"] == datetime.fromisoformat("2026-01-31 17:00")
    written_at = step.seen["captured_at"].replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - written_at) < timedelta(hours=1)  # Tokyo is nine hours off


def test_columns_with_awkward_names_are_in_the_row(recording: Recording) -> None:
    row = json.loads(recording["moments of every kind"].seen["row"])
    assert (row["order"], row["due_on"], row["entity_id"]) == (1, "2026-01-02", "zoned")
    assert row["flagged_row"].startswith("a column named")


@pytest.mark.parametrize(
    ("model", "said"),
    by_first(
        [
            ("refused_for_view", "it is materialized as view, and a signal is a table"),
            ("refused_for_no_settings", "its .yml has no `config: meta: signal:`"),
            ("refused_for_unknown_population", "population 'nobody_knows' is no model or source"),
            (
                "refused_for_ambiguous_population",
                "model.capture_lab.open_orders, source.capture_lab.landing.open_orders",
            ),
            ("refused_for_number_id", "entity_id is integer, and ids are text"),
            ("refused_for_no_reason", "it has no column reason"),
            ("refused_for_date", "observed_at is date"),
            ("refused_for_unit", "open_after has the unit 'weeks'"),
            ("refused_for_nested_nan", "1 row(s) with NaN or infinity in readings"),
        ]
    ),
)
def test_models_that_cannot_be_signals_are_refused(recording: Recording, model: str, said: str) -> None:
    step = recording["refused models"]
    [error] = [text for text in step.errors if text.startswith(f"{model}: error")]
    assert said.lower() in error.lower()
    assert f"signal {model} refused, nothing was captured" in error
    assert (step.events, step.builds, step.seen["tables"]) == ([], [], [])


def test_failing_test_holds_its_signal_alone_and_names_the_test(recording: Recording) -> None:
    step = recording["failing test"]
    assert step.events == ["shipment_late: s2.1 opened:low"]
    held = [build["signal"] for build in step.builds if build["released_at"] is None]
    assert held == ["shipment_late"]
    assert build_of(step, "shipment_late")["held_reason"] == "test failed: not_null_shipment_late_score"


def test_next_good_build_releases_the_held_one_and_a_warning_does_not_hold(recording: Recording) -> None:
    assert recording["failing test"].seen["waiting"] == 1
    assert recording["next good build"].seen["waiting"] == 0


def test_dbt_run_waits_for_dbt_test_of_that_signal(recording: Recording) -> None:
    ran = recording["run without tests"]
    assert ran.events == ["shipment_late: s3.1 opened:low"]
    assert ran.builds[0]["held_reason"] == "test not run: not_null_shipment_late_score"
    assert ran.seen["waiting"] == 1
    assert recording["tests of something else"].seen["waiting"] == 1
    assert recording["its tests afterwards"].seen["waiting"] == 0


def test_every_error_test_must_run_and_pass(recording: Recording) -> None:
    partly = recording["one of its tests left out"]
    assert partly.builds[0]["held_reason"] == "test not run: unique_customer_churn_risk_entity_id"
    assert partly.seen["waiting"] == 1
    assert recording["the other test alone"].seen["waiting"] == 1
    in_error = recording["tests in error"]
    assert in_error.seen["waiting"] == 1
    assert in_error.seen["reason"].startswith("test failed: not_null_customer_churn_risk_entity_id, unique_")
    assert recording["tests repaired"].seen["waiting"] == 0


def test_skipped_test_holds_and_a_failed_signal_stops_no_other(recording: Recording) -> None:
    step = recording["test skipped for another signal's failure"]
    assert set(statuses(step)) == ALL_SIGNALS - {"machine_overheating"}
    assert step.events == ["supplier_overdue: v.1 opened:low", "supplier_overdue: zoned.1 resolved"]
    held = [build["signal"] for build in step.builds if build["released_at"] is None]
    assert (held, step.seen["waiting"]) == (["supplier_overdue"], 1)
    assert build_of(step, "supplier_overdue")["held_reason"] == "test not run: machines_and_suppliers_agree"
    assert recording["both signals well again"].seen["waiting"] == 0


def test_signal_without_tests_is_released_by_dbt_run(recording: Recording) -> None:
    assert recording["run of a signal without tests"].builds[0]["released_at"] is not None


def test_tests_of_a_skipped_table_release_nothing(recording: Recording) -> None:
    assert statuses(recording["captured and waiting"]) == {"shipment_late": "captured"}
    assert statuses(recording["skipped after it"]) == {"shipment_late": "skipped_stale"}
    after = recording["tests of the skipped table"]
    assert after.is_success
    assert after.seen["waiting"] == 1


def test_release_leaves_a_later_build_of_another_process(recording: Recording) -> None:
    step = recording["another process captures before the release"]
    assert step.is_success, step.errors
    assert step.seen["waiting"] == [("another process",)]
    assert step.seen["own"] == 1


def test_fault_at_the_last_statement_rolls_everything_back(recording: Recording) -> None:
    step = recording["fault at the last statement"]
    assert not step.is_success
    assert any("captured_at" in error for error in step.errors)
    assert (step.events, step.builds) == ([], [])
    assert step.seen["is_state_as_before"]
    assert ("fault",) not in step.seen["table"]


def test_lost_state_cannot_repeat_an_event(recording: Recording) -> None:
    step = recording["state lost"]
    assert not step.is_success
    assert (step.events, step.builds) == ([], [])
    assert step.seen["state"] == 0


def test_select_of_one_signal_captures_that_one(recording: Recording) -> None:
    step = recording["one signal selected"]
    assert set(statuses(step)) == {"customer_churn_risk"}
    assert step.events == [f"customer_churn_risk: {entity} resolved" for entity in ("a.1", "b.2", "c.1", "t.1")]
    assert "shipment_late: s9.1 opened:low" in recording["the others"].events


def test_signal_with_a_name_of_the_longest_length(recording: Recording) -> None:
    assert len(LONG_NAME) == 51  # dbt-postgres adds 12 characters and PostgreSQL allows 63
    assert recording["long name"].events == [f"{LONG_NAME}: warm.1 opened:low"]


def test_criteria_version_follows_the_vars_that_a_signal_reads(recording: Recording) -> None:
    before, after = recording["threshold as it was"], recording["threshold changed"]
    churn = [build_of(step, "customer_churn_risk") for step in (before, after)]
    late = [build_of(step, "shipment_late") for step in (before, after)]
    assert churn[0]["criteria_version"] != churn[1]["criteria_version"]
    assert churn[0]["code_version"] == churn[1]["code_version"]
    assert late[0]["criteria_version"] == late[1]["criteria_version"]


def test_strange_entity_ids_come_through_whole(recording: Recording) -> None:
    step = recording["strange ids"]
    assert step.is_success, step.errors
    rows = step.seen["rows"]
    assert sorted(entity for _, entity, _, _ in rows) == sorted(STRANGE_IDS)
    for found, entity, row_json, incarnation in rows:
        assert found == event_id(incarnation, "deal_won", entity, 1, "opened")
        assert json.loads(row_json)["entity_id"] == entity
        assert json.loads(row_json)["reason"] == f"because {entity}"


def test_incarnation_is_renewed_only_by_its_name(recording: Recording) -> None:
    refused = recording["renewal without the old id"]
    assert not refused.is_success
    assert refused.seen["is_same"]
    renewed = recording["renewal"]
    assert renewed.is_success, renewed.errors
    assert not renewed.seen["is_same"]


def test_counts_of_the_builds_are_the_events_and_ids_are_unique(recording: Recording) -> None:
    seen = recording["last look"].seen
    assert seen["events"] == seen["ids"] == seen["counted"] > 20
    for build in seen["per_build"]:
        assert build[1:4] == build[4:7], build


def test_build_numbers_have_no_gap_and_no_repeat(recording: Recording) -> None:
    for signal, count, newest, distinct in recording["last look"].seen["numbers"]:
        assert count == newest == distinct, signal


def test_state_has_one_row_a_signal_and_entity(recording: Recording) -> None:
    assert recording["last look"].seen["state_ids"] == 0


def test_every_row_is_json_that_a_strict_parser_accepts(recording: Recording) -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    rows = [json.loads(row, parse_constant=refuse) for row in recording["last look"].seen["rows"]]
    assert all("observed_at" not in row and row["entity_id"] for row in rows)
    assert all(math.isfinite(row["score"]) for row in rows if row["score"] is not None)
