"""A ledger from before the chain is sealed as it stands when it is opened by this code."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from audit_guards import without_guards
from postgres_server import PostgresServer
from sqlalchemy import text

import dagster_project.ledger
from dagster_project.ledger.database import Database, open_database
from dagster_project.verify.audit_trail import recount

ROWS = 1203  # more than the migration seals at once


@pytest.fixture(params=["sqlite", "postgres"])
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'old.sqlite'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.url(server.fresh_database("old"))


def write_old_ledger(url: str) -> None:
    database = Database(url)
    config = Config()
    config.set_main_option("script_location", str(Path(dagster_project.ledger.__file__ or "").parent / "migrations"))
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        rows = [
            {
                "at": datetime(2026, 1, 5, 8, 0, number % 60, tzinfo=UTC).replace(tzinfo=None),
                "signal": (None, "deal_won", "customer_churn_risk")[number % 3],
                "detail": "" if number % 2 else f"of row {number}",
            }
            for number in range(ROWS)
        ]
        columns = "insert into audit (at, actor, verb, signal, reason, detail)"
        connection.execute(text(f"{columns} values (:at, 'loop', 'said', :signal, '', :detail)"), rows)
    database.close()


def test_earlier_rows_are_sealed_and_a_later_change_of_them_is_found(old_url: str) -> None:
    write_old_ledger(old_url)
    database = open_database(old_url)
    with database.reading() as connection:
        before = recount(connection)
    with database.writing() as connection:
        without_guards(connection)
        connection.execute(text("update audit set detail = 'of another row' where seq = 1001"))
    with database.reading() as connection:
        after = recount(connection)
    database.close()

    assert before.holds
    assert before.rows == ROWS
    assert [(one.seq, one.what) for one in after.findings] == [(1001, "edited")]
