"""Runs the sandbox as a child process, for tests and for the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from dagster_project.contracts.destination import SandboxAddress
from dagster_project.sandbox.control import SandboxControl
from dagster_project.sandbox.effects import Effect
from dagster_project.sandbox.faults import Fault

START_DEADLINE = 30.0  # seconds; a cold start takes about one
END_DEADLINE = 10.0  # seconds between SIGTERM and SIGKILL


class SandboxNotStarted(RuntimeError):
    """The sandbox's process ended, or did not listen in time."""


class FaultSwitch:
    """The faults of a running sandbox."""

    def __init__(self, control: SandboxControl) -> None:
        self._control = control

    def add(self, fault: Fault) -> int:
        """Switches one on; returns its id."""
        return self._control.add_fault(fault)

    def remove(self, fault_id: int) -> None:
        """Switches one off."""
        self._control.remove_fault(fault_id)

    def clear(self) -> None:
        """Switches all off."""
        self._control.clear_faults()

    def list(self) -> list[dict[str, Any]]:
        """Those that are on, with how many calls each has seen and struck."""
        return self._control.faults()


class SandboxServer:
    """A context manager around one sandbox process; it ends with the `with` block, or with its parent's death.

    `data` is the directory of its file (a temporary one by default, removed at the end); `port` and `smtp_port` of 0
    take free ones; further keywords are SandboxSettings. Raises SandboxNotStarted, with what the process said.
    """

    def __init__(self, data: Path | None = None, *, port: int = 0, smtp_port: int = 0, **settings: Any) -> None:
        self._data = data
        self._ports = (port, smtp_port)
        self._settings = settings
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._address: SandboxAddress | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def address(self) -> SandboxAddress:
        """Where it listens."""
        if self._address is None:
            raise SandboxNotStarted("the sandbox is not running: call start() or use it in a `with` block")
        return self._address

    @property
    def control(self) -> SandboxControl:
        """The client of its control API."""
        return SandboxControl(self.address.http_url)

    @property
    def faults(self) -> FaultSwitch:
        """Its faults."""
        return FaultSwitch(self.control)

    @property
    def pid(self) -> int:
        """The process id."""
        if self._process is None:
            raise SandboxNotStarted("the sandbox is not running: call start() or use it in a `with` block")
        return self._process.pid

    def effects(self, vendor: str | None = None) -> list[Effect]:
        """Every effect so far, in order, of all vendors or of one."""
        return self.control.effects(vendor)

    def start(self) -> None:
        """Starts the process and waits until it listens."""
        self._temporary = tempfile.TemporaryDirectory(prefix="sandbox-")
        scratch = Path(self._temporary.name)
        with (scratch / "output.txt").open("wb") as output:
            self._process = self._spawn(self._data or scratch, scratch / "ready.json", output)
        try:
            self._address = self._await_ready(scratch / "ready.json", scratch / "output.txt")
        except SandboxNotStarted:
            self.stop()
            raise

    def _spawn(self, data: Path, ready_file: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
        port, smtp_port = self._ports
        command = [sys.executable, "-m", "dagster_project.sandbox", "--end-with-stdin"]
        command += ["--port", str(port), "--smtp-port", str(smtp_port), "--data", str(data)]
        command += ["--ready-file", str(ready_file), "--settings", json.dumps(self._settings)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=environment
        )

    def _await_ready(self, ready_file: Path, output: Path) -> SandboxAddress:
        assert self._process is not None  # start() has just made it
        deadline = time.monotonic() + START_DEADLINE
        while not ready_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = output.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise SandboxNotStarted(f"the sandbox did not start; it said: {said or 'nothing'}")
            time.sleep(0.01)
        facts = json.loads(ready_file.read_text(encoding="utf-8"))
        return SandboxAddress(facts["http_url"], facts["smtp_host"], facts["smtp_port"])

    def stop(self) -> None:
        """Ends the process by its own id and removes temporary data; harmless when it has ended."""
        process, self._process, self._address = self._process, None, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            process.terminate()
            try:
                process.wait(END_DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None
