"""The peak memory of one action run, a real Dagster run in a process of its own, at backlogs of different sizes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from backlog import grow_to
from reporting import Plot, Report, Say, Table, Target
from sink import counted, running_sink
from timing import Spent, Times, in_turns
from workloads import SIGNAL, surroundings_of

DEFINITIONS = Path(__file__).with_name("action_run_definitions.py")
LIMIT_MB = 250.0


def run_memory(say: Say, backlogs: str = "1000,10000,100000,1000000", runs: int = 1) -> Report:
    """Each run claims what it claims by the shipped settings, from a ledger (SQLite) with so much due work.

    Parameters: the backlogs, from small to large; runs at each.
    """
    sizes = sorted(map(int, backlogs.split(",")))
    peaks: dict[int, float] = {}
    times: dict[int, Times] = {}
    with running_sink() as sink, tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        around = surroundings_of(state, sink)
        for number, size in enumerate(sizes, start=1):
            grow_to(around, size, number)
            measured: list[float] = []

            def once(measured: list[float] = measured) -> Spent:
                peak, spent = _one_run(state, sink)
                measured.append(peak)
                return spent

            times |= {size: next(iter(in_turns({f"backlog {size:,}": once}, runs, say).values()))}
            peaks[size] = max(measured)
            say(f"backlog {size:,}: {peaks[size]:.0f} MB at most")
        around.database.close()
    return _report(peaks, times)


def _one_run(state: Path, sink: str) -> tuple[float, Spent]:
    """Peak resident memory in MB, and the run's time with its start and imports."""
    import time

    home, peak = state / "dagster", state / "peak"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    environment = {**os.environ, "DAGSTER_HOME": str(home), "BENCH_STATE": str(state), "BENCH_SINK": sink}
    environment |= {"BENCH_PEAK": str(peak)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    dagster = str(Path(sys.executable).with_name("dagster"))
    command = [dagster, "job", "execute", "-f", str(DEFINITIONS), "-j", f"act_on_{SIGNAL}"]
    before = counted(sink)["requests"]
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=state, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    sent = counted(sink)["requests"] - before
    if done.returncode or not sent:
        raise RuntimeError(f"the run sent {sent} actions and ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return int(peak.read_text()) / 1024, Spent(took)


def _report(peaks: dict[int, float], times: dict[int, Times]) -> Report:
    rows = tuple((f"{size:,}", f"{peak:.0f} MB", times[size].cells()[0]) for size, peak in peaks.items())
    largest = max(peaks)
    return Report(
        tables=(Table(columns=("due actions", "peak memory", "the run, with its start and imports"), rows=rows),),
        targets=(
            Target.at_most(f"one action run at a backlog of {largest:,}", LIMIT_MB, max(peaks.values()), unit="MB"),
        ),
        plots=(
            Plot(
                name="run_memory",
                title="Peak resident memory of one action run",
                unit="MB",
                bars=tuple((f"{size:,} due", peak) for size, peak in peaks.items()),
                ours=tuple(f"{size:,} due" for size in peaks),
                limit=LIMIT_MB,
            ),
        ),
        notes=("A run is `dagster job execute`; the memory is the process's own high-water mark (VmHWM).",),
    )
