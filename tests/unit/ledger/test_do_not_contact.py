"""Do-not-contact against work that was tried before: nobody listed is reached, whoever approved it."""

from __future__ import annotations

import pytest
from ledger_bench import (
    DELIVERED,
    FAILED,
    UNKNOWN,
    Bench,
    Clock,
    MakeBench,
    opened,
    rendering_of,
    step,
)
from sqlalchemy import select

from dagster_project.contracts.destination import Outcome
from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.catching_up import refresh_do_not_contact
from dagster_project.ledger.claims import release
from dagster_project.ledger.controls import Person, Selection, approve, mark_done, reject
from dagster_project.ledger.intents import Rendering
from dagster_project.ledger.schema import actions, requests
from dagster_project.ledger.transitions import Transition, apply_transitions
from dagster_project.ledger.work import WorkItem

ADA = Person("ada", "asked us")
HELD = Selection(reason="do_not_contact")
ORDER = step("order", group_by="row.supplier")


def listed(bench: Bench, *entities: str) -> None:
    """Whom the list names beside somebody of no interest, for a list that loses everybody is not believed."""
    rows = [("customer", entity, "asked us", bench.clock()) for entity in ("somebody else", *entities)]
    refresh_do_not_contact(bench.database, rows)


def tried(make_bench: MakeBench, clock: Clock, answer: Outcome) -> Bench:
    """A group of two that was tried once, and is due again."""
    bench = make_bench(ORDER)
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    bench.run(answer)
    clock.step(4000)
    return bench


def sent_by(bench: Bench) -> list[str]:
    """The stored requests that go out until nothing is due."""
    sent: list[str] = []

    def answer(item: WorkItem) -> Outcome:
        sent.extend(row.arguments_json for row in bench.rows(requests, action_id=item.action_id))
        return DELIVERED

    bench.run_until_quiet(answer)
    return sent


def all_states(bench: Bench) -> set[tuple[str, str]]:
    return {(row.state, row.reason) for row in bench.rows()}


def test_a_group_that_may_have_happened_is_not_sent_to_who_was_listed_since(
    make_bench: MakeBench, clock: Clock
) -> None:
    bench = tried(make_bench, clock, UNKNOWN)
    listed(bench, "a")

    assert sent_by(bench) == []
    assert all_states(bench) == {("held", "do_not_contact")}, "the listed member too: it may have been reached"
    assert approve(bench.database, HELD, ADA) == 0
    assert approve(bench.database, Selection(ids=(bench.action("b", "order").action_id,)), ADA) == 0
    assert sent_by(bench) == []
    assert bench.broken_laws() == []


def test_a_group_that_has_surely_not_happened_goes_out_without_who_was_listed(
    make_bench: MakeBench, clock: Clock
) -> None:
    bench = tried(make_bench, clock, FAILED)
    listed(bench, "a")

    assert sent_by(bench) == ['{"about": ["b"]}']
    assert bench.state("a", "order") == ("suppressed", "do_not_contact")
    assert bench.state("b", "order") == ("delivered", "")
    assert bench.broken_laws() == []


def test_a_group_whose_members_are_all_listed_is_over(make_bench: MakeBench, clock: Clock) -> None:
    bench = tried(make_bench, clock, FAILED)
    listed(bench, "a", "b")

    assert sent_by(bench) == []
    assert all_states(bench) == {("suppressed", "do_not_contact"), ("suppressed", "no_members")}
    assert bench.broken_laws() == []


def test_what_was_approved_is_not_what_is_rendered_anew(make_bench: MakeBench) -> None:
    bench = make_bench(ORDER)
    bench.take_in(opened("a", supplier="s"), opened("b", supplier="s"))
    held = bench.claim()
    (item,) = bench.ready(held)
    shown = rendering_of(item)
    bench.store(held, [Rendering(item.action_id, shown.arguments_json, "needs_approval", "", True, shown.member_ids)])
    release(bench.database, held)
    approve(bench.database, Selection(reason="needs_approval"), ADA)
    listed(bench, "a")
    bench.run()

    assert (bench.group("order").state, bench.group("order").is_approved) == ("waiting", False)
    assert bench.rows(requests) == []
    assert bench.action("b", "order").is_approved is False


@pytest.mark.parametrize("is_group", [False, True], ids=["single", "group"])
def test_every_way_out_of_being_held_for_a_listed_contact_works(
    make_bench: MakeBench, clock: Clock, is_group: bool
) -> None:
    def held() -> Bench:
        bench = make_bench(ORDER if is_group else step("order"))
        entities = [opened(f"{way}{name}", supplier=way) for way in ("done", "gone", "back") for name in "ab"]
        bench.take_in(*entities)
        bench.run(UNKNOWN)
        clock.step(4000)
        listed(bench, *(happening.entity for happening in entities))
        bench.run()
        return bench

    def chosen(way: str) -> Selection:
        return Selection(ids=tuple(bench.action(f"{way}{name}", "order").action_id for name in "ab"))

    bench = held()
    count = 1 if is_group else 2
    assert all_states(bench) == {("held", "do_not_contact")}

    assert approve(bench.database, HELD, ADA) == 0
    assert mark_done(bench.database, chosen("done"), ADA) == count
    assert reject(bench.database, chosen("gone"), ADA) == count
    listed(bench, "backa")
    assert approve(bench.database, chosen("back"), ADA) == (0 if is_group else 1), "one of the two is listed still"
    listed(bench)
    assert approve(bench.database, chosen("back"), ADA) == 1
    assert len(sent_by(bench)) == count

    assert bench.state("doneb", "order") == ("delivered", "marked_done")
    assert bench.state("goneb", "order") == ("suppressed", "rejected")
    assert bench.state("backb", "order") == bench.state("backa", "order") == ("delivered", "")
    assert bench.broken_laws() == []


def test_a_member_that_left_its_sealed_group_is_still_named_by_the_request(make_bench: MakeBench, clock: Clock) -> None:
    """So an earlier version left ledgers: the listed member suppressed by itself, the rest held and then approved."""
    bench = tried(make_bench, clock, UNKNOWN)
    listed(bench, "a")

    def leave(connection: object) -> None:
        row = connection.execute(select(actions).where(actions.c.entity_id == "a")).one()  # type: ignore[attr-defined]
        left = Transition.of(row, ActionState.SUPPRESSED, "suppressed", "do_not_contact")
        apply_transitions(connection, [left], "loop", clock())  # type: ignore[arg-type]

    bench.database.write(leave)

    assert sent_by(bench) == []
    assert (bench.group("order").state, bench.group("order").reason) == ("held", "do_not_contact")
    assert approve(bench.database, HELD, ADA) == 0
