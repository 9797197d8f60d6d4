"""Flaws that a file's form does not show: the rows are refused in staging, each counted with its reason."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from built_warehouse import MakeWarehouse, Warehouse
from flawed_files import FLAWS, write_flawed_files

from dagster_project.land.accounting import read_accounting
from dagster_project.land.importer import import_files


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def warehouse(
    request: pytest.FixtureRequest, make_warehouse: MakeWarehouse, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    made = make_warehouse(request.param)
    folder: Path = tmp_path_factory.mktemp("flawed")
    import_files(made.target, write_flawed_files(folder), datetime(2026, 3, 14, tzinfo=UTC))
    made.build()
    return made


def test_each_row_is_used_or_refused_for_its_reason(warehouse: Warehouse) -> None:
    accounts = {account.table: account for account in read_accounting(warehouse.target)}
    assert all(account.is_balanced for account in accounts.values())
    for table, (used, reasons) in FLAWS.items():
        assert accounts[table].rejected_by_reason == reasons
        assert accounts[table].rows_used == used


def test_an_account_reads_as_a_sum(warehouse: Warehouse) -> None:
    (account,) = (account for account in read_accounting(warehouse.target) if account.table == "products")
    assert str(account) == (
        "products: 3 read = 1 used + 2 rejected (1 product number is empty; 1 reorder point is not a quantity)"
    )


def test_a_refused_row_is_named(warehouse: Warehouse) -> None:
    (row,) = warehouse.rows("rejected_rows", "reason = 'the supplier is not known'")
    assert (row["landing_table"], row["line_number"], row["row_key"]) == ("product_suppliers", 4, "1 / 9999")


def test_the_signals_still_build_on_what_is_sound(warehouse: Warehouse) -> None:
    assert warehouse.ids("deal_won") == {"AAA"}
    assert warehouse.ids("product_low_stock") == {"1"}
    (low,) = warehouse.rows("product_low_stock")
    assert low["stock_on_hand"] == 732
