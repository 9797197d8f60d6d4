"""Every crash point that the docs name exists and is tried, and none is in the code that the docs do not name."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys

import pytest
from boundaries.project_modules import modules
from crash_cases import ELSEWHERE, EVERY_POINT, FULL, ONCE, OUTSIDE, PAIRWISE, PHASES
from crash_lab import HERE
from dagster._utils.interrupts import capture_interrupts
from dying_build import BUILD_POINTS

from dagster_project import crash_points
from dagster_project.crash_points import POINTS

DOCS = HERE.parents[1] / "docs" / "the_loop.md"


def reached_in_code() -> list[str]:
    return [
        str(node.args[0].value)
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "reach"
        and isinstance(node.args[0], ast.Constant)
    ]


def named_in_docs() -> list[str]:
    chapter = DOCS.read_text(encoding="utf-8").partition("## Crash points")[2].partition("\n## ")[0]
    rows = [line for line in chapter.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])]


def test_each_point_stands_at_one_place_in_the_code() -> None:
    assert sorted(reached_in_code()) == sorted(POINTS)


def test_the_docs_name_every_point_and_no_other() -> None:
    assert sorted(named_in_docs()) == sorted({*POINTS, *BUILD_POINTS, *OUTSIDE})


def test_every_point_is_tried_every_day() -> None:
    assert {*EVERY_POINT, *ELSEWHERE} == {*POINTS, *OUTSIDE}
    assert [case.point for case in ONCE] == list(EVERY_POINT)
    assert {(case.by, case.kind) for case in ONCE} == {(case.by, case.kind) for case in FULL}


def test_the_chosen_cases_hold_every_pair() -> None:
    phase_of = {point: phase for phase, points in PHASES.items() for point in points}

    def pairs(cases: tuple[object, ...]) -> set[tuple[str, str]]:
        parts = [(phase_of[case.point], case.by, case.kind) for case in cases]  # type: ignore[attr-defined]
        return {pair for a, b, c in parts for pair in ((a, b), (a, c), (b, c))}

    assert pairs(PAIRWISE) == pairs(FULL)
    assert len(PAIRWISE) < len(FULL) / 5


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"LOOP_CRASH_AT": "rendered"}, "LOOP_CRASH_TESTS=on"),
        ({"LOOP_CRASH_AT": "nowhere", "LOOP_CRASH_TESTS": "on"}, "a point is one of"),
        ({"LOOP_CRASH_AT": "rendered", "LOOP_CRASH_TESTS": "on", "LOOP_CRASH_BY": "SIGINT"}, "a signal is one of"),
        ({"LOOP_CRASH_AT": "rendered:x", "LOOP_CRASH_TESTS": "on"}, "for the Nth"),
    ],
)
def test_a_crash_is_refused_before_anything_is_begun(environment: dict[str, str], why: str) -> None:
    base = {name: value for name, value in os.environ.items() if not name.startswith("LOOP_")}
    command = [sys.executable, "-c", "import dagster_project.crash_points"]
    done = subprocess.run(command, env=base | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert why in done.stderr and "Nothing was done" in done.stderr


def test_what_this_suite_starts_can_be_ended_by_sigterm() -> None:
    """Also where a shell started it in the background, and a job of Dagster's has run in this process."""
    with capture_interrupts():
        pass
    done = subprocess.run([sys.executable, "-c", "import signal; signal.raise_signal(signal.SIGTERM)"], check=False)
    assert done.returncode == -signal.SIGTERM


def test_without_a_wish_nothing_is_armed() -> None:
    assert crash_points._armed is None
    crash_points.reach("intent_written")
