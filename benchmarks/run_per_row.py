"""One Dagster run a row, as tutorials teach it: how long a `dagster dev` as it comes takes for a number of rows."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers import write_rows
from sink import counted
from timing import Spent

DEFINITIONS = Path(__file__).with_name("run_per_row_definitions.py")
WITHIN_SECONDS = 1200


def run_per_row_spent(folder: Path, sink: str, rows: int) -> Spent:
    """From the first run's request to the last run's end, without the start of `dagster dev` and its first tick.

    Parameters: an empty folder for Dagster's home; the sink; how many rows.
    """
    write_rows(folder / "rows.sqlite", rows)
    (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    before = counted(sink)["requests"]
    with _dagster_dev(folder, sink) as process:
        _wait_until_done(folder, process, sink, before + rows)
        return Spent(_first_to_last(folder, rows))


@contextmanager
def _dagster_dev(folder: Path, sink: str) -> Iterator[subprocess.Popen[bytes]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-f", str(DEFINITIONS), "-h", "127.0.0.1"]
    environment = {**os.environ, "DAGSTER_HOME": str(folder), "BENCH_SINK": sink}
    environment |= {"BENCH_ROWS": str(folder / "rows.sqlite")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            [*command, "-p", str(port)], cwd=folder, env=environment, stdout=said, stderr=said, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_done(folder: Path, process: subprocess.Popen[bytes], sink: str, requests: int) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while counted(sink)["requests"] < requests:
        if process.poll() is not None or time.monotonic() > deadline:
            said = (folder / "said.txt").read_text(errors="replace")[-3000:]
            raise RuntimeError(f"`dagster dev` did not do its {requests} rows; it said:\n{said}")
        time.sleep(0.5)


def _first_to_last(folder: Path, rows: int) -> float:
    """Seconds between the first run's creation and the last one's end, from Dagster's own records."""
    from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

    with DagsterInstance.from_config(str(folder)) as instance:
        deadline = time.monotonic() + 120
        while instance.get_runs_count(RunsFilter(statuses=[DagsterRunStatus.SUCCESS])) < rows:
            if time.monotonic() > deadline:
                raise RuntimeError("not every run of the row-by-row job has ended well")
            time.sleep(0.5)
        records = instance.get_run_records()
        return max(r.end_time or 0.0 for r in records) - min(r.create_timestamp.timestamp() for r in records)
