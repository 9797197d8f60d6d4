"""The page on the suite lists what is played and nothing else."""

from __future__ import annotations

import inspect

import pytest
import test_http_fault_matrix as matrix
import test_tryton_contract
from contract_report import (
    CALLS,
    DELIVERY,
    DIFFERENCES,
    MAIL,
    RACE,
    Table,
    committed_report,
    is_writing,
    together,
    variant_in,
    with_tables,
)
from fault_cases import CASES
from hypothesis import given
from hypothesis import strategies as st
from test_ledger_deliveries import BATCH_CASES, PLAYED
from test_smtp_faults import CASES as MAIL_CASES
from test_tryton_comparison import WHY_IT_MAY_DIFFER
from vendor_kits import HTTP_KITS

from dagster_project.respond.destinations.registry import discover

pytestmark = pytest.mark.skipif(is_writing(), reason="this run writes the page")


def listed(table: Table) -> list[tuple[str, ...]]:
    return sorted(committed_report()[table.name])


def test_the_calls_table_has_every_case_and_every_destination() -> None:
    more = [*matrix.BEFORE_THE_EFFECT, *matrix.TLS_FAILURES, *matrix.NO_CONNECTION, "nothing is wrong"]
    names = [case.name for case in CASES] + more + [f"the address `{one}`" for one in matrix.NO_ADDRESSES]
    assert listed(CALLS) == sorted((name,) for name in names)
    assert CALLS.columns[1:] == tuple(sorted(HTTP_KITS))
    rows = committed_report()["calls"]
    without_preparation = {(name,) for name in matrix.BEFORE_THE_EFFECT}  # slack and webhook call nothing before it
    assert {key for key, row in rows.items() if "-" in row} == without_preparation


def test_the_mail_table_has_every_case() -> None:
    assert len(listed(MAIL)) == len(MAIL_CASES)


def test_the_delivery_table_has_every_destination_and_case() -> None:
    played = [(kit.name, kit.title, case.name) for kit, case in PLAYED]
    batches = [("hubspot", "upsert_contact", name) for name, *_ in BATCH_CASES]
    assert listed(DELIVERY) == sorted([*played, *batches])
    assert {destination for destination, *_ in listed(DELIVERY)} == set(discover())


def test_the_tryton_table_has_every_test_against_both_servers() -> None:
    tests = [name for name, _ in inspect.getmembers(test_tryton_contract, inspect.isfunction) if name[:5] == "test_"]
    titles = {name.removeprefix("test_").replace("_", " ") for name in tests}
    rows = committed_report()["tryton"]
    assert {title for title in titles if not any(key[0].startswith(title) for key in rows)} == set()
    assert {key for key in rows if not any(key[0].startswith(title) for title in titles)} == set()
    assert set(rows.values()) == {("yes", "yes")}


def test_the_differences_are_those_that_the_comparison_allows() -> None:
    assert listed(DIFFERENCES) == sorted((name,) for name in WHY_IT_MAY_DIFFER)


def test_the_races_are_listed() -> None:
    assert len(listed(RACE)) == 3


names = st.text("abcdefgh_", min_size=1, max_size=8)
values = st.sampled_from(["delivered", "unknown server_error → held", "retry refused (destination) → waiting"])


@given(st.dictionaries(names, values, min_size=1, max_size=6))
def test_a_cell_gives_back_what_every_variant_said(variants: dict[str, str]) -> None:
    cell = together(variants)
    assert {name: variant_in(cell, name) for name in variants} == variants


def test_writing_the_tables_twice_changes_nothing() -> None:
    from contract_report import PAGE

    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text, committed_report()) == text
