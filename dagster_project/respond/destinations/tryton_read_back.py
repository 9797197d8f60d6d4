"""Reads an order or a project back from Tryton in the words of the request that made it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dagster_project.contracts.read_back import ReadBack
from dagster_project.respond.destinations.tryton_arguments import CreateOnboardingProject, CreatePurchaseOrder
from dagster_project.respond.destinations.tryton_rpc import Patience, TrytonRpc, decoded_number, id_in

PRICE_PLACES = Decimal("0.0001")


def written_order(order: CreatePurchaseOrder, key: str) -> dict[str, str]:
    """What the order says, a line for each product; several lines of one product count together."""
    wanted: dict[str, Decimal] = {}
    prices: dict[str, set[str]] = {}
    for line in order.lines:
        wanted[line.product_code] = wanted.get(line.product_code, Decimal(0)) + line.quantity
        prices.setdefault(line.product_code, set()).add(_price(line.unit_price))
    return {
        "reference": key,
        "supplier": order.supplier_code,
        "currency": order.currency,
        "is cancelled": "no",
        **{f"line {code}": _line(quantity, prices[code]) for code, quantity in wanted.items()},
    }


def written_project(project: CreateOnboardingProject, key: str) -> dict[str, str]:
    """What the project says; its tasks by name, in any order."""
    return {
        "comment": key,
        "name": project.name,
        "customer": project.party_code,
        "tasks": _names(project.tasks),
    }


async def read_order(
    rpc: TrytonRpc, patience: Patience, order_id: int, expected: Mapping[str, str], carriers: Sequence[int]
) -> ReadBack | None:
    """The order as it stands. None where there is none; raises CallRefused where it cannot be read.

    Parameter: `carriers` are all orders with the key; duplicates that were cancelled do not count.
    """
    if not await rpc.search(patience, "purchase.purchase", [["id", "=", order_id]]):
        return None
    names = ["id", "reference", "state", "party.code", "currency.code", "lines", "write_date"]
    (order,) = await rpc.read(patience, "purchase.purchase", [order_id], names)
    of_line = ["id", "product.code", "quantity", "unit_price", "write_date"]
    lines = await rpc.read(patience, "purchase.line", _ids(order.get("lines")), of_line)
    found = {
        "reference": str(order.get("reference") or ""),
        "supplier": _related(order, "party", "code"),
        "currency": _related(order, "currency", "code"),
        "is cancelled": "yes" if order.get("state") == "cancelled" else "no",
        **_found_lines(lines),
    }
    twins = await rpc.read(patience, "purchase.purchase", [one for one in carriers if one != order_id], ["id", "state"])
    living = 1 + sum(twin.get("state") != "cancelled" for twin in twins)
    return ReadBack(expected, found, living, _newest([order, *lines]))


async def read_project(
    rpc: TrytonRpc, patience: Patience, project_id: int, expected: Mapping[str, str], carriers: int
) -> ReadBack | None:
    """The project as it stands. None where there is none; raises CallRefused where it cannot be read."""
    if not await rpc.search(patience, "project.work", [["id", "=", project_id]]):
        return None
    names = ["id", "comment", "name", "party.code", "write_date"]
    (project,) = await rpc.read(patience, "project.work", [project_id], names)
    task_ids = await rpc.search(patience, "project.work", [["parent", "=", project_id]])
    tasks = await rpc.read(patience, "project.work", task_ids, ["id", "name", "write_date"])
    found = {
        "comment": str(project.get("comment") or ""),
        "name": str(project.get("name") or ""),
        "customer": _related(project, "party", "code"),
        "tasks": _names(str(task.get("name")) for task in tasks),
    }
    return ReadBack(expected, found, carriers, _newest([project, *tasks]))


def _found_lines(lines: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    wanted: dict[str, Decimal] = {}
    prices: dict[str, set[str]] = {}
    for line in lines:
        code = _related(line, "product", "code")
        wanted[code] = wanted.get(code, Decimal(0)) + decoded_number(line.get("quantity"))
        prices.setdefault(code, set()).add(_price(decoded_number(line.get("unit_price"))))
    return {f"line {code}": _line(quantity, prices[code]) for code, quantity in wanted.items()}


def _line(quantity: Decimal, prices: Iterable[str]) -> str:
    return f"{quantity.normalize():f} at {', '.join(sorted(prices))}"


def _price(price: Decimal) -> str:
    return f"{price.quantize(PRICE_PLACES)}"


def _names(names: Iterable[str]) -> str:
    return "; ".join(sorted(names))


def _related(row: Mapping[str, Any], relation: str, name: str) -> str:
    """A field of a related record, which Tryton gives under the relation's name with a dot."""
    related = row.get(f"{relation}.")
    return str(related.get(name) or "") if isinstance(related, dict) else ""


def _ids(value: Any) -> list[int]:
    return [one for one in value if isinstance(one, int)] if isinstance(value, list) else []


def _newest(rows: Iterable[Mapping[str, Any]]) -> datetime | None:
    """The newest change of any of the rows; Tryton's moments are in UTC and have their parts as numbers."""
    moments = [moment for row in rows if (moment := _moment(row.get("write_date"))) is not None]
    return max(moments, default=None)


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, dict) or value.get("__class__") != "datetime":
        return None
    parts = [int(value.get(name) or 0) for name in ("year", "month", "day", "hour", "minute", "second", "microsecond")]
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def record_id(external_id: str) -> int:
    """Tryton's id out of the ledger's text."""
    return id_in({"id": int(external_id)}) if external_id.isdigit() else 0
