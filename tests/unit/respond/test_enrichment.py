"""What is looked up: once for each key, from the warehouse, a destination, or the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest
from unit.respond.work_samples import event, post, version_of

from dagster_project.contracts.catalog import CatalogModel, Column
from dagster_project.contracts.destination import Destination, LookupFailed
from dagster_project.contracts.event import SignalEvent
from dagster_project.contracts.playbook import Playbook
from dagster_project.contracts.warehouse import DuckDBTarget
from dagster_project.detect.warehouse_reading import WarehouseUnavailable
from dagster_project.respond.enrichment import Enriched, enrich, keys_wanted

MODELS = {
    "plans": CatalogModel(
        name="plans", relation="plans", columns={"id": Column(type="text"), "fee": Column(type="int")}
    )
}
ENRICH = {
    "plan": {"model": "plans", "key": "id", "by": "row.plan_id"},
    "open": {"role": "erp", "lookup": "open_purchase_lines"},
    "before": {"ledger": "tell"},
}


class Erp:
    """Answers lookups, and remembers what it was asked."""

    lookups = frozenset({"open_purchase_lines"})

    def __init__(self, is_down: bool = False) -> None:
        self.asked: list[tuple[str, list[str]]] = []
        self.is_down = is_down

    async def look_up(self, lookup: str, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        if self.is_down:
            raise LookupFailed("tryton", lookup, "unreachable")
        self.asked.append((lookup, list(keys)))
        return {keys[0]: {"quantity": 4}}


@pytest.fixture
def target(tmp_path: Path) -> DuckDBTarget:
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table plans as select * from (values ('p1', 10), ('p2', 20)) t (id, fee)")
    return DuckDBTarget(file, "main")


def playbook(**enrichments: Any) -> Playbook:
    return version_of(post(), enrich=enrichments or ENRICH).playbook


def look_up(
    target: DuckDBTarget, erp: Erp, events: Sequence[SignalEvent], enriched: Enriched, book: Playbook | None = None
) -> list[tuple[str, str, list[str]]]:
    asked: list[tuple[str, str, list[str]]] = []

    def earlier(signal: str, step: str, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        asked.append((signal, step, list(keys)))
        return {key: {"open": 1} for key in keys}

    destinations = {"erp": cast(Destination, erp)}
    asyncio.run(enrich(book or playbook(), events, enriched, target, MODELS, destinations, earlier))
    return asked


def test_each_source_answers_for_its_own_keys(target: DuckDBTarget) -> None:
    erp, enriched = Erp(), Enriched()
    events = [event("b", plan_id="p1"), event("a", plan_id="p1"), event("c", plan_id="p9"), event("d")]
    asked = look_up(target, erp, events, enriched)
    assert enriched.rows["plan"] == {"p1": {"id": "p1", "fee": 10}}
    assert erp.asked == [("open_purchase_lines", ["a", "b", "c", "d"])]
    assert asked == [("customer_churn_risk", "tell", ["a", "b", "c", "d"])]
    plan = playbook().enrich["plan"]
    assert [enriched.row_for("plan", plan, e) for e in events] == [{"id": "p1", "fee": 10}] * 2 + [None, None]


def test_nothing_is_asked_twice_not_even_what_was_not_found(target: DuckDBTarget) -> None:
    erp, enriched = Erp(), Enriched()
    look_up(target, erp, [event("a", plan_id="p9")], enriched)
    assert keys_wanted(playbook(), [event("a", plan_id="p9")], enriched) == {}
    asked = look_up(target, erp, [event("a", plan_id="p9"), event("b", plan_id="p2")], enriched)
    assert erp.asked == [("open_purchase_lines", ["a"]), ("open_purchase_lines", ["b"])]
    assert asked == [("customer_churn_risk", "tell", ["b"])]
    assert set(enriched.rows["plan"]) == {"p2"}


def test_an_optional_row_has_null_in_every_column(target: DuckDBTarget) -> None:
    book = playbook(plan={"model": "plans", "key": "id", "by": "row.plan_id", "is_optional": True})
    enriched = Enriched()
    look_up(target, Erp(), [event("a", plan_id="p9"), event("b", plan_id="p1")], enriched, book)
    assert enriched.rows["plan"] == {"p9": {"id": None, "fee": None}, "p1": {"id": "p1", "fee": 10}}


def test_a_number_and_its_text_are_one_key(target: DuckDBTarget) -> None:
    book = playbook(open={"role": "erp", "lookup": "open_purchase_lines", "by": "row.sku"})
    assert keys_wanted(book, [event("a", sku=7), event("b", sku="7")], Enriched()) == {"open": ["7"]}


def test_what_cannot_be_looked_up_now_is_told_and_asked_again(target: DuckDBTarget, tmp_path: Path) -> None:
    enriched = Enriched()
    with pytest.raises(LookupFailed, match="the work stays waiting"):
        look_up(target, Erp(is_down=True), [event("a")], enriched)
    assert "open" in keys_wanted(playbook(), [event("a")], enriched)
    with pytest.raises(WarehouseUnavailable):
        look_up(DuckDBTarget(tmp_path / "none.duckdb", "main"), Erp(), [event("a", plan_id="p1")], enriched)
    assert keys_wanted(playbook(), [event("a", plan_id="p1")], enriched)["plan"] == ["p1"]
