"""A loop whose second day is built and not taken in: disturbed, set right, and compared with an undisturbed one."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.loop.loop_driver import Loop

from dagster_project.sandbox.server import SandboxServer

Effects = Counter[tuple[str, str, str | None, str | None]]
MOST_PASSES = 30
# Waits of seconds instead of minutes, so that a test need not wait for them.
IMPATIENT = {
    "LOOP_RETRY_BASE_SECONDS": "0.2",
    "LOOP_RETRY_CAP_SECONDS": "0.5",
    "LOOP_CIRCUIT_BASE_SECONDS": "0.2",
    "LOOP_CIRCUIT_CAP_SECONDS": "0.5",
    "LOOP_MAX_ATTEMPTS": "40",
}


@dataclass(frozen=True)
class BuiltLoop:
    """The state as it is before the second day's builds are taken in; it can be had again and again at one path."""

    state_dir: Path
    kept: Path
    environment: Mapping[str, str]

    @contextmanager
    def fresh(self, **more: str) -> Iterator[Loop]:
        """The state as it was, with an empty sandbox."""
        shutil.rmtree(self.state_dir, ignore_errors=True)
        shutil.copytree(self.kept, self.state_dir)
        with SandboxServer() as sandbox:
            yield Loop(self.state_dir, sandbox, {**self.environment, **more})


def act(loop: Loop, exit_status: int | None = 0) -> str:
    return loop.loopctl("tick", "--no-build", exit_status=exit_status)


def act_until_done(loop: Loop) -> None:
    """Passes until nothing waits that is not held up by something held."""
    for _ in range(MOST_PASSES):
        act(loop, exit_status=None)
        if not rows(loop, "select 1 from actions where state = 'waiting' and is_ready and due_at is not null"):
            return
    raise AssertionError(rows(loop, "select step, reason, detail, due_at from actions where state = 'waiting'"))


def effects(loop: Loop) -> Effects:
    """What was made at the destinations; a second effect of one kind under one key counts twice."""
    made = (effect for effect in loop.sandbox.effects() if effect.is_created)
    return Counter((one.vendor, one.operation, one.idempotency_key, one.entity) for one in made)


def rows(loop: Loop, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the loop's ledger, wherever it lies."""
    url = loop.more_environment.get("LOOP_LEDGER_URL", f"sqlite:///{loop.state_dir / 'ledger.sqlite'}")
    path = f"file:{url.removeprefix('sqlite:///')}?mode=ro"
    with closing(sqlite3.connect(path, uri=True)) as connection:
        return connection.execute(sql).fetchall()


def change_ledger(loop: Loop, sql: str) -> None:
    with closing(sqlite3.connect(loop.state_dir / "ledger.sqlite")) as connection, connection:
        assert connection.execute(sql).rowcount > 0
