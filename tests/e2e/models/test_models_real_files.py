"""The real files through import and models, and the fit that the shipped scorecard came from."""

from __future__ import annotations

import csv
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from built_warehouse import PROJECT, MakeWarehouse, Warehouse

from dagster_project.land.accounting import read_accounting
from dagster_project.land.churn_fit import fit_churn_scorecard, is_held_out
from dagster_project.land.importer import import_files

BELOW_REORDER_POINT = {"386", "462", "853", "859", "876", "882", "910"}
SHIPPED_SEED = PROJECT / "seeds" / "churn_scorecard.csv"


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def warehouse(request: pytest.FixtureRequest, make_warehouse: MakeWarehouse, real_data: Path) -> Warehouse:
    made = make_warehouse(request.param)
    import_files(made.target, real_data, datetime(2026, 3, 14, tzinfo=UTC))
    made.build()
    return made


def test_every_row_of_every_file_is_accounted_for(warehouse: Warehouse, real_data: Path) -> None:
    accounts = {account.table: account for account in read_accounting(warehouse.target)}
    for file, table in (
        ("telco_customers", "customers"),
        ("crm_opportunities", "opportunities"),
        ("inventory_products", "products"),
        ("inventory_levels", "stock_levels"),
        ("inventory_vendors", "suppliers"),
        ("inventory_product_vendors", "product_suppliers"),
    ):
        with (real_data / f"{file}.csv").open(encoding="utf-8", newline="") as lines:
            in_file = sum(1 for _ in csv.DictReader(lines))
        assert accounts[table].rows_read == in_file
        assert accounts[table].is_balanced


def test_products_below_their_reorder_point_are_all_flagged(warehouse: Warehouse) -> None:
    assert warehouse.ids("product_low_stock") >= BELOW_REORDER_POINT


def test_all_won_deals_are_there_once(warehouse: Warehouse) -> None:
    assert len(warehouse.rows("deal_won")) == len(warehouse.ids("deal_won")) == 4_238


def test_nobody_who_left_is_flagged_and_some_who_stayed_are(warehouse: Warehouse, real_data: Path) -> None:
    with (real_data / "telco_customers.csv").open(encoding="utf-8", newline="") as lines:
        left = {row["customer_id"] for row in csv.DictReader(lines) if row["churn"] == "Yes"}
    assert len(left) == 1_869
    flagged = warehouse.ids("customer_churn_risk")
    assert len(flagged) >= 10
    assert not flagged & left


def test_the_shipped_scorecard_is_the_fit_of_the_real_file(warehouse: Warehouse, tmp_path: Path) -> None:
    seed = shutil.copy(SHIPPED_SEED, tmp_path / "churn_scorecard.csv")
    report = fit_churn_scorecard(warehouse.target, seed)
    assert not report.is_new_version
    assert seed.read_bytes() == SHIPPED_SEED.read_bytes()
    assert report.held_out_auc >= 0.83
    assert report.active_flagged == len(warehouse.ids("customer_churn_risk"))
    assert report.precision is not None
    assert report.precision.low > report.base_rate  # flagged customers leave more often than any, beyond chance


def test_scores_in_the_warehouse_are_those_that_were_judged(warehouse: Warehouse, tmp_path: Path) -> None:
    from dagster_project.land.churn_fit import read_features, read_seed, score

    features, customers = read_features(warehouse.target)
    coefficients = {row.feature: row.coefficient for row in read_seed(SHIPPED_SEED)}
    scored = {row["customer_id"]: row["score"] for row in warehouse.rows("customer_churn_scores")}
    assert len(scored) == sum(not customer.has_left for customer in customers)
    for customer in customers:
        if not customer.has_left:
            assert scored[customer.customer_id] == pytest.approx(score(features, coefficients, customer), abs=1e-6)


def test_one_in_five_is_held_out(warehouse: Warehouse) -> None:
    ids = [row["customer_id"] for row in warehouse.rows("customer_churn_features")]
    assert sum(map(is_held_out, ids)) / len(ids) == pytest.approx(0.2, abs=0.02)
