"""One kit a warehouse: an empty one to write into, the reader's target for it, and where their SQL differs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Protocol

import duckdb
from postgres_server import PostgresServer
from pydantic import SecretStr
from snowflake_server import DATABASE, SnowflakeServer

from dagster_project.contracts.catalog import CaptureRelations
from dagster_project.contracts.warehouse import DuckDBTarget, PostgresTarget, SnowflakeTarget, WarehouseTarget

CAPTURE_TABLES = {
    "signal_incarnation": "incarnation_id varchar",
    "signal_builds": "build_id varchar, signal varchar, build_no bigint, status varchar, is_baseline boolean, "
    "code_version varchar, criteria_version varchar, data_as_of {moment}, population bigint, flagged bigint, "
    "opened bigint, escalated bigint, resolved bigint, captured_at {moment}, released_at {moment}, held_reason varchar",
    "signal_events": "event_id varchar, build_id varchar, signal varchar, entity_id varchar, episode bigint, "
    "kind varchar, severity varchar, score double precision, observed_at {moment}, emitted_at {moment}, "
    "row_json varchar",
    "signal_state": "signal varchar, entity_id varchar",
    "flagged": "entity_id varchar, severity varchar",
    "do_not_contact": "entity_type varchar, entity_id varchar, reason varchar, since_at {moment}",
}


class WarehouseKit(Protocol):
    """What the tests ask of each warehouse."""

    kind: ClassVar[str]
    schema: str
    moment: ClassVar[str]  # the type of a moment without a zone
    zoned: ClassVar[str]  # the type of one with a zone
    backslash: ClassVar[str]  # a backslash inside a literal

    @property
    def target(self) -> WarehouseTarget: ...

    def run(self, *statements: str) -> list[tuple[Any, ...]]: ...

    def make_capture_tables(self) -> None: ...

    def relation(self, name: str) -> str: ...

    def literal(self, value: str | None) -> str: ...


class Kit:
    """What the three have in common."""

    kind: ClassVar[str]
    moment: ClassVar[str] = "timestamp"
    zoned: ClassVar[str] = "timestamptz"
    backslash: ClassVar[str] = "\\"
    schema: str

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as the one who builds, in order, and give back the rows of the last."""
        raise NotImplementedError

    def relation(self, name: str) -> str:
        return f"{self.schema}.{name}"

    def literal(self, value: str | None) -> str:
        """A Python string as an SQL literal of this warehouse."""
        return "null" if value is None else "'" + value.replace("\\", self.backslash).replace("'", "''") + "'"

    def make_capture_tables(self) -> None:
        made = [
            f"create table {self.relation(name)} ({columns.format(moment=self.moment)})"
            for name, columns in CAPTURE_TABLES.items()
        ]
        self.run(*made, f"insert into {self.relation('signal_incarnation')} values ('warehouse-1')")

    @property
    def capture(self) -> CaptureRelations:
        names = ("incarnation", "builds", "events", "state")
        return CaptureRelations(**{name: self.relation(f"signal_{name}") for name in names})

    def insert(self, table: str, rows: Iterable[Iterable[str]]) -> None:
        """Rows of SQL expressions."""
        values = " union all ".join(f"select {', '.join(row)}" for row in rows)
        self.run(f"insert into {self.relation(table)} {values}")


class DuckDBKit(Kit):
    kind = "duckdb"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.schema = "analytics"
        self.run("create schema analytics")

    @property
    def target(self) -> DuckDBTarget:
        return DuckDBTarget(self.path, self.schema)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        with duckdb.connect(str(self.path)) as connection:
            for statement in statements:
                rows = connection.execute(statement).fetchall()
        return rows


class PostgresKit(Kit):
    kind = "postgres"

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.schema = "analytics"
        self.database = server.fresh_database("reader")
        # no moment may depend on the session's zone
        self.run("create schema analytics", f"alter database {self.database} set timezone to 'Asia/Tokyo'")

    @property
    def target(self) -> PostgresTarget:
        server = self.server
        return PostgresTarget(
            server.host, server.port, server.user, SecretStr(server.password), self.database, self.schema
        )

    def through(self, port: int) -> PostgresTarget:
        return dataclasses.replace(self.target, host="127.0.0.1", port=port)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        connection = self.server.connect(self.database)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                    rows = cursor.fetchall() if cursor.description else []
        finally:
            connection.close()
        return rows


class SnowflakeKit(Kit):
    kind = "snowflake"
    moment = "timestamp_ntz"
    zoned = "timestamp_tz"
    backslash = "\\\\"

    def __init__(self, server: SnowflakeServer, schema: str) -> None:
        self.server = server
        self.schema = schema
        self.run(f"create schema if not exists {schema}")

    @property
    def target(self) -> SnowflakeTarget:
        return SnowflakeTarget(
            account="fakesnow", user="reader", password=SecretStr("let-me-read"), private_key_path=None,
            private_key_passphrase=SecretStr(""), role="LOOP_READER", database=DATABASE, warehouse="LOOP_WH",
            schema=self.schema, host="127.0.0.1", port=self.server.port, protocol="http",
        )  # fmt: skip

    def through(self, port: int) -> SnowflakeTarget:
        return dataclasses.replace(self.target, port=port)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.run(*statements)
