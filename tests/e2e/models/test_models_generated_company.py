"""Two days of the generated company through the models: the volumes that the demo needs, equal on both warehouses."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from built_warehouse import MakeWarehouse, Row, Warehouse

from dagster_project.land.generator import GeneratedCompany, generate

SIGNALS = ("customer_churn_risk", "product_low_stock", "deal_won")
ENRICHMENT = {
    "customer_contacts": "customer_id",
    "customer_owners": "customer_id",
    "customer_plans": "customer_id",
    "account_contacts": "account_id",
    "account_owners": "account_id",
    "supplier_terms": "supplier_id",
}
SEVERITIES = ("low", "medium", "high", "critical")
APPROVAL_THRESHOLD = 5_000
DAY_ONE_AT = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


@dataclass(frozen=True)
class TwoDays:
    """What a signal said on each of two days, by entity, and the rest of the warehouse after the second."""

    warehouse: Warehouse
    flagged: dict[str, tuple[dict[str, Row], dict[str, Row]]]

    def new(self, signal: str) -> dict[str, Row]:
        before, after = self.flagged[signal]
        return {entity: row for entity, row in after.items() if entity not in before}

    def gone(self, signal: str) -> set[str]:
        before, after = self.flagged[signal]
        return set(before) - set(after)

    def escalated(self, signal: str) -> set[str]:
        before, after = self.flagged[signal]
        rank = {severity: number for number, severity in enumerate(SEVERITIES)}
        return {
            entity
            for entity in set(before) & set(after)
            if rank[after[entity]["severity"]] > rank[before[entity]["severity"]]
        }


def flagged_on(warehouse: Warehouse, day: int) -> dict[str, dict[str, Row]]:
    generate(warehouse.target, GeneratedCompany(day=day, as_of=DAY_ONE_AT + timedelta(days=day - 1)))
    warehouse.build()
    return {signal: {row["entity_id"]: row for row in warehouse.rows(signal)} for signal in SIGNALS}


@pytest.fixture(scope="module")
def both(make_warehouse: MakeWarehouse) -> dict[str, TwoDays]:
    days = {}
    for kind in ("duckdb", "postgres"):
        warehouse = make_warehouse(kind)
        first, second = flagged_on(warehouse, 1), flagged_on(warehouse, 2)
        days[kind] = TwoDays(warehouse, {signal: (first[signal], second[signal]) for signal in SIGNALS})
    return days


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def days(request: pytest.FixtureRequest, both: dict[str, TwoDays]) -> TwoDays:
    return both[request.param]


def test_both_warehouses_flag_the_same_rows(both: dict[str, TwoDays]) -> None:
    assert both["duckdb"].flagged == both["postgres"].flagged
    for name in (*ENRICHMENT, "do_not_contact", "landing_accounting"):
        assert both["duckdb"].warehouse.rows(name) == both["postgres"].warehouse.rows(name)


def test_churn_lives(days: TwoDays) -> None:
    active = len(days.warehouse.rows("active_customers"))
    first, _ = days.flagged["customer_churn_risk"]
    assert 0.01 <= len(first) / active <= 0.04
    assert 5 <= len(days.new("customer_churn_risk")) <= 15
    assert len(days.escalated("customer_churn_risk")) >= 3
    assert len(days.gone("customer_churn_risk")) >= 3


def test_stock_lives(days: TwoDays) -> None:
    first, _ = days.flagged["product_low_stock"]
    assert 8 <= len(first) <= 20
    assert 3 <= len(days.new("product_low_stock")) <= 8
    assert days.escalated("product_low_stock")
    assert days.gone("product_low_stock")


def test_day_two_orders_differ_in_size_and_supplier(days: TwoDays) -> None:
    value: dict[Any, Any] = defaultdict(int)
    for row in days.new("product_low_stock").values():
        value[row["supplier_id"]] += row["order_value"] or 0
    assert 2 <= len(value) <= 4
    assert any(amount > APPROVAL_THRESHOLD for amount in value.values())
    assert any(amount <= APPROVAL_THRESHOLD for amount in value.values())


def test_deals_are_won_on_day_two_and_none_is_lost_again(days: TwoDays) -> None:
    assert 2 <= len(days.new("deal_won")) <= 10
    assert not days.gone("deal_won")
    assert 40 <= len(days.warehouse.rows("deals")) <= 100


def test_day_two_flags_someone_who_must_not_be_contacted(days: TwoDays) -> None:
    listed = {row["entity_id"] for row in days.warehouse.rows("do_not_contact", "entity_type = 'customer'")}
    assert listed & set(days.new("customer_churn_risk"))


def test_day_two_flags_names_that_look_like_code_as_they_are(days: TwoDays) -> None:
    names = {row["customer_name"] for row in days.new("customer_churn_risk").values()}
    assert "{{ 7*7 }} <b>Bold</b> & Sons" in names
    assert 'Renée "Rex" O\'Neill 🚀' in names


def test_who_has_left_is_never_flagged(days: TwoDays) -> None:
    left = {row["customer_id"] for row in days.warehouse.rows("stg_customers", "has_left")}
    assert left
    assert not left & days.warehouse.ids("customer_churn_risk")


def test_every_flagged_row_says_why_and_since_when(days: TwoDays) -> None:
    for signal in SIGNALS:
        for row in days.flagged[signal][1].values():
            assert row["reason"]
            assert row["severity"] in SEVERITIES
            assert row["observed_at"] == DAY_ONE_AT + timedelta(days=1)


def test_orders_respect_what_the_supplier_sells_at_once(days: TwoDays) -> None:
    offers = {(row["product_id"], row["supplier_id"]): row for row in days.warehouse.rows("stg_product_suppliers")}
    for row in days.warehouse.rows("product_low_stock", "supplier_id is not null"):
        offer = offers[row["entity_id"], row["supplier_id"]]
        assert offer["min_order_quantity"] <= row["order_quantity"] <= offer["max_order_quantity"]


def test_unknown_stock_is_reported_and_not_flagged(days: TwoDays) -> None:
    unknown = {row["product_id"] for row in days.warehouse.rows("products_without_stock")}
    assert unknown
    assert not unknown & days.warehouse.ids("product_low_stock")


@pytest.mark.parametrize(("model", "key"), ENRICHMENT.items())
def test_enrichment_has_one_row_an_entity(days: TwoDays, model: str, key: str) -> None:
    keys = [row[key] for row in days.warehouse.rows(model)]
    assert keys
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_companies_live_too(make_warehouse: MakeWarehouse, seed: int) -> None:
    warehouse = make_warehouse("duckdb")
    flagged = []
    for day in (29, 30):
        generate(warehouse.target, GeneratedCompany(seed=seed, day=day, as_of=DAY_ONE_AT + timedelta(days=day)))
        warehouse.build("--exclude", "resource_type:test", "resource_type:unit_test")
        flagged.append({signal: warehouse.ids(signal) for signal in SIGNALS})
    before, after = flagged
    for signal in SIGNALS:
        assert after[signal] - before[signal], signal
    assert before["customer_churn_risk"] - after["customer_churn_risk"]
    assert before["product_low_stock"] - after["product_low_stock"]
