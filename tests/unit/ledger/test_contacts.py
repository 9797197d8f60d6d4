"""Nobody comes off the do-not-contact list because the list is not there, or has lost its entries at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_bench import START, Bench, MakeBench, opened, step

from dagster_project.contracts.catalog import CaptureRelations, Catalog, CatalogModel
from dagster_project.contracts.warehouse import DuckDBTarget
from dagster_project.ledger.catching_up import catch_up, read_contacts
from dagster_project.ledger.contacts import (
    LEAST_DOUBTED,
    Doubt,
    Listed,
    accept_missing,
    change_of,
    doubt_in_words,
    entries_lacking,
    is_doubtful,
    refresh_do_not_contact,
)
from dagster_project.ledger.controls import Person
from dagster_project.ledger.intake import WrongWarehouse
from dagster_project.ledger.schema import audit, do_not_contact
from dagster_project.verify.alerting import CONTACTS_IN_DOUBT, ledger_conditions

ADA = Person("ada", "they asked us to")
EMPTY_WAREHOUSE = """
create table i as select '{incarnation}' as incarnation_id;
create table b (build_id text, signal text, build_no bigint, status text, is_baseline boolean, code_version text,
  criteria_version text, data_as_of timestamp, population bigint, flagged bigint, opened bigint, escalated bigint,
  resolved bigint, captured_at timestamp, released_at timestamp, held_reason text);
create table d (entity_type text, entity_id text, reason text, since_at timestamptz);
"""


def listing(*ids: str) -> list[Listed]:
    return [("customer", one, "asked us", START) for one in ids]


def many(count: int) -> list[Listed]:
    return listing(*(f"c{number:04}" for number in range(count)))


class Warehouse:
    """A real file without any build, whose list a test writes."""

    def __init__(self, folder: Path, incarnation: str = "w1") -> None:
        self.target = DuckDBTarget(folder / f"{incarnation}.duckdb", "main")
        with duckdb.connect(str(self.target.path)) as connection:
            connection.execute(EMPTY_WAREHOUSE.format(incarnation=incarnation))

    def lists(self, listed: Sequence[Listed]) -> None:
        with duckdb.connect(str(self.target.path)) as connection:
            connection.execute("delete from d")
            connection.execute(
                "insert into d select 'customer', unnest(?::text[]), 'asked us', ?::timestamptz",
                [[entity_id for _, entity_id, _, _ in listed], START],
            )


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def catalog_of(bench: Bench, has_model: bool = True) -> Catalog:
    model = CatalogModel(name="do_not_contact", relation="d", columns={})
    return Catalog(
        sources_hash="",
        warehouse="duckdb",
        capture=CaptureRelations(incarnation="i", builds="b", events="e", state="s"),
        signals={bench.signal.name: bench.signal},
        models={"do_not_contact": model} if has_model else {},
    )


def look(bench: Bench, warehouse: Warehouse, has_model: bool = True) -> None:
    """What a sensor does: catches up with the warehouse, with or without a model of the list in the project."""
    catch_up(bench.database, warehouse.target, catalog_of(bench, has_model), bench.signal.name, {}, 1000)


def told(bench: Bench, has_model: bool = True) -> str | None:
    """What the sensor's tick says, which has to be what people are alerted to."""
    with bench.database.reading() as connection:
        found = doubt_in_words(connection, has_model)
    conditions = ledger_conditions(bench.database, catalog_of(bench, has_model))
    assert [one.summary for one in conditions if one.kind == CONTACTS_IN_DOUBT] == ([found] if found else [])
    return found


def count_of(bench: Bench) -> int:
    return len(bench.rows(do_not_contact))


def test_a_list_whose_model_is_gone_is_kept_and_told(make_bench: MakeBench, warehouse: Warehouse) -> None:
    bench = make_bench(step("call"))
    warehouse.lists(listing("a"))
    look(bench, warehouse)
    assert told(bench) is None

    look(bench, warehouse, has_model=False)  # it is disabled, or renamed
    bench.take_in(opened("a"))

    assert bench.state("a", "call") == ("suppressed", "do_not_contact")
    assert bench.rows(audit, verb="unlisted") == []
    assert "no model do_not_contact any more" in (told(bench, has_model=False) or "")
    look(bench, warehouse)
    assert told(bench) is None


def test_a_ledger_that_never_had_a_list_and_a_project_without_one_say_nothing(
    make_bench: MakeBench, warehouse: Warehouse
) -> None:
    bench = make_bench(step("call"))
    look(bench, warehouse, has_model=False)
    assert told(bench, has_model=False) is None
    look(bench, warehouse)
    assert told(bench) is None


