"""Drives the real loop as a person would: loopctl as processes, real dbt, a real warehouse, the sandbox over HTTP."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.sandbox.effects import Effect
from dagster_project.sandbox.server import SandboxServer

FIRST_DAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
COMMAND_WITHIN_SECONDS = 300


@dataclass(frozen=True)
class Loop:
    """One loop with a state of its own."""

    state_dir: Path
    sandbox: SandboxServer
    more_environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        address = self.sandbox.address
        base = {n: v for n, v in os.environ.items() if not n.startswith("LOOP_") and n != "PYTHONDONTWRITEBYTECODE"}
        return {
            **base,
            "LOOP_STATE_DIR": str(self.state_dir),
            "LOOP_SANDBOX_PORT": address.http_url.rpartition(":")[2],
            "LOOP_SANDBOX_SMTP_PORT": str(address.smtp_port),
            "NO_COLOR": "1",
            **self.more_environment,
        }

    def loopctl(self, *words: str, exit_status: int | None = 0, answer: str = "") -> str:
        """Runs a command to its end and gives back what it printed; any other exit status than the expected fails."""
        done = subprocess.run(
            [str(Path(sys.executable).parent / "loopctl"), *words],
            env=self.environment,
            input=answer,
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_SECONDS,
            check=False,
        )
        said = done.stdout + done.stderr
        assert exit_status is None or done.returncode == exit_status, f"loopctl {' '.join(words)}:\n{said}"
        return said

    def land_day(self, day: int) -> None:
        as_of = FIRST_DAY + timedelta(days=day)
        self.loopctl("land", "--generate", "--day", str(day), "--as-of", f"{as_of:%Y-%m-%dT%H:%M:%S}")

    def play_day(self, day: int) -> str:
        self.land_day(day)
        return self.loopctl("tick")

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.loopctl("status", "--json", "--prove", exit_status=None))
        return found

    def signal_status(self, name: str) -> dict[str, Any]:
        return next(signal for signal in self.status()["signals"] if signal["signal"] == name)

    def warehouse_rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.state_dir / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def calls(self) -> int:
        """How many vendor calls the sandbox has answered."""
        return sum(int(row["count"]) for row in self.sandbox.control.requests())


@dataclass(frozen=True)
class PlayedDays:
    """A loop after day 2, with what it had done until then."""

    loop: Loop
    effects_after_day_1: int
    effects_after_day_2: tuple[Effect, ...]


@contextmanager
def running_loop(state_dir: Path, more_environment: Mapping[str, str] | None = None) -> Iterator[Loop]:
    state_dir.mkdir(parents=True, exist_ok=True)
    data = state_dir / "sandbox"
    data.mkdir(exist_ok=True)
    with SandboxServer(data) as sandbox:
        yield Loop(state_dir, sandbox, more_environment or {})


def action_key(event_id: str, step: str) -> str:
    """The key as docs/the_loop.md states it, derived here anew from its words."""
    return hashlib.sha256(f"action|{event_id}|{step}".encode()).hexdigest()[:32]


def group_key(build_id: str, step: str, kind: str, value: str) -> str:
    return hashlib.sha256(f"group|{build_id}|{step}|{kind}|{value}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class WarehouseEvent:
    """An event as the warehouse's own tables tell it."""

    event_id: str
    build_id: str
    signal: str
    entity_id: str
    kind: str
    row: Mapping[str, Any]


def events_of_day(loop: Loop, build_no: int) -> list[WarehouseEvent]:
    rows = loop.warehouse_rows(
        "select e.event_id, e.build_id, e.signal, e.entity_id, e.kind, e.row_json from analytics.signal_events e "
        f"join analytics.signal_builds b on b.build_id = e.build_id where b.build_no = {build_no}"
    )
    return [WarehouseEvent(*row[:5], json.loads(row[5])) for row in rows]
