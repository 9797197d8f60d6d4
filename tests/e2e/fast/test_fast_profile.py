"""In the fast profile a newly flagged row is acted on by a warm worker, and by a cold process when the pool is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import DagsterInstance, RunsFilter
from dagster_driver import DagsterDev, running_dagster, running_pool, until
from loop_driver import Loop, running_loop

from dagster_project.instance_files import instance_yaml

JOB = "act_on_deal_won"


@pytest.mark.long
def test_runs_are_warm_while_there_is_a_pool_and_cold_when_it_is_gone(tmp_path: Path) -> None:
    with running_loop(tmp_path / "state", {"LOOP_PROFILE": "fast"}) as loop:
        loop.play_day(1)
        with running_dagster(loop, instance_yaml("fast")) as dev:
            with running_pool(loop):
                build_day(loop, dev, 2)
                until("the second day is acted on", lambda: statuses(loop, 1) == {"SUCCESS"}, 240)
                assert all("took the run" in told for told in messages(loop).values())
            warm = set(messages(loop))
            build_day(loop, dev, 3)
            until("the third day is acted on", lambda: statuses(loop, len(warm) + 1) == {"SUCCESS"}, 240)
            cold = {run: told for run, told in messages(loop).items() if run not in warm}
            assert all("it starts cold: no worker is idle" in told for told in cold.values())
        assert "BROKEN" not in loop.loopctl("status", "--prove")


def build_day(loop: Loop, dev: DagsterDev, day: int) -> None:
    loop.land_day(day)
    build = dev.launch("transform", "build_signals")
    until("the build has ended", lambda: dev.run_status(build) in ("SUCCESS", "FAILURE"), 240)
    assert dev.run_status(build) == "SUCCESS"


def statuses(loop: Loop, at_least: int) -> set[str]:
    """How the runs stand, once there are so many."""
    with DagsterInstance.from_config(str(loop.state_dir / "dagster")) as instance:
        runs = instance.get_runs(RunsFilter(job_name=JOB))
        return {run.status.value for run in runs} if len(runs) >= at_least else set()


def messages(loop: Loop) -> dict[str, str]:
    """All that was said of each run of the job."""
    with DagsterInstance.from_config(str(loop.state_dir / "dagster")) as instance:
        return {
            run.run_id: "\n".join(entry.message or "" for entry in instance.all_logs(run.run_id))
            for run in instance.get_runs(RunsFilter(job_name=JOB))
        }
