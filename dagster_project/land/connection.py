"""One small way to run SQL and load rows on every warehouse that can be landed in, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, assert_never

from dagster_project.contracts.warehouse import DuckDBTarget, PostgresTarget, SnowflakeTarget, WarehouseTarget
from dagster_project.land.report import LandingError

STAYS = "Nothing was changed: the landing tables are as they were."


class LandingConnection(Protocol):
    """An open transaction on a warehouse."""

    dialect: str  # duckdb or postgres

    def run(self, sql: str) -> None:
        """Run one statement."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of one query."""

    def load_csv(self, schema: str, table: str, columns: Sequence[str], path: Path) -> None:
        """Append a UTF-8 CSV file with a header line; a field left empty is NULL."""


class _DuckDBConnection:
    dialect = "duckdb"

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def run(self, sql: str) -> None:
        self._raw.execute(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return list(self._raw.execute(sql).fetchall())

    def load_csv(self, schema: str, table: str, columns: Sequence[str], path: Path) -> None:
        names = ", ".join(columns)
        types = ", ".join(f"'{column}': 'VARCHAR'" for column in columns)
        self._raw.execute(
            f"insert into {schema}.{table} ({names}) select {names} from read_csv(?, columns = {{{types}}}, "
            "header = true, delim = ',', quote = '\"', escape = '\"', nullstr = '', auto_detect = false, "
            "max_line_size = 16777216)",
            [str(path)],
        )


class _PostgresConnection:
    dialect = "postgres"

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def run(self, sql: str) -> None:
        with self._raw.cursor() as cursor:
            cursor.execute(sql)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self._raw.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def load_csv(self, schema: str, table: str, columns: Sequence[str], path: Path) -> None:
        statement = f"copy {schema}.{table} ({', '.join(columns)}) from stdin with (format csv, header true)"
        with self._raw.cursor() as cursor, path.open(encoding="utf-8", newline="") as file:
            cursor.copy_expert(statement, file)


@contextmanager
def _duckdb_transaction(target: DuckDBTarget) -> Iterator[LandingConnection]:
    import duckdb

    try:
        target.path.parent.mkdir(parents=True, exist_ok=True)
        raw = duckdb.connect(str(target.path))
    except (duckdb.Error, OSError) as error:
        raise LandingError(
            f"the warehouse file {target.path} cannot be opened for writing: {error}. {STAYS} "
            "If another process holds it, wait until it is done and land again."
        ) from error
    try:
        raw.execute("begin transaction")
        yield _DuckDBConnection(raw)
        raw.execute("commit")
    except duckdb.Error as error:
        raise LandingError(f"the warehouse file {target.path} refused the landing: {error}. {STAYS}") from error
    finally:
        raw.close()  # an open transaction is rolled back


@contextmanager
def _postgres_transaction(target: PostgresTarget) -> Iterator[LandingConnection]:
    import psycopg2

    where = f"the PostgreSQL database {target.database} at {target.host}:{target.port}"
    try:
        raw = psycopg2.connect(
            host=target.host,
            port=target.port,
            user=target.user,
            password=target.password.get_secret_value(),
            dbname=target.database,
            options="-c TimeZone=UTC -c DateStyle=ISO -c client_encoding=UTF8",
        )
    except psycopg2.OperationalError as error:
        raise LandingError(f"{where} cannot be reached as {target.user}: {error}. {STAYS}") from error
    try:
        yield _PostgresConnection(raw)
        raw.commit()
    except psycopg2.Error as error:
        raise LandingError(f"{where} refused the landing: {error}. {STAYS}") from error
    finally:
        raw.close()  # an open transaction is rolled back


@contextmanager
def transaction(target: WarehouseTarget) -> Iterator[LandingConnection]:
    """A transaction on the warehouse: committed when the block ends, rolled back when it raises.

    Raises:
        LandingError: the warehouse cannot be opened, or refused a statement; nothing was changed.
    """
    if isinstance(target, DuckDBTarget):
        opened = _duckdb_transaction(target)
    elif isinstance(target, PostgresTarget):
        opened = _postgres_transaction(target)
    elif isinstance(target, SnowflakeTarget):
        raise LandingError(
            f"the landing tables of Snowflake account {target.account} are not this project's to write or count; "
            f"load them with a tool of your own (docs/warehouses.md). {STAYS}"
        )
    else:
        assert_never(target)
    with opened as connection:
        yield connection
