"""The do-not-contact list by command: what a sensor and a pass say of it, and how a person ends it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import select
from unit.cli.calling import Loopctl
from unit.contracts.prepared_project import prepared_project

from dagster_project.cli.ticking import detect_all
from dagster_project.contracts.roles import Role
from dagster_project.ledger.access import create_token, set_person
from dagster_project.ledger.contacts import refresh_do_not_contact
from dagster_project.ledger.database import Database, open_database
from dagster_project.ledger.intake import bind_incarnation
from dagster_project.ledger.schema import do_not_contact
from dagster_project.runtime import LedgerDesk, surroundings

LISTED_AT = datetime(2026, 3, 2, tzinfo=UTC)
NAMES = [f"c{number:02}" for number in range(25)]
WITHOUT_ANYBODY = """
create schema analytics;
create table analytics.signal_incarnation as select 'w1' as incarnation_id;
create table analytics.signal_builds (build_id text, signal text, build_no bigint, status text, is_baseline boolean,
  code_version text, criteria_version text, data_as_of timestamp, population bigint, flagged bigint, opened bigint,
  escalated bigint, resolved bigint, captured_at timestamp, released_at timestamp, held_reason text);
create table analytics.do_not_contact (entity_type text, entity_id text, reason text, since_at timestamptz);
"""


@pytest.fixture
def ledger(prepared_loopctl: Loopctl, tmp_path: Path) -> Iterator[Database]:
    """A ledger with a list, beside a warehouse whose list has lost everybody."""
    file = prepared_project().settings.duckdb_file
    with duckdb.connect(str(file)) as warehouse:
        warehouse.execute(WITHOUT_ANYBODY)
    database = open_database(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    bind_incarnation(database, "w1")
    refresh_do_not_contact(database, [("customer", name, "asked us", LISTED_AT) for name in NAMES])
    yield database
    database.close()
    file.unlink()


def listed(database: Database) -> list[str]:
    with database.reading() as connection:
        return sorted(connection.execute(select(do_not_contact.c.entity_id)).scalars())


def test_a_sensor_and_a_pass_say_that_the_list_is_in_doubt(ledger: Database) -> None:
    (news,) = LedgerDesk().catch_up("deal_won")
    assert news.startswith("do-not-contact list: the warehouse's list lost 25 of its 25 entries at once")
    said: list[str] = []
    detect_all(surroundings(), said.append)
    assert said.count(news) == 1
    assert listed(ledger) == NAMES


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_who_would_come_off_is_shown_and_stays_without_a_yes(
    prepared_loopctl: Loopctl, ledger: Database, answer: str
) -> None:
    done = prepared_loopctl("contacts", "accept", "--why", "a new list", input=answer)
    assert done.exit_code == 1
    assert "customer c00" in done.output and "and 5 more" in done.output and "these 25 off the list" in done.output
    assert listed(ledger) == NAMES


def test_a_person_takes_them_off(prepared_loopctl: Loopctl, ledger: Database) -> None:
    accept = ("contacts", "accept", "--why", "a new list")
    done = prepared_loopctl(*accept, "--yes")
    assert (done.exit_code, listed(ledger)) == (0, []), done.output
    assert "25 entries were taken off" in done.output
    assert "lacks nobody" in prepared_loopctl(*accept).output
    assert list(LedgerDesk().catch_up("deal_won")) == []


@pytest.mark.parametrize(
    ("role", "owners", "is_allowed"),
    [(Role.OPERATOR, (), False), (Role.APPROVER, ("team:sales",), False), (Role.APPROVER, (), True)],
)
def test_it_takes_an_approver_of_everything(
    prepared_loopctl: Loopctl,
    ledger: Database,
    environment: pytest.MonkeyPatch,
    role: Role,
    owners: tuple[str, ...],
    is_allowed: bool,
) -> None:
    set_person(ledger, "root", [Role.ADMIN], (), "test")
    set_person(ledger, "vera", [role], owners, "root")
    environment.setenv("LOOP_ACCESS_TOKEN", create_token(ledger, "vera", "", timedelta(days=1), "root"))
    done = prepared_loopctl("contacts", "accept", "--why", "a new list", "--yes")
    assert done.exit_code == (0 if is_allowed else 1), done.output
    assert listed(ledger) == ([] if is_allowed else NAMES)
