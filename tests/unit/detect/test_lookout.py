"""What a sensor watches changes with every commit, and tells whether a look would have to wait."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import psycopg2
import pytest
from postgres_server import PostgresServer
from pydantic import SecretStr
from unit.contracts.prepared_project import prepared_project

from dagster_project.contracts.catalog import CaptureRelations
from dagster_project.contracts.warehouse import DuckDBTarget, PostgresTarget, SnowflakeTarget
from dagster_project.detect.lookout import watching

SIGNAL = "deal_won"
WRITER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("insert into builds values (2)")
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("create table builds as select 1 as n")
    return tmp_path / "w.duckdb"


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Another process that has committed and still holds the file, as dbt does until its end."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.communicate("\n")


def capture() -> CaptureRelations:
    return prepared_project().catalog.capture


def test_a_duckdb_file_is_worth_a_look_after_a_commit_once_its_writer_has_let_go(file: Path) -> None:
    with watching(DuckDBTarget(file, "main"), capture(), SIGNAL) as watch:
        assert watch is not None
        first = watch.mark()
        with duckdb.connect(str(file), read_only=True) as connection:
            connection.execute("select * from builds")
        assert watch.mark() == first and watch.is_free()
        with writing(file):
            assert watch.mark() != first
            assert not watch.is_free()
        assert watch.mark() != first
        assert watch.is_free()


def test_a_file_that_is_not_there_yet_is_worth_a_look_when_it_is(tmp_path: Path) -> None:
    with watching(DuckDBTarget(tmp_path / "w.duckdb", "main"), capture(), SIGNAL) as watch:
        assert watch is not None
        first = watch.mark()
        assert first == watch.mark()
        duckdb.connect(str(tmp_path / "w.duckdb")).close()
        assert watch.mark() != first


def test_a_postgres_warehouse_is_worth_a_look_after_the_signals_own_release(postgres_server: PostgresServer) -> None:
    name = postgres_server.fresh_database("lookout")
    relations = CaptureRelations(**{**capture().__dict__, "builds": "signal_builds"})
    with closing(psycopg2.connect(postgres_server.url(name).replace("postgresql+psycopg2", "postgresql"))) as writer:
        writer.autocommit = True
        statements = writer.cursor()
        statements.execute("create table signal_builds (signal text, released_at timestamp)")
        statements.execute("insert into signal_builds values ('deal_won', null), ('other', null)")
        with watching(target_of(writer), relations, SIGNAL) as watch:
            assert watch is not None and watch.is_free()
            first = watch.mark()
            statements.execute("update signal_builds set released_at = now() where signal = 'other'")
            assert watch.mark() == first
            statements.execute("update signal_builds set released_at = now() where signal = 'deal_won'")
            assert watch.mark() != first
            statements.execute("drop table signal_builds")
            assert watch.mark() is None  # the full look says what is wrong


def target_of(connection: psycopg2.extensions.connection) -> PostgresTarget:
    at = connection.get_dsn_parameters()
    return PostgresTarget(
        at["host"], int(at["port"]), at["user"], SecretStr(connection.info.password or ""), at["dbname"], "public"
    )


def test_a_database_that_cannot_be_reached_is_not_watched() -> None:
    nowhere = PostgresTarget("127.0.0.1", 1, "loop", SecretStr(""), "loop", "public")
    with watching(nowhere, capture(), SIGNAL) as watch:
        assert watch is None


def test_a_warehouse_that_is_paid_by_the_minute_is_not_watched() -> None:
    paid = SnowflakeTarget("a", "u", SecretStr(""), None, SecretStr(""), "", "d", "w", "s")
    with watching(paid, capture(), SIGNAL) as watch:
        assert watch is None
