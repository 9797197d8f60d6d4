"""Runs the sandbox and `dagster dev` side by side until one of them ends or the person stops them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from dagster_project.cli.ticking import dagster_home
from dagster_project.prepare import prepare_if_stale
from dagster_project.sandbox.server import SandboxServer
from dagster_project.settings import PROJECT_ROOT, settings


def run_development(console: Console, port: int) -> int:
    """Returns dagster's exit status. Both processes are ended by their own ids."""
    chosen = settings()
    with console.status("compiling the catalog"):
        prepare_if_stale(chosen)
    data = chosen.state_dir / "sandbox"
    data.mkdir(parents=True, exist_ok=True)
    with SandboxServer(data, port=chosen.sandbox_port, smtp_port=chosen.sandbox_smtp_port) as server:
        console.print(Text(f"sandbox: {server.address.http_url}   dagster: http://127.0.0.1:{port}"))
        if not chosen.duckdb_file.exists() and chosen.warehouse == "duckdb":
            console.print(Text("there is no data yet: `loopctl land --generate`, then materialize the assets"))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["DAGSTER_HOME"] = str(dagster_home(chosen))
        command = [str(Path(sys.executable).parent / "dagster"), "dev", "-w", str(PROJECT_ROOT / "workspace.yaml")]
        process = subprocess.Popen([*command, "-h", "127.0.0.1", "-p", str(port)], env=environment, cwd=PROJECT_ROOT)
        try:
            return process.wait()
        except KeyboardInterrupt:
            return process.wait()
