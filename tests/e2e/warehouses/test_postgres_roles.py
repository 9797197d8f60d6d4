"""The three roles of PostgreSQL, made by the SQL of docs/warehouses.md: each does its duty and can do no more."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest
from postgres_server import PostgresServer
from pydantic import SecretStr
from shipped_build import PROJECT
from snowflake_server import REPOSITORY, clean_environment

from dagster_project.contracts.catalog import CaptureRelations
from dagster_project.contracts.warehouse import PostgresTarget
from dagster_project.detect.warehouse_reading import WarehouseUnavailable, events_of, reading, released_builds
from dagster_project.land.connection import LandingError
from dagster_project.land.generator import GeneratedCompany, generate

COMPANY = GeneratedCompany(customers=50, products=10, as_of=datetime(2026, 11, 1, tzinfo=UTC))
CAPTURE = CaptureRelations(
    **{name: f"analytics.signal_{name}" for name in ("incarnation", "builds", "events", "state")}
)


@dataclasses.dataclass(frozen=True)
class Duties:
    """One database, and how each role reaches it."""

    administrator: PostgresTarget

    def as_role(self, duty: str) -> PostgresTarget:
        return dataclasses.replace(self.administrator, user=f"loop_{duty}", password=SecretStr(duty))

    def dbt(self, duty: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        target = self.as_role(duty)
        environment = {
            "LOOP_WAREHOUSE": "postgres", "LOOP_POSTGRES_HOST": target.host, "LOOP_POSTGRES_PORT": str(target.port),
            "LOOP_POSTGRES_USER": target.user, "LOOP_POSTGRES_PASSWORD": duty,
            "LOOP_POSTGRES_DATABASE": target.database, "DBT_PROFILES_DIR": str(PROJECT),
        }  # fmt: skip
        command = [
            str(Path(sys.executable).parent / "dbt"),
            "--no-use-colors",
            *arguments,
            "--project-dir",
            str(PROJECT),
        ]
        return subprocess.run(command, env={**clean_environment(), **environment}, capture_output=True, text=True)


def sql_of_the_page(database: str) -> str:
    """The script under the heading PostgreSQL, for this database and with passwords."""
    page = (REPOSITORY / "docs" / "warehouses.md").read_text(encoding="utf-8")
    [script] = re.findall(r"### PostgreSQL\n.*?```sql\n(.*?)```", page, re.DOTALL)
    return re.sub(r"<(\w+)>", r"\1", script).replace("database loop ", f"database {database} ")


@pytest.fixture(scope="module")
def duties(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Duties]:
    """The roles at work once: landed by the lander, built by the builder."""
    server, database = postgres_server, postgres_server.fresh_database("roles")
    administrator = PostgresTarget(
        server.host, server.port, server.user, SecretStr(server.password), database, "analytics"
    )
    made = Duties(administrator)
    run_as(administrator, sql_of_the_page(database))
    generate(made.as_role("lander"), COMPANY)
    folder = tmp_path_factory.mktemp("roles")
    where = ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    done = made.dbt("builder", "build", "--select", "+deal_won", "+do_not_contact", *where)
    assert done.returncode == 0, done.stdout[-4000:]
    yield made
    for role in ("loop_builder", "loop_lander", "loop_reader"):  # who grants before who was granted
        run_as(administrator, f"drop owned by {role} cascade")
    run_as(administrator, "drop role loop_lander, loop_builder, loop_reader")


def run_as(target: PostgresTarget, *statements: str) -> None:
    connection = psycopg2.connect(
        host=target.host, port=target.port, user=target.user, password=target.password.get_secret_value(),
        dbname=target.database,
    )  # fmt: skip
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()


def test_the_reader_reads_what_the_builder_made(duties: Duties) -> None:
    with reading(duties.as_role("reader")) as warehouse:
        [build] = released_builds(warehouse, CAPTURE, "deal_won")
        assert len(events_of(warehouse, CAPTURE, build.build_id)) == build.opened > 0


@pytest.mark.parametrize(
    ("duty", "sql"),
    [
        ("reader", "delete from analytics.signal_events"),
        ("reader", "create table analytics.mine (n int)"),
        ("reader", "select * from landing.customers"),
        ("builder", "delete from landing.customers"),
        ("builder", "drop table landing.customers"),
        ("lander", "select * from analytics.signal_events"),
    ],
)
def test_no_role_does_anothers_duty(duties: Duties, duty: str, sql: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        # what the role is kept from, not what its sessions begin with
        run_as(duties.as_role(duty), "set default_transaction_read_only = off", sql)


def test_the_reader_cannot_land_or_build(duties: Duties, tmp_path: Path) -> None:
    with pytest.raises(LandingError, match=r"permission denied|read-only"):
        generate(duties.as_role("reader"), COMPANY)
    where = ["--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path / "logs")]
    assert duties.dbt("reader", "run", "--select", "deal_won", *where).returncode != 0


def test_a_grant_that_is_missing_is_told_by_its_table(duties: Duties) -> None:
    run_as(duties.as_role("builder"), "revoke select on analytics.signal_events from loop_reader")
    try:
        with (
            pytest.raises(WarehouseUnavailable, match="permission denied for table signal_events"),
            reading(duties.as_role("reader")) as warehouse,
        ):
            events_of(warehouse, CAPTURE, "any")
    finally:
        run_as(duties.as_role("builder"), "grant select on analytics.signal_events to loop_reader")
