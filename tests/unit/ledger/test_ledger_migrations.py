"""The migrations lead to the schema that the code believes in, and a ledger that cannot be used is refused in words."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from postgres_server import PostgresServer
from sqlalchemy import BigInteger, Boolean, Connection, Integer, String, Table, Text, create_engine, inspect, text
from sqlalchemy.exc import OperationalError

from dagster_project.ledger import database as database_module
from dagster_project.ledger.database import (
    NEWEST_VERSION,
    VERSION_TABLE,
    Database,
    LedgerTooNew,
    LedgerUnavailable,
    open_database,
    utc_now,
)
from dagster_project.ledger.row_counts import read_counts, recount
from dagster_project.ledger.schema import Moment, actions, builds, events, facts, metadata

MIGRATIONS = Path(database_module.__file__).parent / "migrations" / "versions"


@pytest.fixture(params=["sqlite", "postgres"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a ledger that does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'ledger.sqlite'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.url(server.fresh_database("migrations"))


@pytest.fixture
def plain_url(request: pytest.FixtureRequest, new_url: str, tmp_path: Path) -> str:
    """A second empty database of the same kind."""
    if new_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'plain.sqlite'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.url(server.fresh_database("plain"))


def columns_of(connection: Connection) -> set[tuple[str, ...]]:
    inspector = inspect(connection)
    return {
        (table, column["name"], str(column["type"]), str(column["nullable"]))
        for table in inspector.get_table_names()
        if table != VERSION_TABLE
        for column in inspector.get_columns(table)
    }


def keys_and_indexes_of(connection: Connection) -> set[str]:
    """Every index with its expressions and condition as the database itself words them, and every key."""
    if connection.dialect.name == "postgresql":
        found = connection.execute(text("select indexdef from pg_indexes where schemaname = 'public'")).scalars()
        words = set(found)
    else:
        found = connection.execute(text("select sql from sqlite_master where type = 'index' and sql is not null"))
        words = set(found.scalars())
    inspector = inspect(connection)
    for table in inspector.get_table_names():
        words.add(f"{table} key {inspector.get_pk_constraint(table)['constrained_columns']}")
        words |= {f"{table} unique {sorted(one['column_names'])}" for one in inspector.get_unique_constraints(table)}
    return {re.sub(r"\s+", " ", one) for one in words if VERSION_TABLE not in one}


def described(url: str) -> Iterator[set[object]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        yield set(columns_of(connection))
        yield set(keys_and_indexes_of(connection))
    engine.dispose()


def test_the_newest_migration_leads_to_the_schema_of_the_code(new_url: str, plain_url: str) -> None:
    open_database(new_url).close()
    plain = create_engine(plain_url)
    metadata.create_all(plain)
    plain.dispose()

    for migrated, declared in zip(described(new_url), described(plain_url), strict=True):
        assert migrated == declared


def test_the_newest_version_is_the_newest_file_s() -> None:
    newest = max(MIGRATIONS.glob("[0-9]*.py"))

    assert newest.name.split("_")[0] == NEWEST_VERSION
    assert f'revision = "{NEWEST_VERSION}"' in newest.read_text(encoding="utf-8")


def test_opening_again_keeps_what_is_there(new_url: str) -> None:
    first = open_database(new_url)
    with first.writing() as connection:
        connection.execute(facts.insert(), {"name": "x", "value": "y"})
    first.close()
    second = open_database(new_url)
    with second.reading() as connection:
        assert connection.execute(facts.select()).all() == [("x", "y")]
    second.close()


def test_a_ledger_of_newer_code_is_refused_and_left_as_it_is(new_url: str) -> None:
    database = open_database(new_url)
    with database.writing() as connection:
        connection.execute(text(f"update {VERSION_TABLE} set version_num = '9999'"))

    with pytest.raises(LedgerTooNew, match=r"version 9999.*Update the code, or restore the ledger's backup"):
        open_database(new_url)
    with database.reading() as connection:
        assert connection.execute(text(f"select version_num from {VERSION_TABLE}")).scalar_one() == "9999"
    database.close()


def test_many_threads_that_open_a_new_ledger_at_once_all_get_it(new_url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda _: open_database(new_url), range(6)))
    for database in opened:
        with database.reading() as connection:
            assert connection.execute(facts.select()).all() == []
        database.close()


def test_many_processes_that_open_a_new_ledger_at_once_all_get_it(new_url: str) -> None:
    program = "import sys; from dagster_project.ledger.database import open_database; open_database(sys.argv[1])"
    command = [sys.executable, "-c", program, new_url]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    told = [process.communicate()[1] for process in started]

    assert [process.returncode for process in started] == [0] * 4, "\n".join(told)


@pytest.mark.parametrize("obstacle", ["a file where its folder should be", "a folder in its place"])
def test_a_ledger_that_cannot_be_made_is_refused_in_words(tmp_path: Path, obstacle: str) -> None:
    path = tmp_path / "taken" / "ledger.sqlite"
    if obstacle == "a folder in its place":
        path.mkdir(parents=True)
    else:
        path.parent.write_text("not a folder")

    with pytest.raises(LedgerUnavailable, match=r"cannot be opened: .*Nothing was sent\. Check LOOP_LEDGER_URL"):
        open_database(f"sqlite:///{path}")


def test_a_file_that_is_no_ledger_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_text("this is a note, not a database; " * 200)

    with pytest.raises(LedgerUnavailable, match="Nothing was sent"):
        open_database(f"sqlite:///{path}")


def test_a_server_that_does_not_answer_is_refused_without_its_password() -> None:
    with pytest.raises(LedgerUnavailable, match="cannot be opened") as refused:
        open_database("postgresql+psycopg2://loop:hunter2@127.0.0.1:1/ledger?connect_timeout=2")

    assert "hunter2" not in str(refused.value)


def test_a_moment_without_a_time_zone_is_refused(database: Database) -> None:
    naive = database.now().replace(tzinfo=None)
    entry = {"at": naive, "actor": "x", "verb": "x", "reason": "", "detail": ""}

    with pytest.raises(Exception, match="has no time zone"), database.writing() as connection:
        connection.execute(metadata.tables["audit"].insert(), entry)


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(KeyboardInterrupt), database.writing() as connection:
        connection.execute(facts.insert(), {"name": "x", "value": "y"})
        raise KeyboardInterrupt

    with database.reading() as connection:
        assert connection.execute(facts.select()).all() == []


def test_a_reading_sees_one_moment(database: Database) -> None:
    with database.reading() as connection:
        assert connection.execute(facts.select()).all() == []
        with database.writing() as other:
            other.execute(facts.insert(), {"name": "x", "value": "y"})
        assert connection.execute(facts.select()).all() == []


def test_a_ledger_named_by_a_uri_makes_no_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ledger.sqlite"
    open_database(f"sqlite:///{file}").close()
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    read_only = open_database(f"sqlite:///file:{file}?mode=ro&uri=true")
    with pytest.raises(OperationalError, match="readonly"), read_only.writing() as connection:
        connection.exec_driver_sql("delete from pauses")
    read_only.close()
    assert [one.name for one in sorted(tmp_path.iterdir()) if one.is_dir()] == [
        one.name for one in before if one.is_dir()
    ]


def migrate_to(database: Database, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS.parent))
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)


def test_the_counts_begin_with_what_is_there(new_url: str) -> None:
    open_folder_of(new_url)
    before = Database(new_url)
    migrate_to(before, "0004")
    with before.writing() as connection:
        connection.execute(builds.insert(), [row_of(builds, build_id=f"b{n}", build_no=n) for n in range(3)])
        connection.execute(events.insert(), [row_of(events, event_id=f"e{n}", kind="opened") for n in range(5)])
        states = [("waiting", ""), ("dead", "refused"), ("dead", "refused"), ("delivered", "")]
        rows = [row_of(actions, action_id=f"a{n}", state=s, reason=r) for n, (s, r) in enumerate(states)]
        connection.execute(actions.insert(), [*rows, row_of(actions, action_id="g", is_group=True, state="waiting")])
    before.close()

    after = open_database(new_url)
    with after.reading() as connection:
        kept, found = read_counts(connection), recount(connection)
    after.close()

    assert kept == found
    assert sorted(found.values()) == [1, 1, 1, 2, 3, 5]


def open_folder_of(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True)


def row_of(table: Table, **values: object) -> dict[str, object]:
    """A row with something harmless in every column that must have a value."""
    harmless = {String: "x", Text: "x", BigInteger: 1, Integer: 1, Boolean: False, Moment: utc_now()}
    needed = {
        column.name: harmless[type(column.type)]
        for column in table.columns
        if not column.nullable and column.server_default is None
    }
    without_reason = {"reason": ""} if "reason" in table.c else {}
    return needed | without_reason | values
