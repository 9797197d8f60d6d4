"""What is learnt about a destination as a whole: circuit, Retry-After, refused credentials."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ledger_bench import Clock, MakeBench, opened
from sqlalchemy import select

from dagster_project.contracts.destination import Outcome, ReasonFor, Verdict
from dagster_project.ledger.blame import Answer
from dagster_project.ledger.database import Database
from dagster_project.ledger.destination_state import CircuitPolicy, DestinationNews, news_from, on_trial, record_news
from dagster_project.ledger.gates import blocked_destinations
from dagster_project.ledger.schema import audit, destinations, pauses

POLICY = CircuitPolicy(opens_after=3, base_seconds=30.0, cap_seconds=120.0)
GOOD = Outcome(Verdict.DELIVERED)
DOWN = Outcome(Verdict.RETRY, ReasonFor.UNREACHABLE.value, "connection refused", scope="destination")
LIMITED = Outcome(Verdict.RETRY, ReasonFor.RATE_LIMITED.value, retry_after=40.0, scope="destination")
REFUSED = Outcome(Verdict.RETRY, ReasonFor.UNAUTHORIZED.value, "401", scope="destination")


def tell(database: Database, *outcomes: Outcome) -> None:
    record_news(database, "hubspot", news_from([Answer([outcome], fresh=1) for outcome in outcomes]), POLICY)


def blocked(database: Database) -> bool:
    with database.reading() as connection:
        return "hubspot" in blocked_destinations(connection, database.now())


def verbs(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(select(audit.c.verb).order_by(audit.c.seq)).scalars())


def test_the_circuit_opens_after_so_many_failures_in_a_row_and_no_sooner(database: Database, clock: Clock) -> None:
    tell(database, DOWN, DOWN, GOOD, DOWN)
    tell(database, DOWN)
    assert not blocked(database)
    tell(database, DOWN)

    assert blocked(database)
    clock.step(30)
    assert not blocked(database)
    assert verbs(database) == ["circuit_opened"]


def test_one_failure_after_the_circuit_s_time_opens_it_again_and_a_success_closes_it(
    database: Database, clock: Clock
) -> None:
    tell(database, DOWN, DOWN, DOWN)
    clock.step(30)
    tell(database, DOWN)
    assert blocked(database)
    clock.step(30)
    tell(database, GOOD)
    assert not blocked(database)
    tell(database, DOWN, DOWN)

    assert not blocked(database)
    assert verbs(database) == ["circuit_opened", "circuit_closed"]


@pytest.mark.parametrize(("failures", "seconds"), [(3, 30), (5, 30), (6, 60), (9, 120), (30, 120), (10_000, 120)])
def test_the_circuit_stays_open_longer_the_longer_it_fails(failures: int, seconds: float) -> None:
    assert POLICY.open_for(failures) == seconds


def test_a_limit_or_a_rejected_row_opens_no_circuit(database: Database) -> None:
    rejected = Outcome(Verdict.REJECTED, ReasonFor.INVALID_REQUEST.value)
    tell(database, *[LIMITED] * 10)
    tell(database, *[rejected] * 10)

    with database.reading() as connection:
        assert connection.execute(select(destinations.c.failures, destinations.c.open_until)).all() == [(0, None)]


def test_a_failure_that_lies_with_one_row_opens_no_circuit() -> None:
    row_only = Outcome(Verdict.RETRY, ReasonFor.SERVER_ERROR.value, scope="action")

    assert news_from([Answer([row_only], fresh=0)] * 10).failures == 0
    assert news_from([Answer([GOOD], fresh=1), *[Answer([row_only], fresh=1)] * 10]).failures == 0


def test_calls_that_fail_side_by_side_are_one_look_at_the_destination(database: Database, clock: Clock) -> None:
    tell(database, *[DOWN] * 32)

    clock.step(30)
    assert not blocked(database)


def test_a_destination_is_on_trial_from_its_circuit_s_opening_to_its_next_answer(
    database: Database, clock: Clock
) -> None:
    tell(database, DOWN, DOWN)
    assert not on_trial(database, {"hubspot"}, POLICY)
    tell(database, DOWN)
    clock.step(3_000)
    assert on_trial(database, {"hubspot", "slack"}, POLICY) == {"hubspot"}
    tell(database, GOOD)

    assert not on_trial(database, {"hubspot"}, POLICY)


def test_the_longest_wait_that_was_asked_for_holds_for_the_destination(database: Database, clock: Clock) -> None:
    shorter = Outcome(Verdict.RETRY, ReasonFor.RATE_LIMITED.value, retry_after=5.0, scope="destination")
    tell(database, LIMITED, shorter)

    clock.step(39)
    assert blocked(database)
    clock.step(1)
    assert not blocked(database)


@pytest.mark.parametrize(
    "later",
    [GOOD, DOWN, Outcome(Verdict.RETRY, ReasonFor.RATE_LIMITED.value, retry_after=1.0, scope="destination")],
    ids=["success", "failure", "shorter"],
)
def test_a_wait_that_was_asked_for_outlasts_what_another_run_reports(
    database: Database, clock: Clock, later: Outcome
) -> None:
    tell(database, LIMITED)
    tell(database, later)

    clock.step(39)
    assert blocked(database)


def test_refused_credentials_pause_the_destination_once(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    tell(bench.database, REFUSED, REFUSED)
    tell(bench.database, REFUSED)
    clock.step(86_400)

    (row,) = bench.rows(pauses)
    assert (row.subject, row.by) == ("destination:hubspot", "loop")
    assert "loopctl resume destination:hubspot" in row.why
    assert verbs(bench.database).count("paused") == 1
    assert bench.claim().count == 0


def test_a_healthy_destination_leaves_no_trace(database: Database) -> None:
    tell(database, GOOD, GOOD)
    record_news(database, "hubspot", DestinationNews(), POLICY)

    with database.reading() as connection:
        assert connection.execute(select(destinations)).all() == []


def test_the_moment_of_the_change_is_the_ledger_s(database: Database, clock: Clock) -> None:
    tell(database, LIMITED)

    with database.reading() as connection:
        row = connection.execute(select(destinations)).one()
    assert (row.changed_at, row.not_before) == (clock(), clock() + timedelta(seconds=40))
