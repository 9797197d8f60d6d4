"""How long things take to begin: imports of both locations, and an action run from its launch to its first op.

    python benchmarks/start_up.py [RUNS]

Prints medians over RUNS (5 by default) with the smallest and the largest. These say how fast this machine was just now;
compare them as ratios within one run of this script.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "e2e" / "loop"))

from dagster_driver import DagsterDev, running_dagster, until  # noqa: E402
from loop_driver import Loop, running_loop  # noqa: E402

IMPORTS = (
    "dagster",
    "dagster_project.activate",
    "dagster_project.transform",
)


def shown(what: str, seconds: list[float]) -> str:
    median, spread = statistics.median(seconds), f"{min(seconds):.2f} to {max(seconds):.2f}"
    return f"{what:<44} {median:6.2f} s  ({spread}, n={len(seconds)})"


def import_seconds(loop: Loop, module: str) -> float:
    """A whole process that does nothing but import the module."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], env=loop.environment, cwd=REPOSITORY, check=True)
    return time.perf_counter() - began


def launch_seconds(dev: DagsterDev) -> tuple[float, float]:
    """(launch to the run's start, launch to its first op) of one action run that finds nothing due."""
    began = time.time()
    run_id = dev.launch("activate", "act_on_deal_won")
    until("the run has ended", lambda: dev.run_status(run_id) in ("SUCCESS", "FAILURE"), 120)
    data = dev.ask(
        "query($r: ID!) { runOrError(runId: $r) { ... on Run { startTime stepStats { startTime } } } }", r=run_id
    )["runOrError"]
    return data["startTime"] - began, min(step["startTime"] for step in data["stepStats"]) - began


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder, running_loop(Path(folder) / "state") as loop:
        loop.play_day(1)
        for module in IMPORTS:
            import_seconds(loop, module)  # once, uncounted, so that files are warm for all alike
            print(shown(f"python -c 'import {module}'", [import_seconds(loop, module) for _ in range(count)]))
        with running_dagster(loop) as dev:
            launch_seconds(dev)
            pairs = [launch_seconds(dev) for _ in range(count)]
        print(shown("action run: launch to start (queue included)", [start for start, _ in pairs]))
        print(shown("action run: launch to first op", [first for _, first in pairs]))
        print(shown("action run: start to first op", [first - start for start, first in pairs]))


if __name__ == "__main__":
    main()
