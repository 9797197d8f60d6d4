"""Two transactions at once on PostgreSQL: whichever commits first, nothing is lost and nothing goes twice."""

from __future__ import annotations

import pytest
from interleaving import interleaved
from ledger_bench import DELIVERED, FAILED, REJECTED, Bench, Clock, opened, resolved, signal_of, step
from sqlalchemy import select

from dagster_project.contracts.destination import Outcome, ReasonFor, Verdict
from dagster_project.contracts.playbook import Step
from dagster_project.ledger.blame import Answer
from dagster_project.ledger.contacts import refresh_do_not_contact
from dagster_project.ledger.controls import Person, Selection, approve, pause, reject, replay
from dagster_project.ledger.database import Database
from dagster_project.ledger.destination_state import CircuitPolicy, news_from, record_news
from dagster_project.ledger.schema import audit, destinations, pauses

ADA = Person("ada", "seen")


def bench_over(database: Database, clock: Clock, *steps: Step, **spec: object) -> Bench:
    return Bench(database, clock, signal_of(*steps, **spec))


def on(bench: Bench, database: Database) -> Bench:
    """The same bench through another connection."""
    other = Bench(database, bench.clock, bench.signal)
    other.next_build_no = bench.next_build_no
    return other


def test_an_event_that_arrives_while_the_one_before_it_settles_is_not_forgotten(
    postgres: Database, clock: Clock
) -> None:
    bench = bench_over(postgres, clock, step("call"), step("close", on=("resolved",)))
    bench.take_in(opened("a"))
    held = bench.claim()
    intents = bench.begin(held)

    interleaved(postgres, lambda: bench.take_in(resolved("a")), lambda other: on(bench, other).settle(held, intents))
    bench.run_until_quiet()

    assert bench.state("a", "close", "resolved") == ("delivered", "")


def test_an_outcome_that_is_settled_while_a_later_event_arrives_lets_that_event_go(
    postgres: Database, clock: Clock
) -> None:
    bench = bench_over(postgres, clock, step("call"), step("close", on=("resolved",)))
    bench.take_in(opened("a"))
    held = bench.claim()
    intents = bench.begin(held)

    interleaved(postgres, lambda: bench.settle(held, intents), lambda other: on(bench, other).take_in(resolved("a")))
    bench.run_until_quiet()

    assert bench.state("a", "close", "resolved") == ("delivered", "")
    assert bench.broken_laws() == []


def test_two_needs_of_one_step_that_are_settled_at_once_let_it_go(postgres: Database, clock: Clock) -> None:
    bench = bench_over(
        postgres, clock, step("join"), step("ask", role="desk"), step("tell", role="chat", needs=("join", "ask"))
    )
    bench.take_in(opened("a"))
    first = bench.claim()
    asked = bench.begin(first, "ask")
    bench.settle(first, bench.begin(first, "join"), FAILED)
    clock.step(60)
    second = bench.claim(run="run-2")
    joined = bench.begin(second, "join")

    interleaved(postgres, lambda: bench.settle(first, asked), lambda other: on(bench, other).settle(second, joined))

    assert bench.action("a", "tell").is_ready


def test_two_groups_that_are_settled_at_once_let_the_group_that_needs_both_go(postgres: Database, clock: Clock) -> None:
    bench = bench_over(
        postgres,
        clock,
        step("order", role="erp", group_by="row.supplier"),
        step("tell", role="chat", needs=("order",), group_by="row.region"),
    )
    bench.take_in(opened("a", supplier="s", region="n"), opened("b", supplier="t", region="n"))
    first, second = bench.claim(limit=1), bench.claim(limit=1, run="run-2")
    ordered, also_ordered = bench.begin(first, "order"), bench.begin(second, "order")
    assert len(ordered) == len(also_ordered) == 1

    interleaved(
        postgres, lambda: bench.settle(first, ordered), lambda other: on(bench, other).settle(second, also_ordered)
    )

    assert bench.group("tell").is_ready


def test_a_call_that_begins_while_its_episode_ends_is_known_as_under_way(postgres: Database, clock: Clock) -> None:
    bench = bench_over(postgres, clock, step("call"), step("close", on=("resolved",), follows="call"))
    bench.take_in(opened("a"))
    held = bench.claim()
    items = bench.ready(held)
    bench.render(held, items)

    intents, _ = interleaved(
        postgres,
        lambda: bench.intend(held, [item.action_id for item in items]),
        lambda other: on(bench, other).take_in(resolved("a")),
    )
    bench.settle(held, intents, DELIVERED)
    bench.run_until_quiet()

    assert len(intents) == 1
    assert bench.state("a", "call") == ("delivered", "")
    assert bench.state("a", "close", "resolved") == ("delivered", "")


