"""One sandbox for the folder's tests, emptied for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_ledger import emptied_postgres
from postgres_server import PostgresServer
from small_loop import SmallLoop
from tryton_server import tryton_installation, tryton_server

from dagster_project.ledger.database import open_database, utc_now
from dagster_project.sandbox.server import SandboxServer

__all__ = ["tryton_installation", "tryton_server"]


@pytest.fixture(scope="session")
def audit_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(audit_sandbox: SandboxServer) -> SandboxServer:
    audit_sandbox.control.reset()
    audit_sandbox.faults.clear()
    return audit_sandbox


@pytest.fixture(scope="session")
def postgres_audit_url(postgres_server: PostgresServer) -> str:
    """One migrated ledger a session; `loop` empties it for each test."""
    url = postgres_server.url(postgres_server.fresh_database("audit"))
    open_database(url).close()
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def loop(request: pytest.FixtureRequest, sandbox: SandboxServer, tmp_path: Path) -> Iterator[SmallLoop]:
    """Samples, incidents and the outbox of alerts; on PostgreSQL where there is time for it."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_audit_url")
    if url:
        emptied_postgres(url, utc_now).close()
    played = SmallLoop(sandbox, tmp_path, url=url)
    yield played
    played.database.close()
