"""A real Tryton for the tests: installed and initialised once, then a server with a fresh database for each module.

The server lives in an environment of its own, made from requirements/tryton.txt. The environment and an initialised
database are kept under .loop/test_cache, named after all that they were made from; making them takes a minute or two.
"""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
import os
import platform
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tryton_company
from tryton_company import PASSWORD, USER, Administrator, set_up_company

PROJECT = Path(__file__).resolve().parents[1]
LOCK = PROJECT / "requirements" / "tryton.txt"
CACHE = PROJECT / ".loop" / "test_cache"
MODULES = ("product", "project", "purchase", "stock")
START_WITHIN_SECONDS = 120
END_WITHIN_SECONDS = 30
DATABASE = "erp"


class TrytonUnavailable(RuntimeError):
    """The real Tryton could not be installed, initialised or started; the message holds what it said."""


@dataclass(frozen=True)
class TrytonServer:
    """A running server with one database that nobody has used yet, and the user that the tests sign in as."""

    url: str
    file: Path  # the database's
    database: str = DATABASE
    user: str = USER
    password: str = field(default=PASSWORD, repr=False)

    def connection(self, url: str | None = None, **changed: Any) -> dict[str, Any]:
        """The settings of a `tryton` destination that reaches it, through another address if one is given."""
        settings = {"base_url": url or self.url, "database": self.database, "user": self.user}
        return {**settings, "password": self.password, **changed}

    def administrator(self) -> Administrator:
        """A session of its own beside the connector's."""
        return Administrator(self.url, self.database).sign_in()

    def age_sessions(self, seconds: float) -> None:
        """Makes every session look as if it had been idle for so much longer."""
        with closing(sqlite3.connect(self.file, timeout=30)) as database, database:
            older = f"-{seconds} seconds"
            database.execute(
                "update ir_session set create_date = datetime(create_date, ?), write_date = datetime(write_date, ?)",
                (older, older),
            )


@pytest.fixture(scope="session")
def tryton_installation() -> Path:
    """The folder of the installed server and its template; made once, which takes a minute or two."""
    return installed_tryton()


@pytest.fixture(scope="module")
def tryton_server(tryton_installation: Path) -> Iterator[TrytonServer]:
    """Yield a running server with a database of the module's own."""
    with running_tryton(tryton_installation) as server:
        yield server


@contextmanager
def running_tryton(installation: Path) -> Iterator[TrytonServer]:
    """Runs a server over a copy of the template."""
    with tempfile.TemporaryDirectory(prefix="signal-loop-tryton-") as scratch:
        file = Path(scratch) / f"{DATABASE}.sqlite"
        shutil.copyfile(installation / file.name, file)
        with _serving(installation, Path(scratch)) as url:
            yield TrytonServer(url, file)


def installed_tryton() -> Path:
    """The folder with the environment and the template, made by whoever comes first. Raises TrytonUnavailable."""
    folder = CACHE / f"tryton-{_recipe_hash()}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # released with the file, also by a process that dies
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)  # what an interrupted making left behind
            folder.mkdir()
            _install(folder)
            _make_template(folder)
            (folder / "ready").touch()
    return folder


def _recipe_hash() -> str:
    """Changes with everything that the environment and the template are made from."""
    recipe = "".join(inspect.getsource(part) for part in (_install, _make_template, _configuration, tryton_company))
    parts = [LOCK.read_text(), recipe, *MODULES, platform.python_version(), platform.machine(), sys.executable]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _install(folder: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    if not uv.exists():
        raise TrytonUnavailable(f"there is no {uv}, which installs Tryton for the tests; `make test` puts it there")
    _run([uv, "venv", "-q", "--python", sys.executable, folder / "venv"], "making Tryton's environment")
    install: list[str | Path] = [uv, "pip", "install", "-q", "--python", folder / "venv" / "bin" / "python"]
    install += ["--require-hashes", "--compile-bytecode", "-r", LOCK]
    _run(install, f"installing Tryton from {LOCK.name}")


def _make_template(folder: Path) -> None:
    """A database with the modules activated and a company set up, as one file without a write-ahead log."""
    making = folder / "making"
    making.mkdir()
    file = making / f"{DATABASE}.sqlite"
    file.touch()
    password_file = making / "password"
    password_file.write_text(PASSWORD)
    command: list[str | Path] = [folder / "venv" / "bin" / "trytond-admin", "-c", _configuration(making, _free_port())]
    command += ["-d", DATABASE, "--all", "--email", "admin@example.com", "-u", *MODULES, "--activate-dependencies"]
    _run(command, "initialising Tryton's database", {"TRYTONPASSFILE": str(password_file)})
    with _serving(folder, making) as url:
        set_up_company(Administrator(url, DATABASE).sign_in())
    with closing(sqlite3.connect(file)) as database:
        database.execute("pragma wal_checkpoint(truncate)")
        database.execute("pragma journal_mode = delete")
    file.rename(folder / file.name)
    shutil.rmtree(making)


def _configuration(folder: Path, port: int) -> Path:
    """Writes a trytond.conf for the database in a folder."""
    file = folder / "trytond.conf"
    file.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n[web]\nlisten = 127.0.0.1:{port}\n")
    return file


@contextmanager
def _serving(installation: Path, folder: Path) -> Iterator[str]:
    """Runs one server over the database in a folder; yields its address and ends it by its own process id."""
    port = _free_port()
    # Named with -d the database is loaded before the first call; loaded by a first login, it answers that one with an
    # error inside a 200.
    command = [installation / "venv" / "bin" / "trytond", "-c", _configuration(folder, port), "-d", DATABASE]
    url = f"http://127.0.0.1:{port}"
    log_file = folder / "trytond.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command], cwd=folder, stdout=log, stderr=log, env=_environment()
        )
    try:
        _wait_until_ready(process, url, log_file)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=END_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN_SECONDS
    body = json.dumps({"id": 0, "method": "common.server.version", "params": []}).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while process.poll() is None and time.monotonic() < deadline:
        request = urllib.request.Request(f"{url}/rpc/", body, {"Content-Type": "application/json"})
        try:
            with opener.open(request, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise TrytonUnavailable(f"the real Tryton did not start; its log ends:\n{log.read_text(errors='replace')[-3000:]}")


def _run(command: Sequence[str | Path], doing: str, more: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**_environment(), **(more or {})},
    )
    if done.returncode:
        raise TrytonUnavailable(f"{doing} failed with status {done.returncode}; it said:\n{done.stdout[-3000:]}")


def _environment() -> dict[str, str]:
    """Without what would make every start compile all modules again, or lead to another environment."""
    away = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV", "TRYTOND_CONFIG")
    return {name: value for name, value in os.environ.items() if name not in away}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
