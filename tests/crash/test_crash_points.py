"""A process may die between any two durable steps; the loop goes on by itself, and every promise holds."""

from __future__ import annotations

import signal

import pytest
from crash_cases import FIRST_MEETING, FULL, INTAKE, ONCE, PAIRWISE, Case
from crash_lab import CrashLab, MakeLab, until
from invariants import check_invariants

from dagster_project.sandbox.faults import Fault, FaultKind

DAILY = {"sqlite": ONCE, "postgres": PAIRWISE}


def _all_cases() -> list[object]:
    return [
        pytest.param(database, case, id=f"{database}-{case.name}", marks=() if case in daily else (pytest.mark.long,))
        for database, daily in DAILY.items()
        for case in FULL
    ]


@pytest.mark.parametrize(("database", "case"), _all_cases())
def test_a_crash_loses_nothing_and_repeats_nothing(make_lab: MakeLab, database: str, case: Case) -> None:
    is_met = case.point not in FIRST_MEETING
    lab = make_lab(case.kind, database, is_met=is_met)
    if not is_met:
        lab.crash("detect", case.point, case.by)
        if case.point != "baseline_noted":
            lab.run("detect")  # until the baseline is noted, whatever is found is baseline
        lab.company.add_builds()
    elif case.point in INTAKE:
        lab.crash("detect", case.point, case.by)
    else:
        lab.run("detect")
        _crash_a_run(lab, case)
    lab.recover()
    check_invariants(lab, case.in_doubt or case.point == "swept")


def _crash_a_run(lab: CrashLab, case: Case) -> None:
    if case.point == "request_sent":
        _crash_while_the_request_is_under_way(lab, case)
    elif case.point == "swept":
        lab.crash("act", "intent_written", case.by)
        lab.until_leases_end()
        lab.crash("act", "swept", case.by)
    else:
        lab.crash("act", case.point, case.by)


PATHS = {"hook": "/hooks/*", "crm": "*tasks/batch/upsert*"}


def _crash_while_the_request_is_under_way(lab: CrashLab, case: Case) -> None:
    """The sink has it and has not answered yet."""
    fault = Fault(kind=FaultKind.DELAY_REPLY, path=PATHS[lab.role], seconds=2.0)
    fault_id = lab.sandbox.faults.add(fault)
    try:
        process = lab.start("act")
        until("a request has arrived", lambda: bool(lab.arrivals()))
        process.signal(signal.Signals[case.by])
        assert process.ended() in (143, -signal.SIGKILL)
        lab.crashes += 1
    finally:
        lab.sandbox.faults.remove(fault_id)
