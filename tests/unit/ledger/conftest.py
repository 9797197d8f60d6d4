"""Ledgers for the tests: a SQLite file and a real PostgreSQL, both with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_bench import Bench, Clock, MakeBench, signal_of
from postgres_ledger import emptied_postgres
from postgres_server import PostgresServer

from dagster_project.contracts.playbook import Step
from dagster_project.ledger.database import Database, open_database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres_ledger_url(postgres_server: PostgresServer) -> str:
    """One migrated ledger a session; `database` empties it for each test."""
    url = postgres_server.url(postgres_server.fresh_database("ledger"))
    open_database(url).close()
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Database]:
    if request.param == "sqlite":
        ledger = open_database(f"sqlite:///{tmp_path / 'ledger.sqlite'}", clock)
    else:
        ledger = emptied_postgres(request.getfixturevalue("postgres_ledger_url"), clock)
    yield ledger
    ledger.close()


@pytest.fixture
def postgres(postgres_ledger_url: str, clock: Clock) -> Iterator[Database]:
    """For what only a database with several writers at once can do wrong."""
    ledger = emptied_postgres(postgres_ledger_url, clock)
    yield ledger
    ledger.close()


@pytest.fixture
def make_bench(database: Database, clock: Clock) -> MakeBench:
    def make(*steps: Step, **spec: object) -> Bench:
        return Bench(database, clock, signal_of(*steps, **spec))

    return make
