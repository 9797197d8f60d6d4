"""Fresh warehouses of each kind, and the folder of real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from built_warehouse import REPOSITORY, MakeWarehouse, Warehouse
from postgres_server import PostgresServer
from pydantic import SecretStr

from dagster_project.contracts.warehouse import DuckDBTarget, PostgresTarget

REAL_FILES = ("telco_customers.csv", "crm_opportunities.csv", "inventory_products.csv")


@pytest.fixture(scope="session")
def make_warehouse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MakeWarehouse:
    """A fresh warehouse of the kind named: duckdb or postgres."""

    def make(kind: str) -> Warehouse:
        workspace = tmp_path_factory.mktemp(f"models_{kind}")
        if kind == "duckdb":
            return Warehouse(DuckDBTarget(workspace / "warehouse.duckdb", "analytics"), workspace)
        server: PostgresServer = request.getfixturevalue("postgres_server")
        target = PostgresTarget(
            server.host,
            server.port,
            server.user,
            SecretStr(server.password),
            server.fresh_database("models"),
            "analytics",
        )
        return Warehouse(target, workspace)

    return make


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real files: LOOP_REAL_DATA, or shared/data beside the checkout."""
    folder = Path(os.environ.get("LOOP_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    missing = [name for name in REAL_FILES if not (folder / name).exists()]
    if missing:
        pytest.skip(f"the real files are not in {folder} ({', '.join(missing)}); set LOOP_REAL_DATA to their folder")
    return folder
