"""Thresholds, spot checks, erasure and looks at personal data by command: the same rules as in the console."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from unit.cli.calling import Loopctl
from unit.verify.small_ledger import SIGNAL, SmallLedger

from dagster_project.contracts.roles import Role
from dagster_project.ledger.access import create_token, set_person
from dagster_project.ledger.controls import Person
from dagster_project.ledger.criteria import propose, values_in_force
from dagster_project.ledger.schema import audit, events

Become = Callable[..., None]
THRESHOLD = "churn_threshold"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SmallLedger]:
    """The ledger that the commands work on, opened beside them."""
    small = SmallLedger(tmp_path)
    small.now = datetime.now(UTC)  # the commands have no other clock
    yield small
    small.database.close()


@pytest.fixture
def someone(ledger: SmallLedger, environment: pytest.MonkeyPatch) -> Become:
    """Makes the commands those of a person of some roles."""

    def become(name: str, *roles: Role) -> None:
        set_person(ledger.database, "root", [Role.ADMIN], (), "test")
        set_person(ledger.database, name, roles, (), "root")
        environment.setenv("LOOP_ACCESS_TOKEN", create_token(ledger.database, name, "", timedelta(days=1), "root"))

    return become


def entries(ledger: SmallLedger, verb: str) -> list[tuple[str, str | None, str]]:
    with ledger.database.reading() as connection:
        query = select(audit.c.actor, audit.c.signal, audit.c.detail).where(audit.c.verb == verb).order_by(audit.c.seq)
        return [(row.actor, row.signal, row.detail) for row in connection.execute(query)]


def test_what_a_role_may_not_is_refused_and_audited(
    prepared_loopctl: Loopctl, ledger: SmallLedger, someone: Become
) -> None:
    ledger.build(1, "c1")
    someone("vera", Role.VIEWER)
    why = ("--why", "mine")
    for words, right in (
        (("criteria", "propose", THRESHOLD, "0.8", *why), "edit criteria"),
        (("criteria", "accept", THRESHOLD, "1", *why), "approve"),
        (("criteria", "refuse", THRESHOLD, "1", *why), "reject"),
        (("criteria", "rollback", THRESHOLD, *why), "approve"),
        (("erase", "c1", "--signal", SIGNAL, "--yes", *why), "erase"),
        (("audit", "note", "s1", "a1", "match", *why), "check samples"),
        (("explain", "c1", "--show-personal-data"), "see personal data"),
        (("held", "--show-personal-data"), "see personal data"),
    ):
        done = prepared_loopctl(*words)
        assert (done.exit_code, f"{right} needs one of" in done.output) == (1, True), f"{words}: {done.output}"
    assert [actor for actor, _, _ in entries(ledger, "refused")] == ["vera"] * 8
    with ledger.database.reading() as connection:
        assert connection.execute(select(events.c.row_json)).scalar_one() != '{"erased": true}'


def test_nobody_accepts_by_command_what_they_proposed(
    prepared_loopctl: Loopctl, ledger: SmallLedger, someone: Become
) -> None:
    number = propose(ledger.database, THRESHOLD, 0.8, {}, Person("ada", "more"))
    accept = ("criteria", "accept", THRESHOLD, str(number), "--why", "yes")
    someone("ada", Role.EDITOR, Role.APPROVER)
    done = prepared_loopctl(*accept)
    assert (done.exit_code, "four eyes" in done.output) == (1, True)
    assert [actor for actor, _, _ in entries(ledger, "refused")] == ["ada"]
    assert values_in_force(ledger.database) == {}
    someone("bob", Role.APPROVER)
    assert prepared_loopctl(*accept).exit_code == 0
    assert values_in_force(ledger.database) == {THRESHOLD: 0.8}
    listed = prepared_loopctl("criteria", "list", THRESHOLD).output
    assert "0.8 by version 1; the repository says 0.85" in listed and "proposed by ada" in listed
    assert "repository's default, 0.85" in prepared_loopctl("criteria", "rollback", THRESHOLD, "--why", "no").output


def test_a_look_at_personal_data_is_an_entry(prepared_loopctl: Loopctl, ledger: SmallLedger, someone: Become) -> None:
    ledger.build(1, "c0", customer_name="Ada Lovelace")
    ledger.build(2, "c1", customer_name="Ada Lovelace")
    someone("abe", Role.APPROVER)
    assert "Ada Lovelace" not in prepared_loopctl("explain", "c1").output
    assert entries(ledger, "looked") == []
    assert "Ada Lovelace" in prepared_loopctl("explain", "c1", "--show-personal-data").output
    steps = len(entries(ledger, "looked"))
    assert steps > 0 and set(entries(ledger, "looked")) == {("abe", SIGNAL, "loopctl explain")}
    prepared_loopctl("explain", "c0", "--show-personal-data")
    assert len(entries(ledger, "looked")) == steps + 1, "a row without any action is a look too"


def test_validate_says_what_is_in_force_and_fits_no_more(prepared_loopctl: Loopctl, ledger: SmallLedger) -> None:
    from dagster_project.ledger.criteria import accept

    accept(ledger.database, "gone", propose(ledger.database, "gone", 3, {}, Person("ada", "x")), Person("bob", "y"))
    done = prepared_loopctl("validate")
    assert done.exit_code == 1
    assert "vars.gone: gone = 3 is in force" in done.output and "loopctl criteria rollback gone" in done.output
