"""Whether a signal's data is young, its volume believable, its capture complete: from the records alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from unit.contracts.prepared_project import prepared_project

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.contracts.signal import Guard
from dagster_project.contracts.vocabulary import Kind
from dagster_project.detect.warehouse_reading import BuildRecord
from dagster_project.verify.data_checks import capture_faults, judge_age, judge_volume

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
DAY = timedelta(days=1)


def record(number: int | None = 1, **changes: Any) -> BuildRecord:
    values: dict[str, Any] = {
        "build_no": number,
        "status": "captured",
        "is_baseline": number == 1,
        "data_as_of": NOW - timedelta(hours=2),
        "population": 1000,
        "flagged": 0,
        "opened": 0,
        "escalated": 0,
        "resolved": 0,
        "released_at": NOW,
        "held_reason": "",
        **changes,
    }
    return BuildRecord(**values)


def stale(**changes: Any) -> BuildRecord:
    return record(
        None, status="skipped_stale", held_reason="landing.customers is older than the last build saw it", **changes
    )


@pytest.mark.parametrize(("age", "passes"), [(timedelta(0), True), (DAY, True), (DAY + timedelta(seconds=1), False)])
def test_the_age_is_that_of_the_newest_captured_data(age: timedelta, passes: bool) -> None:
    records = [record(1, data_as_of=NOW - 9 * DAY), record(2, data_as_of=NOW - age), stale(data_as_of=NOW)]
    is_young, metadata = judge_age(records, NOW, DAY)
    assert is_young is passes
    assert metadata["age_hours"] == round(age.total_seconds() / 3600, 2)
    assert bool(metadata["why"]) is not passes


@pytest.mark.parametrize("records", [[], [stale()]])
def test_a_signal_without_data_is_not_fresh(records: list[BuildRecord]) -> None:
    assert judge_age(records, NOW, DAY) == (False, {"why": "nothing was captured yet"})


def test_data_from_the_future_is_not_fresh() -> None:
    assert judge_age([record(data_as_of=NOW + 2 * DAY)], NOW, DAY)[0] is False


@pytest.fixture
def churn() -> CatalogSignal:
    return prepared_project().catalog.signals["customer_churn_risk"]  # 500 and 5 % for opened and for resolved


@pytest.mark.parametrize(
    ("counts", "passes"),
    [
        ({"opened": 50}, True),
        ({"opened": 51}, False),
        ({"resolved": 51}, False),
        ({"escalated": 999}, True),
        ({"opened": 400, "population": None}, True),
        ({"opened": 501, "population": None}, False),
        ({"opened": 501, "population": 1_000_000}, False),
        ({"opened": 999, "is_baseline": True}, True),
    ],
)
def test_the_newest_wave_is_held_against_the_guards(churn: CatalogSignal, counts: dict[str, Any], passes: bool) -> None:
    is_believable, metadata = judge_volume([record(1, opened=900), record(2, **counts), stale()], churn)
    assert is_believable is passes
    assert metadata.get("why", "") != "" or passes


def test_escalations_have_a_guard_where_the_signal_says_so(churn: CatalogSignal) -> None:
    guarded = churn.spec.model_copy(update={"guards": {Kind.ESCALATED: Guard(count=5)}})
    signal = churn.model_copy(update={"spec": guarded})
    assert judge_volume([record(2, escalated=5)], signal)[0]
    is_believable, metadata = judge_volume([record(2, escalated=6)], signal)
    assert not is_believable
    assert "escalated" in metadata["why"]


def test_before_any_build_there_is_no_volume_to_doubt(churn: CatalogSignal) -> None:
    assert judge_volume([], churn)[0]


@pytest.mark.parametrize(
    ("records", "events", "rows", "fault"),
    [
        ([record(1, opened=3, flagged=3)], 3, 3, None),
        ([record(1, opened=3, flagged=3), record(2, escalated=1, resolved=1, flagged=2)], 5, 2, None),
        ([], 0, 0, "nothing was captured yet: run `dbt build`"),
        ([record(1, opened=3, flagged=3)], 2, 3, "builds say 3 events, 2 are stored"),
        ([record(1, opened=3, flagged=3)], 4, 3, "builds say 3 events, 4 are stored"),
        ([record(1, opened=3, flagged=3)], 3, 4, "the newest build saw 3 rows, the table has 4"),
        ([record(1, released_at=None)], 0, 0, "build 1 is held: its tests have not run"),
        ([record(1, released_at=None, held_reason="unique failed")], 0, 0, "build 1 is held: unique failed"),
        ([record(1), stale()], 0, 0, "the newest build captured nothing: landing.customers is older"),
    ],
)
def test_what_is_missing_or_waiting_is_said(
    records: list[BuildRecord], events: int, rows: int, fault: str | None
) -> None:
    faults = capture_faults(records, events, rows)
    assert len(faults) == (1 if fault else 0)
    assert (fault or "") in "".join(faults)
