"""The loop on real files that nobody made up for it."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from loop_driver import Loop, running_loop

REPOSITORY = Path(__file__).resolve().parents[3]
REAL_DATA = Path(os.environ.get("LOOP_REAL_DATA", REPOSITORY.parent / "shared" / "data"))

pytestmark = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real files are not here; LOOP_REAL_DATA names them")


@pytest.fixture(scope="module")
def real_loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    with running_loop(tmp_path_factory.mktemp("real") / "state") as loop:
        loop.loopctl("land", "--from", str(REAL_DATA))
        loop.loopctl("tick")
        yield loop


def _rows(name: str) -> list[dict[str, str]]:
    with (REAL_DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_products_below_their_reorder_point_are_flagged(real_loop: Loop) -> None:
    stock: dict[str, int] = {}
    for level in _rows("inventory_levels.csv"):
        stock[level["product_id"]] = stock.get(level["product_id"], 0) + int(level["quantity"])
    points = {product["product_id"]: int(product["reorder_point"]) for product in _rows("inventory_products.csv")}
    below = {product for product, quantity in stock.items() if quantity < points[product]}
    flagged = {row[0] for row in real_loop.warehouse_rows("select entity_id from analytics.product_low_stock")}
    assert len(below) == 7
    assert below <= flagged


def test_nobody_who_has_left_is_flagged_and_enough_who_have_not_are(real_loop: Loop) -> None:
    left = {row["customer_id"] for row in _rows("telco_customers.csv") if row["churn"] == "Yes"}
    flagged = {row[0] for row in real_loop.warehouse_rows("select entity_id from analytics.customer_churn_risk")}
    assert len(flagged) >= 10
    assert not flagged & left


def test_won_deals_are_the_baseline_and_one_won_later_is_acted_on(real_loop: Loop, tmp_path: Path) -> None:
    status = real_loop.signal_status("deal_won")
    assert status["unplanned"] == {"baseline": 4238}
    assert not real_loop.sandbox.effects()
    won_later = _with_one_more_won(tmp_path)
    real_loop.loopctl("land", "--from", str(tmp_path / "files"))
    real_loop.loopctl("tick")
    projects = [e for e in real_loop.sandbox.effects("tryton") if e.operation == "project.work.create"]
    status = real_loop.signal_status("deal_won")
    assert status["events"] == {"opened": 4239}
    assert status["actions"]["delivered"] >= 2
    assert projects
    assert "opened" in real_loop.loopctl("explain", won_later)
    assert "BROKEN" not in real_loop.loopctl("status", "--prove")


def _with_one_more_won(tmp_path: Path) -> str:
    """A copy of the files in which one deal that was being engaged is won."""
    folder = tmp_path / "files"
    shutil.copytree(REAL_DATA, folder)
    folder.chmod(0o755)
    path = folder / "crm_opportunities.csv"
    path.chmod(0o644)
    rows = _rows("crm_opportunities.csv")
    chosen = next(row for row in rows if row["deal_stage"] == "Engaging" and row["account"])
    chosen |= {"deal_stage": "Won", "close_date": "12/31/2017", "close_value": "4321"}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return chosen["opportunity_id"]
