"""Makes and empties the landing tables, so that both ways of filling them start from the same ground."""

from __future__ import annotations

from collections.abc import Iterable

from dagster_project.land.connection import LandingConnection
from dagster_project.land.tables import LANDING_TABLES, LINE_NUMBER, LOADED_AT, LandingTable

_TYPES = {LINE_NUMBER: "bigint", LOADED_AT: "timestamp"}


def column_type(column: str) -> str:
    """The SQL type of a landing column; all data is text as it arrived."""
    return _TYPES.get(column, "varchar")


def ensure_tables(connection: LandingConnection, schema: str) -> None:
    """Create the landing schema and what is missing in it; columns that a table lacks are added."""
    connection.run(f"create schema if not exists {schema}")
    for table in LANDING_TABLES:
        columns = ", ".join(f"{column} {column_type(column)}" for column in table.all_columns)
        connection.run(f"create table if not exists {schema}.{table.name} ({columns})")
        for column in _missing_columns(connection, schema, table):
            connection.run(f"alter table {schema}.{table.name} add column {column} {column_type(column)}")


def empty_tables(connection: LandingConnection, schema: str) -> None:
    """Empty every landing table; within a transaction that ends in a commit, readers see the old rows or the new."""
    for table in LANDING_TABLES:
        connection.run(f"truncate table {schema}.{table.name}")


def count_rows(connection: LandingConnection, schema: str) -> dict[str, int]:
    """Rows by landing table."""
    counts = ", ".join(f"(select count(*) from {schema}.{table.name})" for table in LANDING_TABLES)
    (row,) = connection.rows(f"select {counts}")
    return {table.name: int(count) for table, count in zip(LANDING_TABLES, row, strict=True)}


def _missing_columns(connection: LandingConnection, schema: str, table: LandingTable) -> Iterable[str]:
    found = connection.rows(
        "select lower(column_name) from information_schema.columns "
        f"where table_schema = '{schema}' and table_name = '{table.name}'"
    )
    present = {name for (name,) in found}
    return [column for column in table.all_columns if column not in present]
