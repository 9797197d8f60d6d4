"""A whole deployment as a supervisor keeps it: a daemon, two code servers, a webserver, and the runs they start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests
from dagster import DagsterInstance
from e2e.loop.dagster_driver import REPOSITORY, DagsterDev, free_port
from e2e.loop.loop_driver import Loop

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
LOCATIONS = ("activate", "transform")
# How long a run may be starting, and how often that is looked at.
SHIPPED_PATIENCE = "start_timeout_seconds: 180\n  poll_interval_seconds: 30\n"
TEST_PATIENCE = "start_timeout_seconds: 60\n  poll_interval_seconds: 5\n"
LEASE_SECONDS = 135  # the shortest that find-then-create allows
PATIENCE_SECONDS = 20.0  # after SIGTERM; a supervisor kills what has not ended by then


@dataclass(frozen=True)
class Worker:
    """A process that the deployment started by itself: a run, or a dbt that a run started."""

    pid: int
    kind: str  # run | build | dbt | orphan: a run whose code server is gone


@dataclass
class Deployment:
    loop: Loop
    home: Path
    ahead_seconds: float = 0.0  # of the ledger's clock
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in (*LOCATIONS, "webserver")})
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    terminated_at: dict[str, float] = field(default_factory=dict)
    starts: int = 0

    def __post_init__(self) -> None:
        self.home.mkdir(exist_ok=True)
        shipped = (REPOSITORY / "dagster.yaml").read_text()
        assert SHIPPED_PATIENCE in shipped
        (self.home / "dagster.yaml").write_text(shipped.replace(SHIPPED_PATIENCE, TEST_PATIENCE))
        with DagsterInstance.from_config(str(self.home)) as instance:
            instance.get_runs_count()  # several processes that make its storage at once would leave it unusable
        servers = "".join(
            f"  - grpc_server: {{host: 127.0.0.1, port: {self.ports[name]}, location_name: {name}}}\n"
            for name in LOCATIONS
        )
        (self.home / "workspace.yaml").write_text(f"load_from:\n{servers}")
        self.set_clock(0.0)
        self.webserver = DagsterDev(f"http://127.0.0.1:{self.ports['webserver']}")

    @property
    def clock_file(self) -> Path:
        return self.home / "ahead.txt"

    def set_clock(self, ahead_seconds: float) -> None:
        """Sets the ledger's clock ahead in every process, those that are at work included."""
        self.ahead_seconds = ahead_seconds
        scratch = self.clock_file.with_suffix(".new")
        scratch.write_text(str(ahead_seconds))
        scratch.replace(self.clock_file)

    def supervise(self) -> None:
        """Starts what is not running, and kills what was asked to end and does not."""
        for name in (*LOCATIONS, "daemon", "webserver"):
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                self.terminated_at.pop(name, None)
                self.processes[name] = self._started(name)
            elif time.monotonic() - self.terminated_at.get(name, time.monotonic()) > PATIENCE_SECONDS:
                process.kill()

    def _started(self, name: str) -> subprocess.Popen[bytes]:
        self.starts += 1
        workspace = str(self.home / "workspace.yaml")
        commands = {
            "daemon": [str(BIN / "dagster-daemon"), "run", "-w", workspace],
            "webserver": [
                str(BIN / "dagster-webserver"), "-w", workspace, "-h", "127.0.0.1", "-p", str(self.ports["webserver"]),
            ],
        }  # fmt: skip
        with (self.loop.state_dir / f"{name}.txt").open("ab") as output:
            return subprocess.Popen(
                commands.get(name) or self._server_command(name),
                env=self._environment, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip

    def _server_command(self, location: str) -> list[str]:
        words = ["api", "grpc", "-m", f"dagster_project.{location}", "-h", "127.0.0.1", "-p", str(self.ports[location])]
        return [sys.executable, str(HERE / "chaos_server.py"), *words, "--location-name", location]

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **self.loop.environment,
            "DAGSTER_HOME": str(self.home),
            "CRASH_CLOCK_FILE": str(self.clock_file),
            "LOOP_SENSOR_INTERVAL_SECONDS": "1",
            "LOOP_LEASE_SECONDS": str(LEASE_SECONDS),
        }

    def end(self, name: str, by: signal.Signals) -> None:
        process = self.processes[name]
        if process.poll() is None:
            process.send_signal(by)
            self.terminated_at.setdefault(name, time.monotonic())
        if by is signal.SIGKILL:
            process.wait()

    def workers(self) -> list[Worker]:
        """The runs and the dbt processes that are alive now, known by their environment and their command."""
        mark = f"LOOP_STATE_DIR={self.loop.state_dir}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal() and (worker := self._worker(folder, mark)):
                found.append(worker)
        return found

    def _worker(self, folder: Path, mark: bytes) -> Worker | None:
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"spawn_main" not in b" ".join(words) and not (b"build" in words and words[1].endswith(b"/dbt")):
                return None
            if mark not in (folder / "environ").read_bytes().split(b"\0"):
                return None
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ProcessLookupError, IndexError):
            return None  # it has ended meanwhile
        if b"build" in words:
            return Worker(int(folder.name), "dbt")
        owners = {self.processes[name].pid: kind for name, kind in (("activate", "run"), ("transform", "build"))}
        return Worker(int(folder.name), owners.get(parent, "orphan"))

    def launch(self, job: str) -> str | None:
        """Asks for a run of the transform location; None while it cannot be asked for."""
        try:
            return self.webserver.launch("transform", job)
        except (requests.RequestException, AssertionError, KeyError):
            return None

    def status_of(self, run_id: str) -> str:
        try:
            return self.webserver.run_status(run_id)
        except (requests.RequestException, AssertionError, KeyError):
            return "UNREACHABLE"

    def close(self) -> None:
        """Ends every process by its own id."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        for worker in self.workers():
            send_signal(worker.pid, signal.SIGKILL)


def send_signal(pid: int, by: signal.Signals) -> None:
    """A process may end between being seen and being signalled."""
    with suppress(ProcessLookupError):
        os.kill(pid, by)


@contextmanager
def running_deployment(loop: Loop) -> Iterator[Deployment]:
    deployment = Deployment(loop, loop.state_dir / "dagster")
    try:
        deployment.supervise()
        yield deployment
    finally:
        deployment.close()
