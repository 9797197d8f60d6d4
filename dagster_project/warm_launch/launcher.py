"""A run launcher that hands a run to a process which has everything loaded, and starts cold where none takes it."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dagster import DagsterRun, DefaultRunLauncher, Field, RunsFilter
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData

from dagster_project.crash_points import reach
from dagster_project.warm_launch.handover import Answer, HandoverFailed, Offer, make_offer
from dagster_project.warm_launch.meeting_place import MeetingPlace
from dagster_project.warm_launch.run_claims import RunClaim, RunClaims

OFFERS_AT_MOST = 3  # to as many workers, before the start is cold
FORGOTTEN_AFTER_SECONDS = 3600.0
FORGETS_EVERY_SECONDS = 600.0

log = logging.getLogger(__name__)


class RunTaken(Exception):
    """The run's id was claimed before, and whoever claimed it is the only one who may ever execute it."""


@dataclass
class _Handover:
    """How the offers of one run went."""

    taken_by: int | None = None  # the worker's process id
    offers: int = 0
    reasons: list[str] = field(default_factory=list)


class WarmRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher with a warm way before it. It keeps no state: daemon and webserver may both launch.

    Which process executes a run is decided by the claim on its id alone (run_claims.py).
    """

    def __init__(
        self,
        inst_data: ConfigurableClassData | None = None,
        location_module: str = "dagster_project.activate",
        answer_within_seconds: float = 1.0,
    ) -> None:
        """Parameters: the module whose runs may go to warm workers; how long one of them may take to answer."""
        super().__init__(inst_data)
        self._location_module = location_module
        self._answer_within_seconds = answer_within_seconds
        self._forget_at = 0.0

    @classmethod
    def config_type(cls) -> Any:
        return {
            "location_module": Field(str, is_required=False, default_value="dagster_project.activate"),
            "answer_within_seconds": Field(float, is_required=False, default_value=1.0),
        }

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> WarmRunLauncher:
        return cls(inst_data, **config_value)

    @property
    def _place(self) -> MeetingPlace:
        return MeetingPlace.of_home(self._instance.root_directory)

    @property
    def _claims(self) -> RunClaims:
        return RunClaims(self._place.claims)

    # --- launching

    def launch_run(self, context: LaunchRunContext) -> None:
        """Raises RunTaken for an id that was launched before, and what Dagster's own launcher raises."""
        run = context.dagster_run
        if not self._is_of_the_location(run):
            super().launch_run(context)
            return
        handover = self._offer(run)
        if handover.taken_by is None:
            self._start_cold(context, handover)
        else:
            self._tell(run, f"Warm worker {handover.taken_by} took the run{_after(handover.reasons)}.")

    def _is_of_the_location(self, run: DagsterRun) -> bool:
        origin = run.job_code_origin
        pointer = origin.repository_origin.code_pointer if origin is not None else None
        return getattr(pointer, "module", None) == self._location_module

    def _offer(self, run: DagsterRun) -> _Handover:
        """Offers the run to one worker after another until one has it, or none is left that may."""
        handover = _Handover()
        try:
            self._place.make()
            self._forget_ended_runs()
            workers = self._place.idle_workers(self._location_module)
        except OSError as error:
            handover.reasons.append(f"{self._place.folder} cannot be used: {error.strerror}")
            return handover
        if not workers:
            handover.reasons.append("no worker is idle")
        offer = self._offer_of(run)
        for worker in workers[:OFFERS_AT_MOST]:
            handover.offers += 1
            try:
                answer = make_offer(
                    worker.socket, offer, self._answer_within_seconds, sent=lambda: reach("run_offered")
                )
            except HandoverFailed as error:
                handover.reasons.append(f"worker {worker.pid} {error}")
                if self._claims.read(run.run_id) is not None:
                    return handover  # it took the run before it failed to say so
            else:
                if answer.word == "claimed":
                    handover.taken_by = answer.pid
                    return handover
                handover.reasons.append(_refusal(answer))
        return handover

    def _offer_of(self, run: DagsterRun) -> Offer:
        origin = run.job_code_origin
        assert origin is not None  # _is_of_the_location has looked
        arguments = ExecuteRunArgs(job_origin=origin, run_id=run.run_id, instance_ref=self._instance.get_ref())
        return Offer(run.run_id, arguments.get_command_args()[-1], origin.executable_path)

    def _start_cold(self, context: LaunchRunContext, handover: _Handover) -> None:
        """Claims the run like any worker, and starts it through the code server only if nobody has it."""
        run = context.dagster_run
        try:
            held = self._claims.take(run.run_id, "cold")
        except OSError as error:
            if handover.offers:
                raise  # somebody may have it, and nobody can tell
            handover.reasons.append(f"no claim can be written: {error.strerror}")
            self._launch_cold(context, handover.reasons)
            return
        if held is None:
            self._leave_to_its_owner(run, self._claims.read(run.run_id), handover.reasons)
            return
        try:
            reach("run_claimed_cold")
            self._launch_cold(context, handover.reasons)
        finally:
            held.let_go()

    def _launch_cold(self, context: LaunchRunContext, reasons: list[str]) -> None:
        log.warning("run %s starts cold: %s", context.dagster_run.run_id, "; ".join(reasons))
        self._tell(context.dagster_run, f"No warm worker took the run, it starts cold: {'; '.join(reasons)}.")
        super().launch_run(context)

    def _leave_to_its_owner(self, run: DagsterRun, claim: RunClaim | None, reasons: list[str]) -> None:
        """A late answer is no failure; an owner that is gone is one, for nobody else may execute the run."""
        if claim is not None and claim.start == "warm" and self._claims.is_held(run.run_id):
            self._tell(run, f"Warm worker {claim.pid} took the run, its answer was late ({'; '.join(reasons)}).")
            return
        owner = "another launch" if claim is None else f"{claim.start} process {claim.pid}"
        raise RunTaken(
            f"run {run.run_id} was claimed by {owner}, which is gone, and no other process may execute the same run. "
            "Nothing was started. What it was to do is still due in the ledger: the sensor asks for a new run."
        )

    def _tell(self, run: DagsterRun, words: str) -> None:
        self._instance.report_engine_event(words, run, cls=self.__class__)

    def _forget_ended_runs(self) -> None:
        if time.monotonic() < self._forget_at:
            return
        self._forget_at = time.monotonic() + FORGETS_EVERY_SECONDS
        self._claims.forget(self._ended, FORGOTTEN_AFTER_SECONDS)

    def _ended(self, run_ids: list[str]) -> list[str]:
        known = {run.run_id: run for run in self._instance.get_runs(RunsFilter(run_ids=run_ids))}
        return [run_id for run_id in run_ids if run_id not in known or known[run_id].is_finished]

    # --- ending and watching

    def terminate(self, run_id: str) -> bool:
        """Interrupts the worker that has the run, as Dagster's code server does with its own processes."""
        claim = self._claims.read(run_id)
        if claim is None or claim.start == "cold":
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        if self._claims.is_held(run_id):
            with suppress(ProcessLookupError):  # ended since the look at its lock
                os.kill(claim.pid, signal.SIGINT)
                return True
        self._tell(run, f"Warm worker {claim.pid} is gone, there is nothing to interrupt.")
        return False

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """A cold run is watched by its code server, as with Dagster's own launcher; a warm one by its lock."""
        claim = self._claims.read(run.run_id)
        if claim is None or claim.start == "cold":
            return CheckRunHealthResult(WorkerStatus.RUNNING, "started cold: its code server watches it")
        name = str(claim.pid)
        if self._claims.is_held(run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"warm worker {name} lives", run_worker_id=name)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"warm worker {name} is gone", run_worker_id=name)


def _refusal(answer: Answer) -> str:
    return f"worker {answer.pid} refused: {answer.why or answer.word}"


def _after(reasons: list[str]) -> str:
    return f" ({'; '.join(reasons)})" if reasons else ""
