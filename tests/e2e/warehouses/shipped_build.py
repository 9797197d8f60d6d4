"""The shipped dbt project built from the same landed rows on DuckDB and on Snowflake's protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from snowflake_server import REPOSITORY, SnowflakeServer, clean_environment

from dagster_project.contracts.warehouse import DuckDBTarget
from dagster_project.land.generator import GeneratedCompany, generate
from dagster_project.land.tables import LANDING_TABLES, LINE_NUMBER, LOADED_AT, LandingTable

PROJECT = REPOSITORY / "dbt_signals"
COMPANY = GeneratedCompany(customers=300, products=60, as_of=datetime(2026, 11, 1, tzinfo=UTC))
ROWS_PER_INSERT = 500
# what the generator never writes, so that both refuse and read it alike
FLAWS = (
    "update landing.customers set tenure_months = '99999999999' where line_number = 3",
    "update landing.customers set total_charges = 'NaN' where line_number = 5",
    "update landing.customers set contract = 'it''s \\odd 😀' where line_number = 7",
    "update landing.customers set left_on = '2016-10-20 00:00:00' where line_number in (9, 11)",
    "update landing.opportunities set closed_on = '10/20/2016' where line_number in (2, 4)",
    "update landing.opportunities set closed_on = '2016-13-45' where line_number = 6",
    "update landing.do_not_contact set since_at = '2016-10-20T08:15:30' where line_number = 2",
    "update landing.do_not_contact set since_at = 'yesterday' where line_number = 3",
    "update landing.stock_levels set quantity = '1e99' where line_number = 4",
)
SCHEMA = "analytics"


@dataclass(frozen=True)
class ShippedBuild:
    """Both warehouses after one `dbt build` of the whole project."""

    duckdb_file: Path
    server: SnowflakeServer
    workspace: Path
    is_success: bool
    said: str

    def duckdb_rows(self, relation: str, columns: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.duckdb_file), read_only=True) as connection:
            return sorted(connection.execute(f"select {columns} from {SCHEMA}.{relation}").fetchall(), key=repr)

    def snowflake_rows(self, relation: str, columns: str) -> list[tuple[Any, ...]]:
        return sorted(self.server.run(f"select {columns} from {SCHEMA}.{relation}"), key=repr)

    def columns(self, relation: str) -> str:
        """Every column of a relation, in one order for both."""
        with duckdb.connect(str(self.duckdb_file), read_only=True) as connection:
            query = "select column_name from information_schema.columns where table_schema = ? and table_name = ?"
            found = connection.execute(query, [SCHEMA, relation]).fetchall()
        return ", ".join(sorted(name for (name,) in found))


def build_both(server: SnowflakeServer, workspace: Path) -> ShippedBuild:
    """Land a generated company, copy it, and build it on both."""
    file = workspace / "warehouse.duckdb"
    generate(DuckDBTarget(file, SCHEMA), COMPANY)
    with duckdb.connect(str(file)) as connection:
        for flaw in FLAWS:
            connection.execute(flaw)
        server.run("create schema if not exists landing")
        for table in LANDING_TABLES:
            _copy(connection, server, table)
    _build_on_duckdb(file, workspace)
    environment = {**server.environment(SCHEMA), **_folders(workspace / "snowflake")}
    is_success, said = server.dbt(PROJECT, ["build"], environment)
    return ShippedBuild(file, server, workspace, is_success, said)


def _copy(connection: duckdb.DuckDBPyConnection, server: SnowflakeServer, table: LandingTable) -> None:
    types = {LINE_NUMBER: "bigint", LOADED_AT: "timestamp_ntz"}
    columns = ", ".join(f"{name} {types.get(name, 'varchar')}" for name in table.all_columns)
    rows = connection.execute(f"select {', '.join(table.all_columns)} from landing.{table.name}").fetchall()
    portions = [rows[start : start + ROWS_PER_INSERT] for start in range(0, len(rows), ROWS_PER_INSERT)]
    values = [", ".join(f"({', '.join(map(_literal, row))})" for row in portion) for portion in portions]
    server.run(
        f"create or replace table landing.{table.name} ({columns})",
        *[f"insert into landing.{table.name} values {some}" for some in values],
    )


def _literal(value: Any) -> str:
    return "null" if value is None else "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def _folders(workspace: Path) -> dict[str, str]:
    return {
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(workspace / "target"),
        "DBT_LOG_PATH": str(workspace / "logs"),
    }


def _build_on_duckdb(file: Path, workspace: Path) -> None:
    where = {"LOOP_WAREHOUSE": "duckdb", "LOOP_DUCKDB_PATH": str(file), "LOOP_WAREHOUSE_SCHEMA": SCHEMA}
    command = [str(Path(sys.executable).parent / "dbt"), "run", "--project-dir", str(PROJECT)]
    seeded = [str(Path(sys.executable).parent / "dbt"), "seed", "--project-dir", str(PROJECT)]
    environment = {**clean_environment(), **where, **_folders(workspace / "duckdb"), "PATH": os.environ["PATH"]}
    for one in (seeded, command):
        done = subprocess.run(one, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
