"""Reads a PostgreSQL database in a session that cannot write."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from dagster_project.contracts.warehouse import PostgresTarget
from dagster_project.detect.warehouses.connection import (
    QUERY_WITHIN_SECONDS,
    WarehouseConnection,
    WarehouseUnavailable,
    first_line,
)

DRIVERS = ("psycopg2",)
CONNECT_WITHIN_SECONDS = 10
SILENT_AFTER_SECONDS = 20  # a server that was cut off answers nothing at all, not even "no"


class _Postgres:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(parameters))
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


@contextlib.contextmanager
def open_postgres(target: PostgresTarget) -> Iterator[WarehouseConnection]:
    """A read-only connection. Raises WarehouseUnavailable."""
    with contextlib.closing(_open(target)) as connection:
        yield _Postgres(connection)


def _open(target: PostgresTarget) -> Any:
    import psycopg2

    try:
        connection = psycopg2.connect(
            host=target.host,
            port=target.port,
            user=target.user,
            password=target.password.get_secret_value(),
            dbname=target.database,
            connect_timeout=CONNECT_WITHIN_SECONDS,
            keepalives_idle=SILENT_AFTER_SECONDS,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=1000 * SILENT_AFTER_SECONDS,
        )
    except psycopg2.OperationalError as error:
        raise WarehouseUnavailable(
            f"PostgreSQL at {target.host}:{target.port} cannot be reached: {first_line(error)}"
        ) from error
    connection.set_session(readonly=True, autocommit=True)
    with connection.cursor() as cursor:  # not as a start-up option, which connection poolers refuse
        cursor.execute("set statement_timeout = %s", (1000 * QUERY_WITHIN_SECONDS,))
    return connection
