"""Runs sandbox, console, `dagster dev` and, where wanted, a warm pool until dagster ends or the person stops them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from dagster_project.cli.sandbox_alerts import sandbox_alerts
from dagster_project.instance_files import dagster_home
from dagster_project.prepare import prepare_if_stale
from dagster_project.sandbox.server import SandboxServer
from dagster_project.settings import PROJECT_ROOT, Settings, settings

CONSOLE_PORT = 8660
LONGEST_END_SECONDS = 10
LONGEST_DAGSTER_END_SECONDS = 150  # it gives its web server and its daemon 60 s each


@contextmanager
def running_beside(environment: Mapping[str, str], *words: str) -> Iterator[None]:
    """A loopctl command in a process of its own, ended by its id."""
    command = [str(Path(sys.executable).parent / "loopctl"), *words]
    process = subprocess.Popen(command, env=environment, cwd=PROJECT_ROOT)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(LONGEST_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


class Terminated(KeyboardInterrupt):
    """SIGTERM. It comes to this process alone, where Ctrl-C comes to all that runs in the terminal."""


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends this process as Ctrl-C does, through everything that it has to end itself.

    A shell starts what it puts into the background with Ctrl-C ignored; `dagster dev` would inherit that, and ignore
    SIGTERM with it. A signal that this process handles itself is not ignored by those that it starts.
    """

    def stop(number: int, frame: Any) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second word would cut the ending short
        raise Terminated

    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, stop),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_until_ended(process: subprocess.Popen[bytes]) -> int:
    """Returns the exit status. Ctrl-C has reached the process by itself; SIGTERM is handed on."""
    try:
        return process.wait()
    except Terminated:
        process.terminate()
    except KeyboardInterrupt:
        pass
    try:
        return process.wait(LONGEST_DAGSTER_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def run_development(console: Console, port: int, is_fast: bool) -> int:
    """Returns dagster's exit status. Every process is ended by its own id."""
    chosen = settings().model_copy(update={"profile": "fast"}) if is_fast else settings()
    with console.status("compiling the catalog"):
        prepare_if_stale(chosen)
    data = chosen.state_dir / "sandbox"
    data.mkdir(parents=True, exist_ok=True)
    with (
        ended_by_sigterm(),
        SandboxServer(data, port=chosen.sandbox_port, smtp_port=chosen.sandbox_smtp_port) as server,
    ):
        console.print(Text(f"sandbox: {server.address.http_url}   dagster: http://127.0.0.1:{port}"))
        if alerts := sandbox_alerts(chosen):
            console.print(Text(f"alerts go to the sandbox: {', '.join(alerts.values())}"))
        if not chosen.duckdb_file.exists() and chosen.warehouse == "duckdb":
            console.print(Text("there is no data yet: `loopctl land --generate`, then materialize the assets"))
        environment = development_environment(chosen, port) | sandbox_alerts(chosen)
        command = [str(Path(sys.executable).parent / "dagster"), "dev", "-w", str(PROJECT_ROOT / "workspace.yaml")]
        command += ["-h", "127.0.0.1", "-p", str(port)]
        with ExitStack() as beside:
            beside.enter_context(running_beside(environment, "console", "--port", str(CONSOLE_PORT)))
            if chosen.profile == "fast":
                beside.enter_context(running_beside(environment, "warm-pool"))
            return run_until_ended(beside.enter_context(subprocess.Popen(command, env=environment, cwd=PROJECT_ROOT)))


def development_environment(chosen: Settings, port: int) -> dict[str, str]:
    """What every process of the development set-up is started with."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {
        "DAGSTER_HOME": str(dagster_home(chosen)),
        "LOOP_STATE_DIR": str(chosen.state_dir),
        "LOOP_PROFILE": chosen.profile,
    }
    environment.setdefault("LOOP_DAGSTER_URL", f"http://127.0.0.1:{port}")
    return environment
