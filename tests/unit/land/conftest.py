"""A warehouse of each kind to land in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from postgres_server import PostgresServer
from pydantic import SecretStr

from dagster_project.contracts.warehouse import DuckDBTarget, PostgresTarget, WarehouseTarget
from dagster_project.land.connection import transaction

Rows = list[tuple[Any, ...]]


@pytest.fixture
def duckdb_target(tmp_path: Path) -> DuckDBTarget:
    return DuckDBTarget(tmp_path / "warehouse.duckdb", "analytics")


@pytest.fixture
def postgres_target(postgres_server: PostgresServer) -> PostgresTarget:
    server = postgres_server
    database = server.fresh_database("land")
    return PostgresTarget(server.host, server.port, server.user, SecretStr(server.password), database, "analytics")


@pytest.fixture(params=["duckdb", "postgres"])
def target(request: pytest.FixtureRequest) -> WarehouseTarget:
    """Each warehouse in turn."""
    found: WarehouseTarget = request.getfixturevalue(f"{request.param}_target")
    return found


@pytest.fixture
def query() -> Callable[[WarehouseTarget, str], Rows]:
    """Rows of a query on a target."""

    def run(target: WarehouseTarget, sql: str) -> Rows:
        with transaction(target) as connection:
            return connection.rows(sql)

    return run
