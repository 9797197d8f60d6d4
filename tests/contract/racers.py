"""Starts processes of a race, stops one, lets it go on, and ends them all by their own ids."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
END_WITHIN_SECONDS = 90


@dataclass
class Racer:
    """One process that waits for its start."""

    name: str
    process: subprocess.Popen[str]

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def await_ready(self) -> None:
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said == "ready\n", f"{self.name} said {said!r}; {self.process.stderr and self.process.stderr.read()}"

    def stop(self) -> None:
        """Freezes the process wherever it is, as a host that hangs does."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def results(self) -> list[dict[str, Any]]:
        """What it printed, once it has ended. Raises AssertionError where it failed."""
        out, errors = self.process.communicate(timeout=END_WITHIN_SECONDS)
        assert self.process.returncode == 0, f"{self.name} ended with {self.process.returncode}: {errors[-3000:]}"
        return [json.loads(line) for line in out.splitlines()]


@contextmanager
def racing(
    script: str, names: Sequence[str], arguments: Sequence[str] = (), environment: Mapping[str, Mapping[str, str]] = {}
) -> Iterator[list[Racer]]:
    """Starts one process for each name; `environment` has what each one sees besides this process's own."""
    command = [sys.executable, str(HERE / script), *arguments]
    path = os.pathsep.join([str(HERE), str(HERE.parent)])
    common = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    racers: list[Racer] = []
    try:
        for name in names:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**common, "PYTHONPATH": path, "RACER": name, **environment.get(name, {})},
            )
            racers.append(Racer(name, process))
        yield racers
    finally:
        for racer in racers:
            racer.process.kill()
            racer.process.communicate()
