"""One sandbox and one nursery a session; for each test a ledger, a warehouse and a sink's address of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_lab import CrashLab, MakeLab, Nursery, nursery_in
from postgres_server import PostgresServer

from dagster_project.ledger.database import open_database
from dagster_project.sandbox.server import SandboxServer


@pytest.fixture(scope="session")
def crash_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(hubspot_calls_per_ten_seconds=0, slack_messages_per_second=0) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery_in(tmp_path_factory.mktemp("nursery")) as nursery:
        yield nursery


@pytest.fixture(scope="session")
def empty_sqlite_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated ledger to copy; migrating anew would cost each test half a second."""
    file = tmp_path_factory.mktemp("ledger") / "empty.sqlite"
    open_database(f"sqlite:///{file}").close()
    return file


@pytest.fixture(scope="session")
def empty_postgres_ledger(postgres_server: PostgresServer) -> str:
    name = postgres_server.fresh_database("empty_ledger")
    open_database(postgres_server.url(name)).close()
    return name


@pytest.fixture
def make_lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeLab]:
    """Makes a lab, with its baseline taken in unless told otherwise."""
    labs: list[CrashLab] = []

    def make(
        kind: str = "keyed", database: str = "sqlite", is_met: bool = True, ledger_url: str = "", **more: object
    ) -> CrashLab:
        folder = tmp_path / f"lab{len(labs)}"
        folder.mkdir()
        sandbox: SandboxServer = request.getfixturevalue("crash_sandbox")
        url = ledger_url or _ledger(request, database, folder)
        lab = CrashLab(folder, kind, request.getfixturevalue("nursery"), sandbox, url, **more)  # type: ignore[arg-type]
        labs.append(lab)
        lab.company.make()
        if is_met:
            lab.run("detect")
            lab.company.add_builds()
        return lab

    yield make
    for lab in labs:
        lab.close()


def _ledger(request: pytest.FixtureRequest, database: str, folder: Path) -> str:
    if database == "sqlite":
        shutil.copyfile(request.getfixturevalue("empty_sqlite_ledger"), folder / "ledger.sqlite")
        return f"sqlite:///{folder / 'ledger.sqlite'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.fresh_database("crash")
    connection = server.connect("postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'drop database "{name}"')
            cursor.execute(f'create database "{name}" template "{request.getfixturevalue("empty_postgres_ledger")}"')
    finally:
        connection.close()
    return server.url(name)
