"""One sensor a signal: takes what is newly flagged into the ledger and asks for the runs that are missing."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    JobDefinition,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.contracts.event import BuildRefused
from dagster_project.detect.lookout import Lookout, Watch, wait_for_news
from dagster_project.detect.warehouse_reading import WarehouseUnavailable

IN_FLIGHT = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]

GONE = (
    "The run's lease on its work has ended and it tries nothing any more: its process is gone. What it left open is "
    "settled by the next run."
)
PRIORITY_TAG = "dagster/priority"


class Desk(Protocol):
    """What a sensor asks of the ledger."""

    def catch_up(self, signal: str) -> Sequence[str]:
        """Takes new builds in; returns a line on each. Raises WarehouseUnavailable, BuildRefused.

        What else it raises means that nothing may be sent: the ledger is not to be relied upon, or is another one's.
        """
        ...

    def due(self, signal: str) -> int:
        """How much work a run could take now, counted up to a bound."""
        ...

    def watching(self, signal: str) -> AbstractContextManager[Watch | None]:
        """What tells cheaply that `catch_up` may find something."""
        ...

    def most_severe(self, signal: str) -> int:
        """The severity's rank of the most severe work that a run could take now."""
        ...

    def gone(self, run_ids: Collection[str]) -> set[str]:
        """Which of these runs, that began longer ago than a lease holds, are not at work any more."""
        ...


@dataclass(frozen=True)
class Capacity:
    """How many runs of one signal may be under way, how much each takes,
    how long it holds that, and how long a sensor waits for news."""

    claim_limit: int
    runs_in_flight: int
    lease_seconds: float
    lookout: Lookout


@dataclass(frozen=True)
class Standing:
    """How much is due, how many runs are under way, and how many are missing."""

    due: int
    running: int
    missing: int


def runs_missing(due: int, in_flight: int, claim_limit: int, at_most: int) -> int:
    """How many runs to ask for: enough for the due work, no more than the cap, less those that are under way."""
    wanted = min(at_most, -(-due // claim_limit))
    return max(0, wanted - in_flight)


def build_sensor(
    signal: CatalogSignal,
    job: JobDefinition,
    desk: Desk,
    capacity: Capacity,
    interval_seconds: int,
    is_running_by_default: bool,
) -> SensorDefinition:
    """The sensor of one signal. A run request carries no ids and no data: the run claims what is due then.

    Its priority is the severity of what is due, so that in a full queue a critical case waits for no wave.

    A build that is refused fails the evaluation that has nothing to ask for: one that fails can ask for nothing. An
    evaluation that asks for runs says it in its log.
    """
    status = DefaultSensorStatus.RUNNING if is_running_by_default else DefaultSensorStatus.STOPPED

    @sensor(
        name=f"watch_{signal.name}",
        description=f"New builds of {signal.name} into the ledger; runs of {job.name} for due work.",
        job=job,
        minimum_interval_seconds=interval_seconds,
        default_status=status,
        tags={"signal": signal.name},
    )
    def watch(context: SensorEvaluationContext) -> SensorResult | SkipReason:
        look = _Look(context, desk, signal.name, job.name, capacity)
        news = look.until_a_run_is_missing()
        now = look.standing()
        summary = f"{'; '.join(dict.fromkeys(news)) or 'no new build'}. {now.due} due, {now.running} runs under way"
        if not now.missing:
            if look.refused is not None:
                raise look.refused
            return SkipReason(summary)
        context.log.info(summary)
        tags = {"signal": signal.name, PRIORITY_TAG: str(desk.most_severe(signal.name))}
        return SensorResult(run_requests=[RunRequest(tags=tags) for _ in range(now.missing)])

    return watch


@dataclass
class _Look:
    """One evaluation of a sensor: a full look, and where there is a place for it, a wait for the next one."""

    context: SensorEvaluationContext
    desk: Desk
    signal: str
    job: str
    capacity: Capacity
    refused: BuildRefused | None = None  # by the last look

    def until_a_run_is_missing(self) -> list[str]:
        """What was taken in, in words; ends at once where a run is missing, else when the wait is over."""
        with self.capacity.lookout.place() as until:
            if until is None:
                return self._take_in()
            with self.desk.watching(self.signal) as watch:
                return self._take_in() if watch is None else self._keep_looking(watch, until)

    def _keep_looking(self, watch: Watch, until: float) -> list[str]:
        news: list[str] = []
        is_looking = True
        while is_looking:
            seen = watch.mark()  # before the look: what is committed during it is news again
            news += self._take_in()
            is_looking = self._may_wait() and wait_for_news(watch, seen, self._is_missing, until)
        return news

    def _take_in(self) -> list[str]:
        """A warehouse that cannot be read now is a reason, not a failure, and a build that is refused ends nothing but
        this look: due work goes on."""
        self.refused = None
        try:
            news = self.desk.catch_up(self.signal)
        except BuildRefused as error:
            self.refused = error
            self.context.log.error(str(error))
            return [f"build refused: {error}"]
        except WarehouseUnavailable as error:
            self.context.log.warning(str(error))
            return [f"warehouse not read: {error}"]
        for line in news:
            self.context.log.info(line)
        return list(news)

    def _may_wait(self) -> bool:
        """What was refused is told at once."""
        return self.refused is None and not self._is_missing()

    def _is_missing(self) -> bool:
        return self.standing().missing > 0

    def standing(self) -> Standing:
        due = self.desk.due(self.signal)
        running = _under_way(self.context.instance, self.job, self.desk, self.capacity.lease_seconds)
        missing = runs_missing(due, running, self.capacity.claim_limit, self.capacity.runs_in_flight)
        return Standing(due, running, missing)


def _under_way(instance: DagsterInstance, job_name: str, desk: Desk, lease_seconds: float) -> int:
    """How many runs are at work or will be; those that are gone are reported failed and give back their places.

    A run whose process and code server died together stays "started" for Dagster until its longest time is over. It
    would keep its signal waiting, and a place in its pool, for all of that.
    """
    records = instance.get_run_records(RunsFilter(job_name=job_name, statuses=IN_FLIGHT))
    latest = time.time() - lease_seconds
    old = {
        record.dagster_run.run_id: record.dagster_run
        for record in records
        if record.dagster_run.status is DagsterRunStatus.STARTED and (record.start_time or latest) < latest
    }
    gone = desk.gone(old) if old else set()
    for run_id in sorted(gone):
        instance.report_run_failed(old[run_id], message=GONE)
    return len(records) - len(gone)
