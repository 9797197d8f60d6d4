"""What a process of the crash tests does: a pass of detection, a run, both until nothing is due, or levers of a person.

The environment says where (LOOP_*), at which role (CRASH_ROLE), and by how many seconds its clock is ahead
(CRASH_CLOCK_AHEAD). SIGTERM interrupts it as Dagster interrupts a run.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from crash_company import SIGNAL, catalog_of

from dagster_project import crash_points
from dagster_project.detect.warehouse_reading import WarehouseUnavailable
from dagster_project.ledger.claims import due_count
from dagster_project.ledger.database import open_database, utc_now
from dagster_project.ledger.unknown_outcomes import unknown_count
from dagster_project.respond.action_run import Surroundings, begin, do_step, finish, look_up_all
from dagster_project.runtime import surroundings_for, take_in_new_builds
from dagster_project.settings import Settings

MOST_RUNS = 40


def surroundings_from(environment: Mapping[str, str]) -> Surroundings:
    catalog = catalog_of(environment["CRASH_ROLE"], environment.get("CRASH_AT_LEAST_ONCE") == "on")
    around = surroundings_for(Settings(_env_file=None), catalog)  # type: ignore[call-arg]
    if ahead := float(environment.get("CRASH_CLOCK_AHEAD", "0")):
        clock = lambda: utc_now() + timedelta(seconds=ahead)  # noqa: E731
        return replace(around, database=open_database(around.settings.ledger_address, clock))
    return around


def detect(around: Surroundings) -> None:
    take_in_new_builds(around, SIGNAL)


def act(around: Surroundings) -> None:
    work = begin(around, SIGNAL, f"run-{uuid.uuid4().hex[:8]}")
    look_up_all(around, work, print)
    for step in around.catalog.signals[SIGNAL].version.playbook.steps:
        do_step(around, work, step.name, print)
    do_step(around, work, None, print)
    finish(around, work)


def recover(around: Surroundings) -> None:
    """A pass of detection, then runs until nothing is due, as sensors would ask for them."""
    try:
        detect(around)
    except WarehouseUnavailable as error:
        print(f"not read: {error}")
    for _ in range(MOST_RUNS):
        if not due_count(around.database, SIGNAL) + unknown_count(around.database, SIGNAL):
            return
        act(around)


MODES: Mapping[str, Callable[[Surroundings], None]] = {"detect": detect, "act": act, "recover": recover}


def run(mode: str) -> int:
    """Returns the exit status; 143 where the process was interrupted by SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    crash_points.arm(os.environ)
    try:
        MODES[mode](surroundings_from(os.environ))
    except KeyboardInterrupt:
        return 143
    return 0
