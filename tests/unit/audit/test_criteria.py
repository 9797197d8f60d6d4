"""A threshold changes by two people, holds from the next build on, and can be taken back."""

from __future__ import annotations

import json

import pytest
from ledger_bench import MakeBench

from dagster_project.ledger.controls import Person
from dagster_project.ledger.criteria import (
    CriteriaRefused,
    Drift,
    accept,
    checked,
    drifts,
    in_force,
    propose,
    refuse,
    roll_back,
    versions,
    words_in_force,
)
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import audit
from dagster_project.verify.audit_trail import recount

ANN, BOB = Person("ann", "too many calls"), Person("bob", "agreed")
NAME = "churn_threshold"
DEFAULTS = {NAME: 0.85, "default_currency": "EUR", "assumed_lead_time_days": 14}


def held(database: Database) -> dict[str, tuple[int, object]]:
    with database.reading() as connection:
        return dict(in_force(connection))


def test_a_proposal_changes_nothing_until_another_person_accepts_it(database: Database) -> None:
    number = propose(database, NAME, 0.8, {"customer_churn_risk": "3 would enter"}, ANN)
    assert held(database) == {}
    with pytest.raises(CriteriaRefused, match="four eyes"):
        accept(database, NAME, number, Person("Ann", "myself"))
    assert held(database) == {}
    accept(database, NAME, number, BOB)

    assert held(database) == {NAME: (1, 0.8)}
    with database.reading() as connection:
        (row,) = versions(connection, NAME)
        assert json.loads(row.preview_json) == {"customer_churn_risk": "3 would enter"}
        assert (row.proposed_by, row.why, row.decided_by, row.decided_why) == ("ann", ANN.why, "bob", BOB.why)


def test_a_decided_version_is_not_decided_again(database: Database) -> None:
    number = propose(database, NAME, 0.8, {}, ANN)
    refuse(database, NAME, number, ANN)

    with pytest.raises(CriteriaRefused, match="it is refused"):
        accept(database, NAME, number, BOB)
    with pytest.raises(CriteriaRefused, match="there is none"):
        accept(database, NAME, 9, BOB)
    assert held(database) == {}


def test_a_rollback_brings_the_version_before_and_then_the_default(database: Database) -> None:
    for value in (0.8, 0.9):
        accept(database, NAME, propose(database, NAME, value, {}, ANN), BOB)
    assert held(database) == {NAME: (2, 0.9)}

    assert roll_back(database, NAME, BOB) == 0.8
    assert held(database) == {NAME: (1, 0.8)}
    assert roll_back(database, NAME, BOB) is None
    assert held(database) == {}
    with pytest.raises(CriteriaRefused, match="default holds"):
        roll_back(database, NAME, BOB)


def test_drift_from_the_repository_is_told(database: Database) -> None:
    for name, value in ((NAME, 0.8), ("assumed_lead_time_days", 14), ("gone_since", 1)):
        accept(database, name, propose(database, name, value, {}, ANN), BOB)
    with database.reading() as connection:
        found = drifts(connection, DEFAULTS)

    assert found == [Drift(NAME, 0.85, 0.8, 1), Drift("gone_since", None, 1, 1)]


def test_every_step_is_in_the_trail_and_the_trail_holds(make_bench: MakeBench) -> None:
    bench = make_bench()
    accept(bench.database, NAME, propose(bench.database, NAME, 0.8, {}, ANN), BOB)
    roll_back(bench.database, NAME, BOB)
    verbs = [(row.actor, row.verb) for row in sorted(bench.rows(audit, reason=NAME), key=lambda row: row.seq)]

    assert verbs == [("ann", "criteria_proposed"), ("bob", "criteria_accepted"), ("bob", "criteria_rolled_back")]
    with bench.database.reading() as connection:
        assert recount(connection).holds


def test_dbt_is_told_what_is_in_force_and_nothing_else(database: Database) -> None:
    address = database.engine.url.render_as_string(hide_password=False)
    assert words_in_force(address) == []
    accept(database, NAME, propose(database, NAME, 0.8, {}, ANN), BOB)
    propose(database, NAME, 0.1, {}, ANN)

    assert words_in_force(address) == ["--vars", '{"churn_threshold": 0.8}']


@pytest.mark.parametrize(
    ("name", "value", "is_taken"),
    [
        (NAME, 0.9, True),
        (NAME, 1, True),
        (NAME, "0.9", False),
        (NAME, True, False),
        ("default_currency", "USD", True),
        ("default_currency", 3, False),
        ("landing_schema", "x", False),
    ],
)
def test_only_thresholds_of_the_repository_and_values_of_their_kind_are_taken(
    name: str, value: object, is_taken: bool
) -> None:
    if is_taken:
        assert checked(name, value, DEFAULTS) == value
    else:
        with pytest.raises(CriteriaRefused):
            checked(name, value, DEFAULTS)
