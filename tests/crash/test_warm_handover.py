"""Whatever dies or sleeps between a run's request and its start, at most one process ever executes the run."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterRunStatus
from unit.contracts.prepared_project import prepared_project
from warm_lab import WarmLab, change_version, code_server, copy_job, until

from dagster_project.warm_launch.launcher import RunTaken, WarmRunLauncher

SUCCESS, FAILURE, STARTED = DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.STARTED


@pytest.fixture(scope="module")
def instance_with_code_server() -> Iterator[WarmLab]:
    with tempfile.TemporaryDirectory(prefix="lab-") as named:
        folder = Path(named)
        lab = WarmLab(folder, prepared_project().state_dir, folder / "s")
        copy_job(folder)
        lab.set_up()
        with code_server(folder, lab.environment):
            yield lab


@pytest.fixture
def lab(instance_with_code_server: WarmLab) -> Iterator[WarmLab]:
    """The instance without a pool; what a test starts is ended after it."""
    copy_job(instance_with_code_server.folder)
    try:
        yield instance_with_code_server
    finally:
        instance_with_code_server.end()


def crash(point: str, by: str = "SIGKILL") -> dict[str, str]:
    return {"LOOP_CRASH_TESTS": "on", "LOOP_CRASH_AT": point, "LOOP_CRASH_BY": by}


def test_workers_take_runs_and_what_is_left_over_starts_cold(lab: WarmLab) -> None:
    """One pool, one life after the other: taken, exhausted, interrupted, killed in mid-run."""
    lab.start_pool()
    [worker] = lab.idle()
    first = lab.launch()
    lab.wait_for(first, SUCCESS)
    assert lab.executions(first) == [(worker, "one")]
    assert f"Warm worker {worker} took the run" in lab.said(first)
    until("the worker is replaced", lambda: lab.idle() not in ([], [worker]))

    [worker] = lab.idle()
    held = lab.launch("hold")
    until("the held run is under way", lambda: bool(lab.executions(held)))
    left_over = lab.launch()  # while the new worker loads, or after: both are right
    lab.wait_for(left_over, SUCCESS)
    assert len(lab.executions(left_over)) == 1
    with lab.instance() as instance:
        assert instance.run_launcher.terminate(held)
    lab.wait_for(held, DagsterRunStatus.CANCELED)
    assert lab.executions(held) == [(worker, "one")]

    until("a worker is idle", lambda: bool(lab.idle()))
    killed = lab.launch("hold")
    until("the next held run is under way", lambda: bool(lab.executions(killed)))
    lab.kill(lab.executions(killed)[0][0])
    lab.wait_for(killed, FAILURE)
    assert "was ended by SIGKILL" in lab.said(killed)
    assert len(lab.executions(killed)) == 1


def test_without_a_pool_a_run_starts_cold_and_says_why(lab: WarmLab) -> None:
    run = lab.launch()
    lab.wait_for(run, SUCCESS)
    assert len(lab.executions(run)) == 1
    assert "it starts cold: no worker is idle" in lab.said(run)


@pytest.mark.long
def test_without_a_folder_for_claims_a_run_starts_cold_and_says_why(lab: WarmLab) -> None:
    lab.start_pool()
    away = lab.place.folder.rename(lab.home / "away")
    lab.place.folder.touch()
    try:
        run = lab.launch()
        lab.wait_for(run, SUCCESS)
    finally:
        lab.place.folder.unlink()
        away.rename(lab.place.folder)
    assert len(lab.executions(run)) == 1
    assert "no claim can be written" in lab.said(run)


def test_a_launcher_that_dies_after_its_offer_leaves_the_run_to_the_worker(lab: WarmLab) -> None:
    lab.start_pool()
    [worker] = lab.idle()
    run = lab.launch(expected=-signal.SIGKILL, **crash("run_offered"))
    lab.wait_for(run, SUCCESS)
    assert lab.executions(run) == [(worker, "one")]


def test_a_launcher_that_dies_after_its_own_claim_leaves_the_run_to_nobody(lab: WarmLab) -> None:
    run = lab.launch(expected=-signal.SIGKILL, **crash("run_claimed_cold"))
    lab.start_pool()
    with lab.instance() as instance:
        found = instance.get_run_by_id(run)
        assert found is not None and found.status == DagsterRunStatus.STARTING
        with pytest.raises(RunTaken, match="no other process may execute the same run"):
            instance.launch_run(run, _no_workspace())
    assert lab.executions(run) == []
    assert len(lab.idle()) == 1  # the worker refused the offer and is ready for another


def test_a_worker_that_sleeps_over_its_offer_finds_the_run_claimed_for_a_cold_start(lab: WarmLab) -> None:
    lab.start_pool(**crash("offer_received", "SIGSTOP"))
    [worker] = lab.idle()
    run = lab.launch()
    lab.wait_until_stopped(worker)
    lab.wait_for(run, SUCCESS)
    [(process, _)] = lab.executions(run)
    assert process != worker
    assert "did not answer within 1 s" in lab.said(run)
    lab.kill(worker, signal.SIGCONT)
    again = lab.launch()  # it is idle again, and good for another run
    lab.wait_for(again, SUCCESS)
    assert lab.executions(again) == [(worker, "one")]
    assert lab.executions(run) == [(process, "one")]


@pytest.mark.long
def test_a_worker_that_sleeps_over_its_claim_is_the_one_that_executes(lab: WarmLab) -> None:
    lab.start_pool(**crash("run_claimed_warm", "SIGSTOP"))
    [worker] = lab.idle()
    run = lab.launch()
    lab.wait_until_stopped(worker)
    assert "its answer was late" in lab.said(run)
    assert lab.executions(run) == []
    lab.kill(worker, signal.SIGCONT)
    lab.wait_for(run, SUCCESS)
    assert lab.executions(run) == [(worker, "one")]


@pytest.mark.long
def test_a_worker_that_dies_before_its_claim_leaves_the_run_to_a_cold_start(lab: WarmLab) -> None:
    lab.start_pool(**crash("offer_received"))
    run = lab.launch()
    lab.wait_for(run, SUCCESS)
    assert len(lab.executions(run)) == 1
    assert "it starts cold" in lab.said(run)


@pytest.mark.long
@pytest.mark.parametrize(("point", "status"), [("run_claimed_warm", 1), ("run_accepted", 0)])
def test_a_worker_that_dies_after_its_claim_takes_the_run_with_it(lab: WarmLab, point: str, status: int) -> None:
    lab.start_pool(**crash(point))
    run = lab.launch(expected=status)
    lab.wait_for(run, FAILURE)
    assert lab.executions(run) == []
    claim = lab.claims.read(run)
    assert claim is not None and claim.start == "warm" and not lab.claims.is_held(run)


@pytest.mark.long
def test_changed_code_is_never_executed_by_a_worker_that_loaded_the_old(lab: WarmLab) -> None:
    lab.start_pool(size=2)
    change_version(lab.folder / "warm_job.py", "two")
    run = lab.launch()
    lab.wait_for(run, SUCCESS)
    assert [version for _, version in lab.executions(run)] == ["two"]
    until("new workers are idle", lambda: len(lab.idle()) == 2)
    warm = lab.launch()
    lab.wait_for(warm, SUCCESS)
    assert [version for _, version in lab.executions(warm)] == ["two"]
    assert "took the run" in lab.said(warm)


@pytest.mark.long
def test_when_pool_and_worker_die_together_monitoring_sees_it_and_the_next_pool_reports_it(lab: WarmLab) -> None:
    pool = lab.start_pool()
    run = lab.launch("hold")
    until("the run is under way", lambda: bool(lab.executions(run)))
    [(worker, _)] = lab.executions(run)
    pool.kill()
    pool.wait()
    with lab.instance() as instance:
        launcher = instance.run_launcher
        assert isinstance(launcher, WarmRunLauncher)
        assert launcher.check_run_worker_health(lab.run(run)).status.value == "RUNNING"
        lab.kill(worker)
        until("its lock is free", lambda: not lab.claims.is_held(run))
        assert launcher.check_run_worker_health(lab.run(run)).status.value == "FAILED"
    until("idle workers of the dead pool have left", lambda: not lab.idle())
    lab.start_pool()
    lab.wait_for(run, FAILURE)


@pytest.mark.long
def test_a_killed_pool_leaves_no_process_and_runs_start_cold(lab: WarmLab) -> None:
    pool = lab.start_pool(size=2)
    pool.kill()
    pool.wait()
    run = lab.launch()
    lab.wait_for(run, SUCCESS)
    assert len(lab.executions(run)) == 1
    until("its workers have ended", lambda: not lab.idle())


def _no_workspace():  # type: ignore[no-untyped-def]
    """A launch that must fail before it needs one."""
    from unittest.mock import sentinel

    return sentinel.workspace
