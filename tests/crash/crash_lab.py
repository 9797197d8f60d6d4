"""A ledger, a warehouse and a sink of their own for one crash, and real processes that work on them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crash_company import Company
from pydantic import SecretStr
from sqlalchemy import Row, Table, select

from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import actions
from dagster_project.respond.destinations.registry import discover
from dagster_project.sandbox.server import SandboxServer

HERE = Path(__file__).parent
ENDS_WITHIN_SECONDS = 60.0
SHORT_LEASE_SECONDS = 0.6
LONG_LEASE_SECONDS = 300.0
POLL_SECONDS = 0.02

# What answers for a role, and whether a receiver acts once per key.
KINDS = {
    "keyed": ("hook", "webhook"),
    "unkeyed": ("hook", "webhook"),
    "upsert": ("crm", "hubspot"),
    "asked": ("chat", "slack"),
    "found": ("erp", "tryton"),
    "mailed": ("mail", "email"),
}
EFFECTS = {
    "hook": ("hooks", None),
    "crm": ("hubspot", "tasks.upsert"),
    "chat": ("slack", "chat.postMessage"),
    "erp": ("tryton", "project.work.create"),
    "mail": ("smtp", "send"),
}


def until(what: str, holds: Callable[[], bool], within_seconds: float = ENDS_WITHIN_SECONDS) -> None:
    """Waits for a condition of another process; the deadline bounds a failure, it is no measure of speed."""
    give_up_at = time.monotonic() + within_seconds
    while not holds():
        assert time.monotonic() < give_up_at, f"not within {within_seconds} s: {what}"
        time.sleep(POLL_SECONDS)


class Nursery:
    """Starts processes of `crash_run`."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "nursery")
        environment = {n: v for n, v in os.environ.items() if not n.startswith("LOOP_")}
        self._server = subprocess.Popen(
            [sys.executable, str(HERE / "run_nursery.py"), self.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == b"ready\n"

    def start(self, mode: str, environment: Mapping[str, str], output: Path) -> RunProcess:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.address)
        asked = {"mode": mode, "environment": dict(environment), "output": str(output)}
        connection.sendall(json.dumps(asked).encode() + b"\n")
        return RunProcess(connection, output)

    def close(self) -> None:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(10)
        self._server.stdout.close()


class RunProcess:
    """One process at work; it has its own id, and nothing of it lives here."""

    def __init__(self, connection: socket.socket, output: Path) -> None:
        self._connection, self._output = connection, output
        self._lines = connection.makefile()
        self.pid = int(self._lines.readline())

    def signal(self, by: signal.Signals) -> None:
        os.kill(self.pid, by)

    @property
    def is_stopped(self) -> bool:
        """Whether it stands still (SIGSTOP), as Linux tells it."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def ended(self, within_seconds: float = ENDS_WITHIN_SECONDS) -> int:
        """Waits for its end; its exit status, negative where a signal ended it."""
        self._connection.settimeout(within_seconds)
        status = int(self._lines.readline())
        self._lines.close()
        self._connection.close()
        return status

    def discard(self) -> None:
        """Kills it if it has not been waited for."""
        if not self._lines.closed:
            self.signal(signal.SIGKILL)
            self.ended()

    def said(self) -> str:
        return self._output.read_text(errors="replace")


@dataclass(frozen=True)
class Arrival:
    """One thing that reached the sink: an effect, or a delivery that a receiver would drop as a repeat."""

    key: str
    is_new: bool
    entity: str = ""


@dataclass
class CrashLab:
    folder: Path
    kind: str
    nursery: Nursery
    sandbox: SandboxServer
    ledger_url: str
    lease_seconds: float = SHORT_LEASE_SECONDS
    more_environment: Mapping[str, str] = field(default_factory=dict)
    crashes: int = 0
    processes: list[RunProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.role, self.destination = KINDS[self.kind]
        self.name = f"{self.folder.parent.name}-{self.folder.name}".replace("_", "-")
        self.company = Company(self.folder / "warehouse.duckdb", self.name)
        self.database = Database(self.ledger_url)
        self._effects_before = len(self._effects())

    # --- processes

    @property
    def environment(self) -> dict[str, str]:
        address = self.sandbox.address
        base = {n: v for n, v in os.environ.items() if not n.startswith("LOOP_") and n != "PYTHONDONTWRITEBYTECODE"}
        return {
            **base,
            "CRASH_ROLE": self.role,
            "LOOP_STATE_DIR": str(self.folder),
            "LOOP_LEDGER_URL": self.ledger_url,
            "LOOP_WAREHOUSE_SCHEMA": "main",
            "LOOP_SANDBOX_PORT": address.http_url.rpartition(":")[2],
            "LOOP_SANDBOX_SMTP_PORT": str(address.smtp_port),
            "LOOP_BINDINGS": json.dumps({self.role: self.destination}),
            "LOOP_LEASE_SECONDS": str(self.lease_seconds),
            "LOOP_CLAIM_LIMIT": "5",
            "LOOP_RETRY_BASE_SECONDS": "0.05",
            "LOOP_CIRCUIT_BASE_SECONDS": "0.05",
            "LOOP_MAX_ATTEMPTS": "50",
            **self._receiver(),
            **self.more_environment,
        }

    def _receiver(self) -> dict[str, str]:
        """The sandbox's connection without a rate of ours: these tests are not about pacing."""
        sandbox = discover()[self.destination].sandbox_connection(self.sandbox.address)
        values = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in sandbox
            if value is not None
        }
        values |= {"calls_per_second": 10_000}
        if self.role == "hook":
            url = f"{self.sandbox.address.http_url}/hooks/{self.name}"
            values |= {"url": url, "receiver_deduplicates": self.kind == "keyed"}
        return {"LOOP_DESTINATIONS": json.dumps({self.destination: values})}

    def start(self, mode: str, **environment: str) -> RunProcess:
        process = self.nursery.start(mode, {**self.environment, **environment}, self.folder / "output.txt")
        self.processes.append(process)
        return process

    def run(self, mode: str, **environment: str) -> None:
        """A process that has to end well."""
        process = self.start(mode, **environment)
        status = process.ended()
        assert status == 0, process.said()

    def crash(self, mode: str, point: str, by: str, **environment: str) -> None:
        """A process that has to reach the point and end there."""
        process = self.start(mode, LOOP_CRASH_TESTS="on", LOOP_CRASH_AT=point, LOOP_CRASH_BY=by, **environment)
        wanted = 143 if by == "SIGTERM" else -signal.SIGKILL
        assert process.ended() == wanted, f"{point} was not reached: {process.said()}"
        self.crashes += 1

    def stopped_at(self, mode: str, point: str) -> RunProcess:
        """A process that stands still at the point, as one that swaps, or whose machine sleeps."""
        process = self.start(mode, LOOP_CRASH_TESTS="on", LOOP_CRASH_AT=point, LOOP_CRASH_BY="SIGSTOP")
        until(f"the process stands still at {point}", lambda: process.is_stopped)
        return process

    def recover(self, ahead_seconds: float = 0.0) -> None:
        """The loop as it goes on by itself: passes and runs until nothing is due and nobody holds a lease.

        Short waits are waited out; with a long lease the processes' clock is set ahead instead.
        """
        give_up_at = time.monotonic() + ENDS_WITHIN_SECONDS
        while True:
            self.run("recover", CRASH_CLOCK_AHEAD=str(ahead_seconds))
            due_at = self._next_moment()
            if due_at is None:
                return
            assert time.monotonic() < give_up_at, "work is left that nobody takes up"
            wait = max(0.0, (due_at - datetime.now(UTC)).total_seconds() - ahead_seconds) + 0.01
            if self.lease_seconds >= LONG_LEASE_SECONDS:
                ahead_seconds += wait
            else:
                time.sleep(min(1.0, wait))

    def until_leases_end(self) -> None:
        """Waits until nobody holds anything any more."""
        ends = [row.lease_until for row in self.rows(actions, state="waiting") if row.lease_until is not None]
        last = max(ends, default=None)
        if last is not None:
            until("the leases have ended", lambda: datetime.now(UTC) > last)

    def _next_moment(self) -> datetime | None:
        """When there is something to do again: a lease ends, or ready work that nobody holds falls due."""
        moments = []
        for row in self.rows(actions, state="waiting"):
            if row.lease_until is not None:
                moments.append(row.lease_until)
            elif row.is_ready and row.group_id is None:
                moments.append(row.due_at)
        return min(moments, default=None)

    # --- what a test looks at

    def rows(self, table: Table, **equal: Any) -> Sequence[Row[Any]]:
        where = [table.c[name] == value for name, value in equal.items()]
        with self.database.reading() as connection:
            return connection.execute(select(table).where(*where)).all()

    def arrivals(self) -> list[Arrival]:
        """What reached the sink, in order."""
        if self.role == "hook":
            return self._hook_arrivals()
        found = [e for e in self._effects()[self._effects_before :] if e.operation == EFFECTS[self.role][1]]
        return [Arrival(e.idempotency_key or "", e.is_created, e.entity or "") for e in found if e.idempotency_key]

    def _effects(self) -> list[Any]:
        return self.sandbox.effects(EFFECTS[self.role][0]) if self.role != "hook" else []

    def _hook_arrivals(self) -> list[Arrival]:
        seen: set[str] = set()
        found = []
        for row in self.sandbox.control.hook_deliveries(self.name):
            key = row["webhook_id"]
            found.append(Arrival(key, self.kind != "keyed" or key not in seen, json.loads(row["body"])["subject"]))
            seen.add(key)
        return found

    def close(self) -> None:
        """Ends whatever a failed test has left behind."""
        for process in self.processes:
            process.discard()
        self.database.close()


MakeLab = Callable[..., CrashLab]


@contextmanager
def nursery_in(folder: Path) -> Iterator[Nursery]:
    nursery = Nursery(folder)
    try:
        yield nursery
    finally:
        nursery.close()
