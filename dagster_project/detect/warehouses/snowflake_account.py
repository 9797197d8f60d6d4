"""Reads a Snowflake account through dagster-snowflake's resource, imported only where a warehouse is Snowflake."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from dagster_project.contracts.warehouse import SnowflakeTarget
from dagster_project.detect.warehouses.connection import (
    QUERY_WITHIN_SECONDS,
    WarehouseConnection,
    WarehouseUnavailable,
    first_line,
)

DRIVERS = ("snowflake",)
# The connector repeats a request that failed on the way; without these limits for minutes.
LOGIN_WITHIN_SECONDS = 15
NETWORK_WITHIN_SECONDS = 30


class _Snowflake:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            # bound by the server: nothing of a value is ever read as SQL
            cursor.execute(sql.replace("%s", "?"), list(parameters))
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


@contextlib.contextmanager
def open_snowflake(target: SnowflakeTarget) -> Iterator[WarehouseConnection]:
    """A connection of the reader's role. Snowflake has no read-only session: the role's grants are what holds it.

    Raises WarehouseUnavailable.
    """
    with contextlib.closing(_open(target)) as connection:
        yield _Snowflake(connection)


def _open(target: SnowflakeTarget) -> Any:
    import snowflake.connector.errors

    try:
        # entered and never left: the resource closes its connection only after a block that raised nothing
        return _resource(target).get_connection().__enter__()
    except (snowflake.connector.errors.Error, OSError, ValueError, TypeError) as error:
        raise WarehouseUnavailable(
            f"Snowflake account {target.account} cannot be reached as {target.user}: {first_line(error)}"
        ) from error


def _resource(target: SnowflakeTarget) -> Any:
    from dagster_snowflake import SnowflakeResource

    return SnowflakeResource(
        account=target.account,
        user=target.user,
        **_credential(target),
        role=target.role or None,
        database=target.database,
        schema=target.schema,
        warehouse=target.warehouse,
        paramstyle="qmark",
        login_timeout=LOGIN_WITHIN_SECONDS,
        network_timeout=NETWORK_WITHIN_SECONDS,
        additional_snowflake_connection_args=_address(target),
    )


def _credential(target: SnowflakeTarget) -> dict[str, Any]:
    if target.private_key_path is None:
        return {"password": target.password.get_secret_value()}
    return {
        "private_key_path": str(target.private_key_path),
        "private_key_password": target.private_key_passphrase.get_secret_value() or None,
    }


def _address(target: SnowflakeTarget) -> dict[str, Any]:
    session = {"QUERY_TAG": "signal_loop", "STATEMENT_TIMEOUT_IN_SECONDS": QUERY_WITHIN_SECONDS, "TIMEZONE": "UTC"}
    if not target.host:
        return {"session_parameters": session}
    return {"session_parameters": session, "host": target.host, "port": target.port, "protocol": target.protocol}
