"""The Tryton records that an order or a project refers to: found by their code, made when there are none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

from dagster_project.contracts.destination import ReasonFor
from dagster_project.respond.destinations.outcome_mapping import before_the_effect, rejected, retry
from dagster_project.respond.destinations.tryton_arguments import (
    CreateOnboardingProject,
    CreatePurchaseOrder,
    PurchaseLine,
)
from dagster_project.respond.destinations.tryton_rpc import CallRefused, Patience, TrytonRpc, encoded_decimal, id_in

_UNIT_SYMBOL = "u"


class TrytonRecords:
    """Finds and makes master data; remembers what never changes: currencies and the plain unit."""

    def __init__(self, rpc: TrytonRpc) -> None:
        self._rpc = rpc
        self._currencies: dict[str, int] = {}
        self._unit: int | None = None

    async def purchase_values(self, patience: Patience, key: str, order: CreatePurchaseOrder) -> dict[str, Any]:
        """The values of a draft purchase order whose reference is the key."""
        currency = await self._currency(patience, order.currency)
        party = await self._party(patience, order.supplier_code, order.supplier_name)
        products = await self._products(patience, order.lines)
        lines = [
            {
                "type": "line",
                "product": products[line.product_code][0],
                "unit": products[line.product_code][1],
                "quantity": float(line.quantity),
                "unit_price": encoded_decimal(_four_places(line.unit_price)),
            }
            for line in order.lines
        ]
        return {
            "company": await self._rpc.company(patience),
            "currency": currency,
            "party": party,
            "invoice_address": await self._address(patience, party),
            "reference": key,
            "description": order.description or "",
            "lines": [["create", lines]],
        }

    async def project_values(self, patience: Patience, key: str, project: CreateOnboardingProject) -> dict[str, Any]:
        """The values of a project whose comment is the key.

        Of project.work's fields only the comment takes it: the number is unique, but 8.2 lets nobody write it.
        """
        company = await self._rpc.company(patience)
        tasks = [
            {"name": name, "type": "task", "company": company, "sequence": i} for i, name in enumerate(project.tasks)
        ]
        return {
            "name": project.name,
            "type": "project",
            "company": company,
            "comment": key,
            "party": await self._party(patience, project.party_code, project.party_name),
            "children": [["create", tasks]],
        }

    async def codes_by_product(self, patience: Patience, codes: Sequence[str]) -> dict[int, str]:
        """The ids of the products with these codes, with their codes."""
        ids = await self._rpc.search(patience, "product.product", [["code", "in", list(codes)]])
        rows = await self._rpc.read(patience, "product.product", ids, ["id", "code"])
        return {id_in(row): str(row["code"]) for row in rows if str(row.get("code")) in set(codes)}

    async def _currency(self, patience: Patience, code: str) -> int:
        if code not in self._currencies:
            ids = await self._rpc.search(patience, "currency.currency", [["code", "=", code]], 1)
            if not ids:
                text = f"Tryton has no currency {code}; make it there, with a rate"
                raise CallRefused(rejected(ReasonFor.NOT_FOUND, text))
            self._currencies[code] = ids[0]
        return self._currencies[code]

    async def _party(self, patience: Patience, code: str, name: str) -> int:
        """The party with the code. Codes are unique in Tryton: whoever loses a race to make one finds the other's."""
        domain = [["code", "=", code]]
        found = await self._rpc.search(patience, "party.party", domain, 1)
        if found:
            return found[0]
        values = {"name": name, "code": code, "addresses": [["create", [{}]]]}
        try:
            return await self._rpc.create(patience, "party.party", values)
        except CallRefused as refused:
            if refused.outcome.reason == ReasonFor.CONFLICT:
                found = await self._rpc.search(patience, "party.party", domain, 1)
                if found:
                    return found[0]
            raise CallRefused(before_the_effect(refused.outcome)) from None

    async def _address(self, patience: Patience, party: int) -> int | None:
        """The party's first address. Tryton's own client fills it in, and nobody can confirm an order without one."""
        rows = await self._rpc.read(patience, "party.party", [party], ["addresses"])
        addresses = rows[0].get("addresses") if rows else None
        return next((one for one in addresses if isinstance(one, int)), None) if isinstance(addresses, list) else None

    async def _products(self, patience: Patience, lines: Sequence[PurchaseLine]) -> dict[str, tuple[int, int]]:
        """For each code the product and the unit it is bought in; of several with one code the oldest."""
        unit = await self._plain_unit(patience)
        found = await self._known_products(patience, {line.product_code for line in lines}, unit)
        for line in lines:
            if line.product_code not in found:
                found[line.product_code] = await self._new_product(patience, line, unit)
        return found

    async def _known_products(
        self, patience: Patience, codes: Collection[str], unit: int
    ) -> dict[str, tuple[int, int]]:
        ids = await self._rpc.search(patience, "product.product", [["code", "in", sorted(codes)]])
        rows = await self._rpc.read(patience, "product.product", ids, ["id", "code", "purchase_uom", "default_uom"])
        found: dict[str, tuple[int, int]] = {}
        for row in sorted(rows, key=id_in):
            bought_in = next((name for name in ("purchase_uom", "default_uom") if row.get(name)), None)
            found.setdefault(str(row.get("code")), (id_in(row), id_in(row, bought_in) if bought_in else unit))
        return found

    async def _new_product(self, patience: Patience, line: PurchaseLine, unit: int) -> tuple[int, int]:
        """Makes the product. Codes of active products are unique: whoever loses a race finds the other's."""
        template = {
            "name": line.product_name,
            "type": "goods",
            "default_uom": unit,
            "purchasable": True,
            "purchase_uom": unit,
            "list_price": encoded_decimal(_four_places(line.unit_price)),
            "products": [["create", [{"suffix_code": line.product_code}]]],
        }
        try:
            template_id = await self._rpc.create(patience, "product.template", template)
        except CallRefused as refused:
            if refused.outcome.reason == ReasonFor.CONFLICT:
                known = await self._known_products(patience, {line.product_code}, unit)
                if line.product_code in known:
                    return known[line.product_code]
            raise CallRefused(before_the_effect(refused.outcome)) from None
        made = await self._rpc.search(patience, "product.product", [["template", "=", template_id]], 1)
        if not made:
            text = f"Tryton made the product {line.product_code} but does not list it yet"
            raise CallRefused(retry(ReasonFor.NOT_FOUND, text))
        return made[0], unit

    async def _plain_unit(self, patience: Patience) -> int:
        if self._unit is None:
            units = await self._rpc.search(patience, "product.uom", [["symbol", "=", _UNIT_SYMBOL]], 1)
            if not units:
                text = f"Tryton has no unit of measure with the symbol {_UNIT_SYMBOL!r}; make it there"
                raise CallRefused(retry(ReasonFor.MISCONFIGURED, text, scope="destination"))
            self._unit = units[0]
        return self._unit


def _four_places(price: Decimal) -> Decimal:
    """A price with the digits that Tryton keeps by default (`[product] price_decimal`, 4)."""
    return price.quantize(Decimal("0.0001"))