@pytest.mark.parametrize(("before", "after"), [(500, 0), (1, 0), (20, 9)])
def test_a_list_that_has_lost_its_entries_at_once_is_kept_until_they_come_back(
    make_bench: MakeBench, warehouse: Warehouse, before: int, after: int
) -> None:
    bench = make_bench(step("call"))
    warehouse.lists(many(before))
    look(bench, warehouse)
    warehouse.lists([*many(after), *listing("new")])
    for _ in range(2):
        look(bench, warehouse)
        assert count_of(bench) == before + 1, "who is new is listed all the same"
        assert f"lost {before - after:,} of its {before:,} entries at once" in (told(bench) or "")

    warehouse.lists([*many(before), *listing("new")])
    look(bench, warehouse)
    assert count_of(bench) == before + 1
    assert told(bench) is None


@pytest.mark.parametrize(("before", "after"), [(2, 1), (20, 10)])
def test_a_list_from_which_some_are_taken_is_believed(
    make_bench: MakeBench, warehouse: Warehouse, before: int, after: int
) -> None:
    bench = make_bench(step("call"))
    warehouse.lists(many(before))
    look(bench, warehouse)
    warehouse.lists(many(after))
    look(bench, warehouse)
    assert count_of(bench) == after
    assert told(bench) is None


def test_what_a_list_gains_later_does_not_make_its_loss_believed(make_bench: MakeBench, warehouse: Warehouse) -> None:
    bench = make_bench(step("call"))
    warehouse.lists(many(20))
    look(bench, warehouse)
    gained = listing(*(f"n{number}" for number in range(50)))
    for some in ([], gained):
        warehouse.lists(some)
        look(bench, warehouse)
    assert count_of(bench) == 70
    assert told(bench) is not None


def test_a_person_takes_off_whom_they_have_seen_and_nobody_else(make_bench: MakeBench, warehouse: Warehouse) -> None:
    bench = make_bench(step("call"))
    warehouse.lists(many(20))
    look(bench, warehouse)
    warehouse.lists([])
    look(bench, warehouse)
    lacking = entries_lacking(bench.database, read_contacts(bench.database, warehouse.target, catalog_of(bench)))
    refresh_do_not_contact(bench.database, listing("while-asked"))  # the person thinks about it

    assert accept_missing(bench.database, lacking, ADA) == 20
    assert [row.entity_id for row in bench.rows(do_not_contact)] == ["while-asked"]
    assert told(bench) is None
    entries = bench.rows(audit, verb="unlisted")
    assert len(entries) == 20
    assert (entries[0].actor, entries[0].detail) == ("ada", "customer c0000: they asked us to")


def test_a_list_whose_model_is_gone_on_purpose_is_ended_by_a_person(
    make_bench: MakeBench, warehouse: Warehouse
) -> None:
    bench = make_bench(step("call"))
    warehouse.lists(many(3))
    look(bench, warehouse)
    without = catalog_of(bench, has_model=False)
    lacking = entries_lacking(bench.database, read_contacts(bench.database, warehouse.target, without))
    assert accept_missing(bench.database, lacking, ADA) == 3
    assert told(bench, has_model=False) is None


def test_the_list_of_another_warehouse_is_not_looked_at(
    make_bench: MakeBench, warehouse: Warehouse, tmp_path: Path
) -> None:
    bench = make_bench(step("call"))
    look(bench, warehouse)
    with pytest.raises(WrongWarehouse):
        read_contacts(bench.database, Warehouse(tmp_path, "w2").target, catalog_of(bench))


@pytest.mark.parametrize(
    ("entries", "missing", "is_doubted"),
    [(0, 0, False), (1, 1, True), (3, 3, True), (10, 9, False), (19, 10, True), (20, 10, False), (500, 251, True)],
)
def test_all_of_a_list_or_most_of_more_than_a_few_is_doubted(entries: int, missing: int, is_doubted: bool) -> None:
    assert is_doubtful(missing, entries) is is_doubted


ENTRIES = st.sets(st.integers(0, 40).map(lambda number: ("customer", f"c{number}")))


@given(known=ENTRIES, wanted=st.lists(ENTRIES, min_size=1, max_size=5))
def test_whatever_lists_come_nobody_new_is_missed_and_no_great_loss_is_believed(
    known: set[tuple[str, str]], wanted: list[set[tuple[str, str]]]
) -> None:
    doubt: Doubt | None = None
    for one in wanted:
        change = change_of(known, one, doubt)
        after = (known | set(change.added)) - set(change.removed)
        assert one <= after
        assert set(change.removed) <= known - one
        if change.doubt is None:
            assert after == one
            assert not is_doubtful(len(change.removed), len(known))
            assert len(change.removed) < LEAST_DOUBTED or 2 * len(change.removed) <= len(known)
        else:
            assert not change.removed
            assert change.doubt.missing == len(known - one)
        known, doubt = after, change.doubt
