"""What was said about somebody goes; that something was done, when, and with what outcome, stays and still adds up."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta

import pytest
from audit_guards import without_guards
from ledger_bench import DELIVERED, REJECTED, Bench, MakeBench, opened, resolved, step
from sqlalchemy import select, update

from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.ledger.controls import Person, Selection, discard
from dagster_project.ledger.erasure import Erasure, NotErased, erase_entity, erase_past
from dagster_project.ledger.schema import actions, attempts, audit, metadata
from dagster_project.ledger.work import WorkItem
from dagster_project.verify.audit_trail import TrailReport, recount

ANN = Person("ann", "asked for by the customer")
WORDS = ("Ada Lovelace", "ada@example.com")
STEPS = (step("call"), step("order", role="erp", group_by="row.supplier"))


def told(item: WorkItem) -> Outcome:
    """An answer in which the destination repeats what it was sent."""
    names = ", ".join(str(json.loads(event.row_json)["name"]) for event, _ in item.cases())
    return Outcome(Verdict.DELIVERED, external_id="ext-1", detail=f"made for {names}")


@pytest.fixture
def worked(make_bench: MakeBench) -> Bench:
    bench = make_bench(*STEPS)
    bench.take_in(
        opened("ada", name=WORDS[0], email=WORDS[1], supplier="s1"),
        opened("bob", name="Bob Bobson", email="bob@example.com", supplier="s2"),
    )
    bench.run_until_quiet(told)
    return bench


def everything(bench: Bench, tables: Iterable[str] = ()) -> str:
    """All that stands in the ledger, as one text."""
    with bench.database.reading() as connection:
        return "\n".join(
            str(tuple(row))
            for table in metadata.sorted_tables
            if not tables or table.name in tables
            for row in connection.execute(select(table))
        )


def trail(bench: Bench) -> TrailReport:
    with bench.database.reading() as connection:
        return recount(connection)


def test_nothing_that_names_the_entity_s_person_is_left(worked: Bench) -> None:
    assert all(word in everything(worked) for word in WORDS)
    erased = erase_entity(worked.database, worked.signal.name, "ada", ANN)

    assert not any(word in everything(worked) for word in WORDS)
    assert erased.events == 1
    assert erased.actions == 3  # two actions and the group of one of them
    assert erased.texts >= 3


def test_the_other_entity_keeps_all_of_its_own(worked: Bench) -> None:
    erase_entity(worked.database, worked.signal.name, "ada", ANN)

    assert "bob@example.com" in everything(worked, ("events",))
    assert worked.action("bob", "call").detail == "made for Bob Bobson"


def test_states_ids_and_counts_stay_and_everything_still_adds_up(worked: Bench) -> None:
    names = ("action_id", "state", "reason", "external_id", "attempts", "settled_at", "event_id")

    def kept() -> list[tuple[object, ...]]:
        return sorted(tuple(getattr(row, name) for name in names) for row in worked.rows(actions))

    before = kept()
    erase_entity(worked.database, worked.signal.name, "ada", ANN)

    assert kept() == before
    assert worked.broken_laws() == []
    assert trail(worked).holds


def test_the_trail_says_who_erased_what_and_why(worked: Bench) -> None:
    erase_entity(worked.database, worked.signal.name, "ada", ANN)
    rows = worked.rows(audit, verb="erased")

    assert {row.actor for row in rows} == {"ann"}
    assert {row.detail for row in rows} == {"asked for by the customer"}
    assert worked.action("ada", "call").action_id in {row.action_id for row in rows}


def test_an_erased_row_is_still_guarded(worked: Bench) -> None:
    erase_entity(worked.database, worked.signal.name, "ada", ANN)
    row = next(row for row in worked.rows(audit) if row.erased_digest is not None)
    with worked.database.writing() as connection:
        without_guards(connection)
        connection.execute(update(audit).where(audit.c.seq == row.seq).values(actor="nobody"))

    assert [(one.seq, one.what) for one in trail(worked).findings] == [(row.seq, "edited")]


def test_an_emptied_text_that_nobody_answers_for_is_found(worked: Bench) -> None:
    row = next(row for row in worked.rows(audit) if row.detail)
    with worked.database.writing() as connection:
        without_guards(connection)
        values = {"detail": "(erased)", "salt": None, "erased_digest": "0" * 64}
        connection.execute(update(audit).where(audit.c.seq == row.seq).values(**values))

    assert row.seq in [one.seq for one in trail(worked).findings]


def test_erasing_again_changes_nothing_more(worked: Bench) -> None:
    erase_entity(worked.database, worked.signal.name, "ada", ANN)
    again = erase_entity(worked.database, worked.signal.name, "ada", ANN)

    assert again.texts == 0  # the rows that tell of the first erasure keep their reason
    assert {row.detail for row in worked.rows(audit, verb="erased")} == {ANN.why}
    assert trail(worked).holds


def test_what_still_has_work_to_do_is_not_erased(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("ada", name=WORDS[0], supplier="s1"))
    bench.run_until_quiet(REJECTED)

    with pytest.raises(NotErased, match=r"1 event\(s\) of 'ada'.*loopctl discard"):
        erase_entity(bench.database, bench.signal.name, "ada", ANN)
    assert WORDS[0] in everything(bench, ("events",))
    discard(bench.database, Selection(signal=bench.signal.name), ANN)
    assert erase_entity(bench.database, bench.signal.name, "ada", ANN).events == 1


def test_somebody_whom_the_ledger_does_not_know_is_not_erased(worked: Bench) -> None:
    with pytest.raises(NotErased, match="no event of 'eve'"):
        erase_entity(worked.database, worked.signal.name, "eve", ANN)


def test_what_is_past_its_time_is_erased_and_open_work_is_counted(make_bench: MakeBench) -> None:
    bench = make_bench(*STEPS)
    bench.take_in(opened("ada", name=WORDS[0], supplier="s1"), opened("bob", name="Bob Bobson", supplier="s2"))
    bench.run_until_quiet(lambda item: REJECTED if item.event and item.event.entity_id == "bob" else DELIVERED)
    keep = timedelta(days=30)
    nothing = erase_past(bench.database, bench.signal.name, keep, ANN)
    bench.clock.step(31 * 86400)
    erased = erase_past(bench.database, bench.signal.name, keep, ANN)
    again = erase_past(bench.database, bench.signal.name, keep, ANN)

    assert nothing == Erasure()
    assert (erased.events, erased.still_open) == (1, 1)
    assert (again.events, again.still_open) == (0, 1)
    assert WORDS[0] not in everything(bench, ("events",))
    assert trail(bench).holds
    assert bench.broken_laws() == []


def test_a_later_episode_of_an_erased_entity_is_worked_on(worked: Bench) -> None:
    erase_entity(worked.database, worked.signal.name, "ada", ANN)
    worked.take_in(resolved("ada"))
    worked.take_in(opened("ada", episode=2, supplier="s1"))
    worked.run_until_quiet()

    assert worked.state("ada", "call", episode=2) == ("delivered", "")
    assert worked.broken_laws() == []
    assert trail(worked).holds


def test_attempts_keep_their_outcome_without_its_words(worked: Bench) -> None:
    erase_entity(worked.database, worked.signal.name, "ada", ANN)
    (attempt,) = worked.attempts(worked.action("ada", "call").action_id)

    assert (attempt.verdict, attempt.detail) == ("delivered", "(erased)")
    assert {row.verdict for row in worked.rows(attempts)} == {"delivered"}
