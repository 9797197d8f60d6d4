"""The sensor asks for the runs that are missing, and for no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import pytest
from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    SensorDefinition,
    SensorResult,
    SkipReason,
    build_sensor_context,
    job,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.contracts.prepared_project import prepared_project

from dagster_project.contracts.event import BuildRefused
from dagster_project.detect.lookout import Lookout, wait_for_news
from dagster_project.detect.sensors import Capacity, build_sensor, runs_missing
from dagster_project.detect.warehouse_reading import WarehouseUnavailable

NAME = "customer_churn_risk"
LEASE_SECONDS = 300.0


@job(name=f"act_on_{NAME}")
def act() -> None:
    """Stands for the signal's job."""


@dataclass
class Watch:
    """Marks as a test scripts them: what each glance sees, the last one for ever."""

    marks: list[int]
    is_let_go: bool = True
    glances: int = 0

    def mark(self) -> Hashable:
        self.glances += 1
        return self.marks.pop(0) if len(self.marks) > 1 else self.marks[0]

    def is_free(self) -> bool:
        return self.is_let_go


@dataclass
class Desk:
    """A ledger that says what a test tells it to."""

    due_count: int = 0
    news: Sequence[str] = ()
    is_warehouse_there: bool = True
    failure: Exception | None = None
    gone_runs: Collection[str] = ()
    rank: int = 0
    lookout: Lookout = field(default_factory=lambda: Lookout(3, 0))
    watch: Watch | None = None

    def watching(self, signal: str) -> AbstractContextManager[Watch | None]:
        return nullcontext(self.watch)

    def catch_up(self, signal: str) -> Sequence[str]:
        if not self.is_warehouse_there:
            raise WarehouseUnavailable("the file is being written")
        if self.failure is not None:
            raise self.failure
        return self.news

    def due(self, signal: str) -> int:
        return self.due_count

    def most_severe(self, signal: str) -> int:
        return self.rank

    def gone(self, run_ids: Collection[str]) -> set[str]:
        return set(run_ids) & set(self.gone_runs)


def sensor_on(desk: Desk, is_running: bool = True) -> SensorDefinition:
    return build_sensor(
        prepared_project().catalog.signals[NAME],
        act,
        desk,
        Capacity(100, 3, LEASE_SECONDS, desk.lookout),
        30,
        is_running,
    )


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def evaluate(desk: Desk, instance: DagsterInstance) -> SensorResult | SkipReason:
    with build_sensor_context(instance=instance) as context:
        found = sensor_on(desk)(context)
    assert isinstance(found, SensorResult | SkipReason)
    return found


def requests_of(desk: Desk, instance: DagsterInstance) -> int:
    found = evaluate(desk, instance)
    return len(found.run_requests or []) if isinstance(found, SensorResult) else 0


@pytest.mark.parametrize(("due", "runs"), [(0, 0), (1, 1), (100, 1), (101, 2), (10_000, 3)])
def test_as_many_runs_as_the_due_work_needs_up_to_the_cap(instance: DagsterInstance, due: int, runs: int) -> None:
    assert requests_of(Desk(due), instance) == runs


@pytest.mark.parametrize("status", [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING])
def test_runs_that_are_under_way_are_not_asked_for_again(instance: DagsterInstance, status: DagsterRunStatus) -> None:
    instance.add_run(DagsterRun(job_name=act.name, status=status))
    assert requests_of(Desk(1), instance) == 0
    assert requests_of(Desk(250), instance) == 2


@pytest.mark.parametrize("status", [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED])
def test_runs_that_have_ended_and_other_jobs_runs_do_not_count(
    instance: DagsterInstance, status: DagsterRunStatus
) -> None:
    instance.add_run(DagsterRun(job_name=act.name, status=status))
    instance.add_run(DagsterRun(job_name="act_on_deal_won", status=DagsterRunStatus.STARTED))
    assert requests_of(Desk(1), instance) == 1


@pytest.mark.parametrize(("hours_ago", "is_gone", "is_left"), [(1, True, True), (1, False, False), (0, True, False)])
def test_a_run_that_is_gone_gives_its_place_back(
    instance: DagsterInstance, hours_ago: int, is_gone: bool, is_left: bool
) -> None:
    """Its process and its code server died together, so that nobody has told Dagster."""
    run = DagsterRun(job_name=act.name, status=DagsterRunStatus.NOT_STARTED)
    instance.add_run(run)
    event = DagsterEvent(DagsterEventType.RUN_START.value, act.name)
    instance.report_dagster_event(event, run.run_id, timestamp=time.time() - 3600 * hours_ago - 1)
    assert requests_of(Desk(1, gone_runs=[run.run_id] if is_gone else []), instance) == (1 if is_left else 0)
    (left,) = instance.get_runs()
    assert left.status is (DagsterRunStatus.FAILURE if is_left else DagsterRunStatus.STARTED)


def test_a_request_carries_the_signals_name_and_its_severity_and_no_key_no_config(instance: DagsterInstance) -> None:
    found = evaluate(Desk(150, rank=3), instance)
    assert isinstance(found, SensorResult)
    tags = {"signal": NAME, "dagster/priority": "3"}
    for request in found.run_requests or []:
        assert (request.run_key, request.run_config, dict(request.tags)) == (None, {}, tags)


