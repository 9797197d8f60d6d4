"""The environment of the peers, made from requirements/drt.txt and kept under .loop, and drt-core's runs in it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from timing import Spent

PROJECT = Path(__file__).resolve().parents[1]
LOCK = PROJECT / "requirements" / "drt.txt"
CACHE = PROJECT / ".loop" / "bench_cache"
ROWS = "parcels_waiting"
BODY = """\
{"specversion": "1.0", "id": "{{ row.key }}", "type": "parcel.waiting", "source": "/signals/parcel_waiting",
 "subject": "{{ row.entity_id }}", "datacontenttype": "application/json",
 "data": {"reason": "{{ row.reason }}", "weight": "{{ row.weight }}"}}"""


class PeerUnavailable(RuntimeError):
    """The peers' environment could not be made, or a peer did not do what it was asked; the message says why."""


def peers_python() -> Path:
    """The interpreter of the peers' environment, which whoever comes first makes. Raises PeerUnavailable."""
    parts = [LOCK.read_text(), platform.python_version(), platform.machine(), sys.executable]
    folder = CACHE / f"drt-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # released with the file, also by a process that dies
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)  # what an interrupted making left behind
            _install(folder)
            (folder / "ready").touch()
    return folder / "bin" / "python"


def _install(folder: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    if not uv.exists():
        raise PeerUnavailable(f"there is no {uv}, which installs the peers; `make bench` puts it there")
    _run([uv, "venv", "-q", "--python", sys.executable, folder])
    install: list[str | Path] = [uv, "pip", "install", "-q", "--python", folder / "bin" / "python"]
    _run([*install, "--require-hashes", "--compile-bytecode", "-r", LOCK])


def _run(command: Sequence[str | Path]) -> None:
    away = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in away}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise PeerUnavailable(f"`{' '.join(map(str, command))}` failed; it said:\n{done.stderr[-2000:]}")


def drt_spent(folder: Path, sink: str, rows: int, batch_size: int | None, syncs: int = 1, rate: float = 0) -> Spent:
    """What `drt run` takes to send so many rows, as it says itself: without its start and its imports.

    Parameters: an empty folder for its project; the sink; how many rows; its batch size, None for the one it ships
    with; over how many syncs the rows are spread, each of which gets a thread; requests a second, 0 for no limit. It
    sends the same bodies as the project, with a key by which the receiver may tell a repetition.
    Raises PeerUnavailable where not every row was sent.
    """
    python = peers_python()
    write_rows(folder / "rows.sqlite", rows)
    _write_project(folder, sink, batch_size, syncs, rate)
    command = [str(python.with_name("drt")), "run", "--output", "json", "--threads", str(syncs)]
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    said = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    sent = sum(sync["rows_synced"] for sync in said.get("syncs", []))
    if done.returncode or sent != rows:
        raise PeerUnavailable(f"drt sent {sent} of {rows} rows; it said:\n{(done.stdout + done.stderr)[-2000:]}")
    return Spent(float(said["total_duration_seconds"]))


def write_rows(file: Path, count: int) -> None:
    """A SQLite file with so many flagged rows, as a peer finds them."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f"create table {ROWS} (number integer, key text, entity_id text, reason text, weight real)")
        rows = ((n, f"{n:032x}", f"p{n}", "It waits at the counter.", 2.5) for n in range(count))
        database.executemany(f"insert into {ROWS} values (?, ?, ?, ?, ?)", rows)


def _write_project(folder: Path, sink: str, batch_size: int | None, syncs: int, rate: float) -> None:
    (folder / "drt_project.yml").write_text(json.dumps({"name": "bench", "version": "0.1", "profile": "bench"}))
    (folder / ".drt").mkdir()
    profile = {"bench": {"type": "sqlite", "database": str(folder / "rows.sqlite")}}
    (folder / ".drt" / "profiles.yml").write_text(json.dumps(profile))
    (folder / "syncs").mkdir()
    for number in range(syncs):
        sync = _sync(sink, number, syncs, batch_size, rate)
        (folder / "syncs" / f"send_{number}.yml").write_text(json.dumps(sync))  # JSON is YAML


def _sync(sink: str, number: int, syncs: int, batch_size: int | None, rate: float) -> dict[str, object]:
    options: dict[str, object] = {"mode": "full", "rate_limit": {"requests_per_second": rate}}
    if batch_size is not None:
        options["batch_size"] = batch_size
    destination = {
        "type": "rest_api",
        "url": f"{sink}/hooks",
        "headers": {"content-type": "application/json"},
        "native_idempotency_key": "{{ row.key }}",
        "native_idempotency_header": "webhook-id",
        "body_template": BODY,
    }
    model = f"select * from {ROWS} where number % {syncs} = {number}"
    return {"name": f"send_{number}", "model": model, "destination": destination, "sync": options}
