"""A ledger of the first version, with data in it, is brought forward and goes on: nothing lost, nothing twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from ledger_bench import DELIVERED, Bench, Clock, opened, resolved, signal_of, step
from postgres_server import PostgresServer
from sqlalchemy import inspect, text

import dagster_project.ledger
from dagster_project.ledger.controls import Person, resume
from dagster_project.ledger.database import Database, open_database
from dagster_project.ledger.schema import audit
from dagster_project.verify.audit_trail import recount

DUMP = Path(__file__).parent / "upgrades" / "ledger_at_0001.sql"
MIGRATIONS = Path(dagster_project.ledger.__file__ or "").parent / "migrations"
ADA = Person("ada", "after the upgrade")
SIGNAL = signal_of(
    step("join"),
    step("order", role="erp", group_by="row.supplier"),
    step("tell", role="chat", needs=("join",)),
    step("close", on=("resolved",), follows="join"),
    guards={"opened": {"count": 4}},
)


@pytest.fixture(params=["sqlite", "postgres"])
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'old.sqlite'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.fresh_database("old_ledger"))
    write_ledger_at(url, "0001")
    return url


def write_ledger_at(url: str, version: str) -> None:
    """The ledger as it was: 0001 had shorter names of facts, and 0002 was without paces at first."""
    database = Database(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        if database.is_postgres:
            connection.execute(text("alter table facts alter column name type varchar(64)"))
        if version != "0001":
            connection.execute(text("drop table paces"))
        lines = DUMP.read_text(encoding="utf-8").splitlines()
        for line in (line for line in lines if line.startswith("insert")):
            connection.exec_driver_sql(line.rstrip(";"))
        if database.is_postgres:
            for table, column in (("audit", "seq"), ("attempts", "attempt_id")):
                of_table = f"pg_get_serial_sequence('{table}', '{column}')"
                connection.execute(text(f"select setval({of_table}, (select max({column}) from {table}))"))
    database.close()


def opened_by_this_code(url: str) -> Bench:
    """The ledger brought forward, its clock an hour after the last thing that it knows."""
    clock = Clock()
    database = open_database(url, clock)
    with database.reading() as connection:
        clock.now = max(row.at for row in connection.execute(audit.select())) + timedelta(hours=1)
    return Bench(database, clock, SIGNAL)


def test_its_laws_hold_and_its_trail_is_sealed_as_it_stands(old_url: str) -> None:
    bench = opened_by_this_code(old_url)
    database = bench.database
    assert bench.broken_laws() == []
    assert {row.state for row in bench.rows()} == {"delivered", "suppressed", "dead", "held", "waiting"}
    with database.reading() as connection:
        report = recount(connection)
    assert report.holds and report.rows == len(bench.rows(audit))
    database.close()


def test_it_goes_on_where_it_stood(old_url: str) -> None:
    bench = opened_by_this_code(old_url)
    database = bench.database
    bench.next_build_no = 6
    done = {row.action_id: len(bench.attempts(row.action_id)) for row in bench.rows(state="delivered")}
    resume(database, "destination:slack", ADA)
    bench.take_in(opened("f", supplier="s6"), resolved("b", supplier="s1"))
    bench.run_until_quiet(DELIVERED)
    bench.clock.step(600)
    bench.run_until_quiet(DELIVERED)
    assert bench.state("f", "tell") == ("delivered", "")
    assert bench.state("e", "join") == ("delivered", ""), "the dead run's intent was settled and sent again"
    assert {key: len(bench.attempts(key)) for key in done} == done
    assert bench.broken_laws() == []
    with database.reading() as connection:
        assert recount(connection).holds
    database.close()


def test_a_ledger_of_the_first_0002_gets_what_it_was_made_without(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'second.sqlite'}"
    write_ledger_at(url, "0002")
    database = open_database(url)
    assert inspect(database.engine).has_table("paces")
    database.close()
