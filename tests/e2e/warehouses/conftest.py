"""The three warehouses that the reader is held to, and one Snowflake server for the whole session."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from snowflake_server import SnowflakeServer, serving
from warehouse_kits import DuckDBKit, PostgresKit, SnowflakeKit, WarehouseKit

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the packages' own making, at their first import
    import dagster_snowflake  # noqa: F401


@pytest.fixture(scope="session")
def snowflake_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnowflakeServer]:
    with serving(tmp_path_factory.mktemp("snowflake")) as server:
        yield server


@pytest.fixture(params=["duckdb", "postgres", "snowflake"])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> WarehouseKit:
    """An empty warehouse of each kind, with the tables of the capture in it."""
    return make_kit(request.param, request, tmp_path)


@pytest.fixture(params=["postgres", "snowflake"])
def remote_kit(request: pytest.FixtureRequest, tmp_path: Path) -> PostgresKit | SnowflakeKit:
    """As `kit`, of those that are reached over the network."""
    made = make_kit(request.param, request, tmp_path)
    assert isinstance(made, PostgresKit | SnowflakeKit)
    return made


def make_kit(kind: str, request: pytest.FixtureRequest, folder: Path) -> WarehouseKit:
    if kind == "duckdb":
        made: WarehouseKit = DuckDBKit(folder / "warehouse.duckdb")
    elif kind == "postgres":
        made = PostgresKit(request.getfixturevalue("postgres_server"))
    else:
        made = SnowflakeKit(request.getfixturevalue("snowflake_server"), f"kit_{abs(hash(request.node.nodeid))}")
    made.make_capture_tables()
    return made
