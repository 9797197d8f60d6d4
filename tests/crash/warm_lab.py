"""A real instance with a warm pool, a code server and a job that tells which process executed it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.storage.dagster_run import DagsterRun

from dagster_project.warm_launch.meeting_place import MeetingPlace
from dagster_project.warm_launch.run_claims import RunClaims

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
BIN = Path(sys.executable).parent
WITHIN_SECONDS = 120


def until(what: str, holds: Callable[[], bool]) -> None:
    """The deadline bounds a failure; it is no measure of speed."""
    give_up_at = time.monotonic() + WITHIN_SECONDS
    while not holds():
        assert time.monotonic() < give_up_at, f"not within {WITHIN_SECONDS} s: {what}"
        time.sleep(0.05)


@dataclass
class WarmLab:
    folder: Path
    state_dir: Path  # with a compiled catalog
    server_socket: Path
    pools: list[subprocess.Popen[bytes]] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def place(self) -> MeetingPlace:
        return MeetingPlace.of_home(self.home)

    @property
    def claims(self) -> RunClaims:
        return RunClaims(self.place.claims)

    @property
    def environment(self) -> dict[str, str]:
        base = {n: v for n, v in os.environ.items() if not n.startswith("LOOP_") and n != "PYTHONDONTWRITEBYTECODE"}
        return base | {
            "DAGSTER_HOME": str(self.home),
            "LOOP_STATE_DIR": str(self.state_dir),
            "LOOP_LEDGER_URL": f"sqlite:///{self.folder / 'ledger.sqlite'}",
            "PYTHONPATH": str(self.folder),
            "WARM_LAB": str(self.folder),
        }

    def set_up(self, answer_within_seconds: float = 1.0) -> None:
        self.home.mkdir()
        launcher = {"module": "dagster_project.warm_launch.launcher", "class": "WarmRunLauncher"}
        config = {"location_module": "warm_job", "answer_within_seconds": answer_within_seconds}
        instance = {
            "telemetry": {"enabled": False},
            "run_launcher": {**launcher, "config": config},
            "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
            "run_monitoring": {"enabled": True},
        }
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(instance))
        self.place.make()

    # --- processes

    def start_pool(self, size: int = 1, **more: str) -> subprocess.Popen[bytes]:
        """Parameters: how many idle workers; what its workers find in their environment besides."""
        program = (
            "import sys, pathlib; from dagster_project.warm_launch.pool import Pool; "
            "from dagster_project.warm_launch.own_log import write_own_lines; write_own_lines(); "
            f"Pool(pathlib.Path(sys.argv[1]), 'warm_job', {size}).serve()"
        )
        with (self.folder / "pool.txt").open("ab") as output:
            pool = subprocess.Popen(
                [sys.executable, "-c", program, str(self.home)],
                env=self.environment | more, cwd=REPOSITORY, stdout=output, stderr=output,
            )  # fmt: skip
        self.pools.append(pool)
        until("all workers are idle", lambda: len(self.idle()) == size)
        return pool

    def idle(self) -> list[int]:
        return [worker.pid for worker in self.place.idle_workers("warm_job")]

    def launch(self, job: str = "note", expected: int | None = 0, **more: str) -> str:
        """Launches a run in a process of its own; returns the run's id when that process has ended."""
        run_id = str(uuid.uuid4())
        words = ["job", "launch", "--grpc-socket", str(self.server_socket), "-j", job, "--run-id", run_id]
        done = subprocess.run(
            [str(BIN / "dagster"), *words],
            env=self.environment | more, cwd=REPOSITORY, capture_output=True, text=True, check=False,
            timeout=WITHIN_SECONDS,
        )  # fmt: skip
        assert expected is None or done.returncode == expected, done.stdout + done.stderr
        return run_id

    def kill(self, pid: int, by: signal.Signals = signal.SIGKILL) -> None:
        os.kill(pid, by)
        if by == signal.SIGSTOP:
            self.stopped.append(pid)

    def wait_until_stopped(self, pid: int) -> None:
        """Until a worker has stopped itself."""
        self.stopped.append(pid)
        until("the worker has stopped", lambda: _state(pid) == "T")

    def end(self) -> None:
        """Ends every pool with its workers; runs that hold are let go."""
        self.let_go.touch()
        for pid in self.stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        for pool in self.pools:
            pool.terminate()
            try:
                pool.wait(30)
            except subprocess.TimeoutExpired:
                pool.kill()
                pool.wait()
        self.pools, self.stopped = [], []
        until("no worker is idle", lambda: not self.idle())
        self.let_go.unlink()

    # --- what happened

    @contextmanager
    def instance(self) -> Iterator[DagsterInstance]:
        with DagsterInstance.from_config(str(self.home)) as instance:
            yield instance

    def run(self, run_id: str) -> DagsterRun:
        with self.instance() as instance:
            found = instance.get_run_by_id(run_id)
        assert found is not None
        return found

    def wait_for(self, run_id: str, *statuses: DagsterRunStatus) -> None:
        with self.instance() as instance:

            def is_there() -> bool:
                found = instance.get_run_by_id(run_id)
                assert found is not None
                assert found.status in statuses or not found.is_finished, found.status
                return found.status in statuses

            until(f"the run is {' or '.join(status.value for status in statuses)}", is_there)

    def said(self, run_id: str) -> str:
        """All messages of a run."""
        with self.instance() as instance:
            return "\n".join(entry.message or "" for entry in instance.all_logs(run_id))

    def executions(self, run_id: str) -> list[tuple[int, str]]:
        """(process, version of the code) of every execution that has begun."""
        told = self.folder / "executions.txt"
        lines = told.read_text().splitlines() if told.exists() else []
        return [(int(pid), version) for found, pid, version in map(str.split, lines) if found == run_id]

    @property
    def let_go(self) -> Path:
        """While it is there, runs of the job `hold` end."""
        return self.folder / "let_go"


def _state(pid: int) -> str:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip()[:1]


@contextmanager
def code_server(folder: Path, environment: dict[str, str]) -> Iterator[Path]:
    """A code server of the lab's job, as a daemon starts runs through; gives its socket."""
    socket = Path(folder) / "s"
    assert len(str(socket)) < 100, "the path of a socket is short"
    with (folder / "server.txt").open("ab") as output:
        words = ["api", "grpc", "--socket", str(socket), "-m", "warm_job", "--location-name", "warm_job"]
        server = subprocess.Popen(
            [str(BIN / "dagster"), *words], env=environment, cwd=REPOSITORY, stdout=output, stderr=output
        )
    try:
        until("the code server answers", lambda: _is_up(socket, server, folder))
        yield socket
    finally:
        server.terminate()
        server.wait(30)


def _is_up(socket: Path, server: subprocess.Popen[bytes], folder: Path) -> bool:
    assert server.poll() is None, (folder / "server.txt").read_text()
    done = subprocess.run(
        [str(BIN / "dagster"), "api", "grpc-health-check", "--socket", str(socket)], capture_output=True, check=False
    )
    return done.returncode == 0


def copy_job(folder: Path) -> Path:
    return Path(shutil.copy(HERE / "warm_job.py", folder / "warm_job.py"))


def change_version(job_file: Path, version: str) -> None:
    text = re.sub(r'VERSION = "\w+"', f'VERSION = "{version}"', job_file.read_text())
    job_file.write_text(text)
