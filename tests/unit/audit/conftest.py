"""Ledgers for the audit's tests: the same as the ledger's own, with the same bench."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_ledger import emptied_postgres
from postgres_server import PostgresServer

from dagster_project.contracts.playbook import Step
from dagster_project.ledger.database import Database, open_database

sys.path.insert(0, str(Path(__file__).parents[1] / "ledger"))  # ledger_bench lives with the ledger's own tests

from ledger_bench import Bench, Clock, MakeBench, signal_of


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def postgres_audit_url(postgres_server: PostgresServer) -> str:
    url = postgres_server.url(postgres_server.fresh_database("audit"))
    open_database(url).close()
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Database]:
    if request.param == "sqlite":
        ledger = open_database(f"sqlite:///{tmp_path / 'ledger.sqlite'}", clock)
    else:
        ledger = emptied_postgres(request.getfixturevalue("postgres_audit_url"), clock)
    yield ledger
    ledger.close()


@pytest.fixture
def make_bench(database: Database, clock: Clock) -> MakeBench:
    def make(*steps: Step, **spec: object) -> Bench:
        return Bench(database, clock, signal_of(*steps, **spec))

    return make