def test_a_skip_says_what_was_seen(instance: DagsterInstance) -> None:
    found = evaluate(Desk(news=["planned: 3 events", "baseline: 7 events"]), instance)
    assert isinstance(found, SkipReason)
    assert found.skip_message == "planned: 3 events; baseline: 7 events. 0 due, 0 runs under way"


def test_a_warehouse_that_cannot_be_read_stops_no_due_work(instance: DagsterInstance) -> None:
    assert requests_of(Desk(1, is_warehouse_there=False), instance) == 1
    found = evaluate(Desk(0, is_warehouse_there=False), instance)
    assert isinstance(found, SkipReason)
    assert "warehouse not read: the file is being written" in (found.skip_message or "")


def test_a_build_that_is_refused_stops_no_due_work_and_is_told(
    instance: DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(500, failure=BuildRefused("build 7 brings 3,000,000 events"))
    found = evaluate(desk, instance)
    assert isinstance(found, SensorResult)
    assert len(found.run_requests or []) == 3
    assert "build 7 brings 3,000,000 events" in capfd.readouterr().err


@pytest.mark.parametrize("lookout", [Lookout(1, 0), Lookout(1, 60)])
def test_a_build_that_is_refused_fails_the_evaluation_that_has_nothing_to_ask_for(
    instance: DagsterInstance, lookout: Lookout
) -> None:
    for _ in range(3):
        instance.add_run(DagsterRun(job_name=act.name, status=DagsterRunStatus.STARTED))
    refused = BuildRefused("build 7 brings 3,000,000 events")
    for due in (0, 500):  # nothing is due; as many runs as may be are under way
        with pytest.raises(BuildRefused, match="brings 3,000,000 events"):
            evaluate(Desk(due, failure=refused, lookout=lookout, watch=Watch([1])), instance)


def test_a_ledger_that_cannot_be_relied_upon_asks_for_nothing(instance: DagsterInstance) -> None:
    with pytest.raises(RuntimeError, match="another warehouse"):
        evaluate(Desk(500, failure=RuntimeError("the events come from another warehouse")), instance)


@pytest.mark.parametrize(
    ("is_running", "status"), [(True, DefaultSensorStatus.RUNNING), (False, DefaultSensorStatus.STOPPED)]
)
def test_it_runs_by_default_only_where_it_is_told_to(is_running: bool, status: DefaultSensorStatus) -> None:
    sensor = sensor_on(Desk(), is_running)
    assert (sensor.name, sensor.default_status, sensor.minimum_interval_seconds) == (f"watch_{NAME}", status, 30)


@given(due=st.integers(0, 10**6), running=st.integers(0, 50), limit=st.integers(1, 5000), cap=st.integers(0, 50))
def test_never_more_than_the_cap_and_never_fewer_than_the_work_needs(
    due: int, running: int, limit: int, cap: int
) -> None:
    missing = runs_missing(due, running, limit, cap)
    assert missing >= 0
    assert missing + running <= max(cap, running)
    assert missing + running >= cap or (missing + running) * limit >= due
    assert missing == 0 or (missing + running - 1) * limit < due


# --- waiting for news inside an evaluation


@dataclass
class FilledLater(Desk):
    """Work becomes due with the second look."""

    looks: int = 0

    def catch_up(self, signal: str) -> Sequence[str]:
        self.looks += 1
        self.due_count = 7 if self.looks > 1 else 0
        return [f"look {self.looks}"]


def test_a_commit_during_the_wait_is_taken_in_by_the_same_evaluation(instance: DagsterInstance) -> None:
    desk = FilledLater(lookout=Lookout(1, 60), watch=Watch([1, 1, 1, 2]))
    assert requests_of(desk, instance) == 1
    assert desk.looks == 2


def test_a_commit_between_the_mark_and_the_look_is_looked_at_again(instance: DagsterInstance) -> None:
    desk = FilledLater(lookout=Lookout(1, 60), watch=Watch([1, 2]))
    assert requests_of(desk, instance) == 1


def test_work_that_becomes_due_by_itself_ends_the_wait(instance: DagsterInstance) -> None:
    desk = Desk(lookout=Lookout(1, 60), watch=Watch([1]))

    def approved(watch: Watch) -> Callable[[], bool]:
        return lambda: watch.glances > 3

    assert desk.watch is not None
    assert wait_for_news(desk.watch, 1, approved(desk.watch), time.monotonic() + 60)


def test_a_writer_that_holds_the_file_is_waited_for_no_longer_than_the_wait() -> None:
    watch = Watch([2], is_let_go=False)
    assert not wait_for_news(watch, 1, lambda: False, time.monotonic() + 0.3)
    watch.is_let_go = True
    assert wait_for_news(watch, 1, lambda: False, time.monotonic() + 60)


def test_no_more_sensors_wait_at_once_than_there_are_places() -> None:
    lookout = Lookout(1, 60)
    with lookout.place() as first, lookout.place() as second:
        assert first is not None and second is None
    with lookout.place() as again:
        assert again is not None


def test_without_a_wait_or_without_a_watch_it_looks_once(instance: DagsterInstance) -> None:
    for desk in (FilledLater(lookout=Lookout(1, 0), watch=Watch([1, 2])), FilledLater(lookout=Lookout(1, 60))):
        assert requests_of(desk, instance) == 0
        assert desk.looks == 1
