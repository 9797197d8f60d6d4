"""Opens whichever warehouse is meant, and tells every failure of it in one way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import assert_never

from dagster_project.contracts.warehouse import DuckDBTarget, PostgresTarget, SnowflakeTarget, WarehouseTarget
from dagster_project.detect.warehouses import duckdb_file, postgres_database, snowflake_account
from dagster_project.detect.warehouses.connection import WarehouseConnection, WarehouseUnavailable, first_line

DRIVERS = (*duckdb_file.DRIVERS, *postgres_database.DRIVERS, *snowflake_account.DRIVERS)


@contextlib.contextmanager
def connect(target: WarehouseTarget) -> Iterator[WarehouseConnection]:
    """A read-only connection, held as briefly as possible. Raises WarehouseUnavailable."""
    if isinstance(target, DuckDBTarget):
        opened = duckdb_file.open_duckdb(target)
    elif isinstance(target, PostgresTarget):
        opened = postgres_database.open_postgres(target)
    elif isinstance(target, SnowflakeTarget):
        opened = snowflake_account.open_snowflake(target)
    else:
        assert_never(target)
    with opened as connection:
        yield connection


@contextlib.contextmanager
def told_as_unavailable() -> Iterator[None]:
    """Tells a driver's error inside it as WarehouseUnavailable; every other error stays what it is."""
    try:
        yield
    except WarehouseUnavailable:
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] in DRIVERS:
            raise WarehouseUnavailable(f"a query failed: {first_line(error)}") from error
        raise


@contextlib.contextmanager
def reading(target: WarehouseTarget) -> Iterator[WarehouseConnection]:
    """As `connect`, with every failure of a query told as WarehouseUnavailable."""
    with connect(target) as connection, told_as_unavailable():
        yield connection
