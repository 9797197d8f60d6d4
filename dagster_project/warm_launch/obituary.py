"""Fails a run whose warm worker has died, in a process of its own, so that the pool need not load Dagster.

python -m dagster_project.warm_launch.obituary RUN_ID PID CAUSE      (DAGSTER_HOME names the instance)
"""

from __future__ import annotations

import sys

from dagster import DagsterInstance, DagsterRunStatus


def write_obituary(instance: DagsterInstance, run_id: str, pid: int, cause: str) -> bool:
    """Returns whether the run had to be ended; one that has ended, or that nobody knows, is left as it is."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    words = (
        f"Warm worker {pid}, which alone may execute this run, {cause}. What the run left undone is due again in the "
        "ledger when its lease ends; the sensor then asks for a new run."
    )
    if run.status == DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, words)
    else:
        instance.report_run_failed(run, words)
    return True


if __name__ == "__main__":
    with DagsterInstance.get() as found:
        write_obituary(found, sys.argv[1], int(sys.argv[2]), sys.argv[3])
