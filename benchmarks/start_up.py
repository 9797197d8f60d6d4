"""How long things take to begin: imports of both locations, and an action run from its launch to its first op.

    python benchmarks/start_up.py [RUNS]

Prints medians over RUNS (5 by default) with the smallest and the largest. These say how fast this machine was just now;
compare them as ratios within one run of this script.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from reporting import Plot, Report, Say, Table
from timing import Spent, Times, in_turns

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "e2e" / "loop"))

from dagster_driver import DagsterDev, running_dagster, until  # noqa: E402
from loop_driver import Loop, running_loop  # noqa: E402

IMPORTS = (
    "dagster",
    "dagster_project.activate",
    "dagster_project.transform",
)


def import_spent(loop: Loop, module: str) -> Spent:
    """A whole process that does nothing but import the module."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], env=loop.environment, cwd=REPOSITORY, check=True)
    return Spent(time.perf_counter() - began)


def launch_seconds(dev: DagsterDev) -> tuple[float, float]:
    """(launch to the run's start, launch to its first op) of one action run that finds nothing due."""
    began = time.time()
    run_id = dev.launch("activate", "act_on_deal_won")
    until("the run has ended", lambda: dev.run_status(run_id) in ("SUCCESS", "FAILURE"), 120)
    data = dev.ask(
        "query($r: ID!) { runOrError(runId: $r) { ... on Run { startTime stepStats { startTime } } } }", r=run_id
    )["runOrError"]
    return data["startTime"] - began, min(step["startTime"] for step in data["stepStats"]) - began


def start_up(say: Say, runs: int = 5) -> Report:
    """Processes that only import, and action runs that a real `dagster dev` launches.

    Parameters: how many times each.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # A run that the sensors asked for may write its last lines while `dagster dev` ends.
    scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with scratch as folder, running_loop(Path(folder) / "state") as loop:
        loop.play_day(1)
        for module in IMPORTS:
            import_spent(loop, module)  # once, uncounted, so that files are warm for all alike
        found = in_turns({f"import {module}": partial(import_spent, loop, module) for module in IMPORTS}, runs, say)
        with running_dagster(loop) as dev:
            launch_seconds(dev)
            pairs = []
            for number in range(runs):
                pairs.append(launch_seconds(dev))
                say(f"run {number + 1} of {runs}: launch to first op: {pairs[-1][1]:.2f} s")
    launched = [start for start, _ in pairs], [first for _, first in pairs], [first - start for start, first in pairs]
    names = ("launch to start, queue included", "launch to first op", "start to first op")
    for name, seconds in zip(names, launched, strict=True):
        found[f"action run: {name}"] = Times(tuple(map(Spent, seconds)))
    return _report(found)


def _report(found: dict[str, Times]) -> Report:
    rows = tuple((name, *times.cells()[:2]) for name, times in found.items())
    plot = Plot(
        name="start_up",
        title="How long things take to begin: seconds, median",
        unit="s",
        bars=tuple((name, times.median) for name, times in found.items()),
        ours=tuple(name for name in found if name != "import dagster"),
    )
    return Report(tables=(Table(columns=("what", "median", "smallest to largest"), rows=rows),), plots=(plot,))


def main() -> None:
    report = start_up(print, int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    print(report.tables[0].as_markdown())


if __name__ == "__main__":
    main()
