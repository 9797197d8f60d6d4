"""Runs the sandbox, the console and `dagster dev` side by side until dagster ends or the person stops them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from dagster_project.cli.sandbox_alerts import sandbox_alerts
from dagster_project.cli.ticking import dagster_home
from dagster_project.prepare import prepare_if_stale
from dagster_project.sandbox.server import SandboxServer
from dagster_project.settings import PROJECT_ROOT, settings

CONSOLE_PORT = 8660
LONGEST_END_SECONDS = 10


@contextmanager
def running_console(environment: Mapping[str, str]) -> Iterator[None]:
    """The console in a process of its own, ended by its id."""
    command = [str(Path(sys.executable).parent / "loopctl"), "console", "--port", str(CONSOLE_PORT)]
    process = subprocess.Popen(command, env=environment, cwd=PROJECT_ROOT)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(LONGEST_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def run_development(console: Console, port: int) -> int:
    """Returns dagster's exit status. Every process is ended by its own id."""
    chosen = settings()
    with console.status("compiling the catalog"):
        prepare_if_stale(chosen)
    data = chosen.state_dir / "sandbox"
    data.mkdir(parents=True, exist_ok=True)
    with SandboxServer(data, port=chosen.sandbox_port, smtp_port=chosen.sandbox_smtp_port) as server:
        console.print(Text(f"sandbox: {server.address.http_url}   dagster: http://127.0.0.1:{port}"))
        if alerts := sandbox_alerts(chosen):
            console.print(Text(f"alerts go to the sandbox: {', '.join(alerts.values())}"))
        if not chosen.duckdb_file.exists() and chosen.warehouse == "duckdb":
            console.print(Text("there is no data yet: `loopctl land --generate`, then materialize the assets"))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"DAGSTER_HOME": str(dagster_home(chosen)), "LOOP_STATE_DIR": str(chosen.state_dir)}
        environment.setdefault("LOOP_DAGSTER_URL", f"http://127.0.0.1:{port}")
        environment |= sandbox_alerts(chosen)
        command = [str(Path(sys.executable).parent / "dagster"), "dev", "-w", str(PROJECT_ROOT / "workspace.yaml")]
        command += ["-h", "127.0.0.1", "-p", str(port)]
        with running_console(environment), subprocess.Popen(command, env=environment, cwd=PROJECT_ROOT) as process:
            try:
                return process.wait()
            except KeyboardInterrupt:
                return process.wait()
