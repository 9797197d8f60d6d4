"""The light location of the warm lab: jobs that write down which process executes them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from dagster import Definitions, in_process_executor, job, op

VERSION = "one"
FOLDER = Path(os.environ["WARM_LAB"])


def _write_down(run_id: str) -> None:
    with (FOLDER / "executions.txt").open("a") as told:
        told.write(f"{run_id} {os.getpid()} {VERSION}\n")


@op
def tell(context) -> None:  # type: ignore[no-untyped-def]  # Dagster reads annotations at definition
    _write_down(context.run_id)


@op
def tell_and_hold(context) -> None:  # type: ignore[no-untyped-def]
    _write_down(context.run_id)
    while not (FOLDER / "let_go").exists():
        time.sleep(0.05)


@job(executor_def=in_process_executor)
def note() -> None:
    tell()


@job(executor_def=in_process_executor)
def hold() -> None:
    tell_and_hold()


defs = Definitions(jobs=[note, hold])
