"""Snowflake's protocol for the tests: fakesnow's server and the dbt that talks to it, in an environment of their own.

The environment is made from requirements/snowflake.txt and kept under .loop/test_cache, named after what it was made
from; making it takes ten seconds where the packages are at hand.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import snowflake.connector

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
LOCK = REPOSITORY / "requirements" / "snowflake.txt"
CACHE = REPOSITORY / ".loop" / "test_cache"
DATABASE = "LOOP"
START_WITHIN_SECONDS = 60
END_WITHIN_SECONDS = 20


class SnowflakeServerFailed(RuntimeError):
    """The environment could not be made or the server not started; the message holds what was said."""


@dataclass(frozen=True)
class Sent:
    """One statement that a client sent, and what the server said if it refused it."""

    sql: str
    error: str | None


@dataclass(frozen=True)
class SnowflakeServer:
    """The running server."""

    port: int
    programs: Path
    journal: Path

    @property
    def suspended(self) -> Path:
        """While this file is there, the server answers as an account whose warehouse is suspended."""
        return self.journal.with_suffix(".suspended")

    def run(self, *statements: str, schema: str = "public", within_seconds: int = 60) -> list[tuple[Any, ...]]:
        """Run statements in one session in order and give back the rows of the last."""
        rows: list[tuple[Any, ...]] = []
        connection = snowflake.connector.connect(
            user="loader", password="loader", account="fakesnow", host="127.0.0.1", port=self.port, protocol="http",
            database=DATABASE, schema=schema, network_timeout=within_seconds, login_timeout=30,
        )  # fmt: skip
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    rows = list(cursor.execute(statement).fetchall())
        finally:
            connection.close()
        return rows

    def sent(self) -> list[Sent]:
        """Every statement that reached the server so far."""
        with self.journal.open(encoding="utf-8") as lines:
            return [Sent(**json.loads(line)) for line in lines]

    def environment(self, schema: str) -> dict[str, str]:
        """What the shipped profile reads to build into a schema of this server."""
        return {
            "LOOP_WAREHOUSE": "snowflake",
            "LOOP_WAREHOUSE_SCHEMA": schema,
            "LOOP_SNOWFLAKE_ACCOUNT": "fakesnow",
            "LOOP_SNOWFLAKE_USER": "builder",
            "LOOP_SNOWFLAKE_PASSWORD": "builder",
            "LOOP_SNOWFLAKE_DATABASE": DATABASE,
            "LOOP_SNOWFLAKE_WAREHOUSE": "LOOP_WH",
            "LOOP_SNOWFLAKE_ROLE": "LOOP_BUILDER",
            "LOOP_SNOWFLAKE_HOST": "127.0.0.1",
            "LOOP_SNOWFLAKE_PORT": str(self.port),
            "LOOP_SNOWFLAKE_PROTOCOL": "http",
            "LOOP_DBT_THREADS": "1",  # fakesnow's sessions share one DuckDB, whose writers get in each other's way
        }

    def dbt(self, project: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[bool, str]:
        """Run one dbt command; whether it succeeded, and what it said."""
        command = [str(self.programs / "dbt"), "--no-use-colors", *arguments, "--project-dir", str(project)]
        done = subprocess.run(
            command, env={**clean_environment(), **environment}, capture_output=True, text=True, timeout=300
        )
        return done.returncode == 0, done.stdout + done.stderr


def clean_environment() -> dict[str, str]:
    """Without what would make every start compile all modules again, or lead to another environment."""
    away = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in away}


def installed_programs() -> Path:
    """The folder of the environment's programs, made by whoever comes first. Raises SnowflakeServerFailed."""
    recipe = LOCK.read_bytes() + f"{platform.python_version()} {platform.machine()} {sys.executable}".encode()
    folder = CACHE / f"snowflake-{hashlib.sha256(recipe).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # released with the file, also by a process that dies
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)  # what an interrupted making left behind
            _install(folder)
            (folder / "ready").touch()
    return folder / "bin"


def _install(folder: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    _run([uv, "venv", "-q", "--python", sys.executable, folder])
    install: list[str | Path] = [uv, "pip", "install", "-q", "--python", folder / "bin" / "python"]
    _run([*install, "--require-hashes", "--compile-bytecode", "-r", LOCK])


def _run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(
        [str(part) for part in command], env=clean_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SnowflakeServerFailed(
            f"{command[1]} failed with status {done.returncode}; it said:\n{done.stderr[-3000:]}"
        )


@contextmanager
def serving(folder: Path, is_plain: bool = False) -> Iterator[SnowflakeServer]:
    """Run one server, or fakesnow's as it comes; a folder holds its log and journal. It is ended by its own id."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    server = SnowflakeServer(port, installed_programs(), folder / "journal.jsonl")
    server.journal.touch()
    command = [str(server.programs / "python"), str(HERE / "fakesnow_server.py"), str(port), str(server.journal)]
    if is_plain:
        command = [str(server.programs / "fakesnow"), "-s", "-p", str(port)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=clean_environment())
    try:
        _wait_until_ready(process, port, folder / "server.log")
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=END_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise SnowflakeServerFailed(f"fakesnow did not start; its log ends:\n{log.read_text(errors='replace')[-3000:]}")