def test_an_episode_that_ends_while_its_call_is_about_to_begin_keeps_it_back(postgres: Database, clock: Clock) -> None:
    bench = bench_over(postgres, clock, step("call"))
    bench.take_in(opened("a"))
    held = bench.claim()
    items = bench.ready(held)
    bench.render(held, items)

    _, intents = interleaved(
        postgres,
        lambda: bench.take_in(resolved("a")),
        lambda other: on(bench, other).intend(held, [item.action_id for item in items]),
    )

    assert intents == []
    assert bench.state("a", "call") == ("suppressed", "superseded")


def test_a_group_that_is_sealed_while_a_member_resolves_says_the_same_as_its_request(
    postgres: Database, clock: Clock
) -> None:
    bench = bench_over(postgres, clock, step("order", role="erp", group_by="row.supplier"))
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    held = bench.claim()
    items = bench.ready(held)

    interleaved(postgres, lambda: bench.render(held, items), lambda other: on(bench, other).take_in(resolved("a")))

    assert [bench.state(name, "order") for name in "ab"] == [("waiting", "")] * 2


def test_two_people_who_decide_at_once_leave_one_unbroken_story(postgres: Database, clock: Clock) -> None:
    bench = bench_over(postgres, clock, step("call"), guards={"opened": {"count": 0}})
    bench.take_in(opened("a"))
    choice = Selection(reason="volume_guard")

    approved, rejected = interleaved(
        postgres, lambda: approve(postgres, choice, ADA), lambda other: reject(other, choice, Person("bob", "no"))
    )

    assert (approved, rejected) == (1, 0)
    assert bench.broken_laws() == []


def test_two_people_who_replay_at_once_replay_once(postgres: Database, clock: Clock) -> None:
    bench = bench_over(postgres, clock, step("call"))
    bench.take_in(opened("a"))
    bench.run(REJECTED)
    choice = Selection(reason="invalid_request")

    interleaved(postgres, lambda: replay(postgres, choice, ADA), lambda other: replay(other, choice, ADA))

    assert bench.verbs(bench.action("a", "call").action_id).count("replayed") == 1
    assert bench.broken_laws() == []


def test_two_runs_that_learn_of_a_destination_at_once_both_record_it(postgres: Database) -> None:
    policy = CircuitPolicy(opens_after=2, base_seconds=30.0, cap_seconds=60.0)
    down = news_from([Answer([Outcome(Verdict.RETRY, ReasonFor.UNREACHABLE.value, scope="destination")], fresh=1)])

    interleaved(
        postgres,
        lambda: record_news(postgres, "hubspot", down, policy),
        lambda other: record_news(other, "hubspot", down, policy),
    )

    with postgres.reading() as connection:
        (known,) = connection.execute(select(destinations)).all()
    assert known.failures == 2, "neither run's news was lost"
    assert known.open_until is not None


def test_two_runs_whose_credentials_are_refused_at_once_pause_the_destination_once(postgres: Database) -> None:
    policy = CircuitPolicy(opens_after=2, base_seconds=30.0, cap_seconds=60.0)
    refused = news_from([Answer([Outcome(Verdict.RETRY, ReasonFor.UNAUTHORIZED.value, scope="destination")], fresh=1)])

    interleaved(
        postgres,
        lambda: record_news(postgres, "hubspot", refused, policy),
        lambda other: record_news(other, "hubspot", refused, policy),
    )

    with postgres.reading() as connection:
        assert connection.execute(select(pauses.c.subject)).scalars().all() == ["destination:hubspot"]
        told = connection.execute(select(audit.c.verb).where(audit.c.verb == "paused")).scalars().all()
    assert told == ["paused"]


def test_two_sensors_that_read_the_same_list_at_once_both_go_on(postgres: Database, clock: Clock) -> None:
    listed = [("customer", "a", "asked us", clock())]

    both = interleaved(
        postgres,
        lambda: refresh_do_not_contact(postgres, listed),
        lambda other: refresh_do_not_contact(other, listed),
    )

    assert both == (1, 0)


def test_two_people_who_pause_at_once_pause_once(postgres: Database) -> None:
    both = interleaved(postgres, lambda: pause(postgres, "all", ADA), lambda other: pause(other, "all", ADA))

    assert both == (True, False)


@pytest.mark.parametrize("limit", [1, 2])
def test_two_claims_at_once_share_nothing(postgres: Database, clock: Clock, limit: int) -> None:
    bench = bench_over(postgres, clock, step("join"), step("ask", role="desk"))
    bench.take_in(opened("a"), opened("b"))

    first, second = interleaved(
        postgres, lambda: bench.claim(limit=limit), lambda other: on(bench, other).claim(limit=limit, run="run-2")
    )

    mine, yours = ({item.action_id for item in bench.ready(one)} for one in (first, second))
    assert mine & yours == set()
    assert len(mine | yours) == 4
