"""One Tryton as the suite sees it, the sandbox's or a real one: the connector's way in and an administrator's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tryton_company import Administrator
from tryton_server import TrytonServer

from dagster_project.contracts.destination import Outcome, Request
from dagster_project.respond.destinations.tryton import Tryton, TrytonConnection
from dagster_project.sandbox import credentials
from dagster_project.sandbox.server import SandboxServer

ORDER = "create_purchase_order"
PROJECT = "create_onboarding_project"
TWO_DAYS = 2 * 86400.0  # seconds; an idle session lives for minutes


@dataclass(frozen=True)
class Erp:
    """A running Tryton."""

    is_real: bool
    url: str
    settings: Mapping[str, Any]  # of the destination
    admin: Administrator
    expire_sessions: Callable[[], object]

    def connection(self, **changed: Any) -> TrytonConnection:
        return TrytonConnection.model_validate({**self.settings, **changed})

    def deliver(self, operation: str, request: Request, **changed: Any) -> Outcome:
        """One delivery by a connector that is opened for it."""

        async def once() -> Outcome:
            destination = Tryton.open(self.connection(**changed))
            try:
                (outcome,) = await destination.deliver(operation, [request])
                return outcome
            finally:
                await destination.close()

        return asyncio.run(once())

    def orders(self, key: str) -> list[dict[str, Any]]:
        """The orders with this key, cancelled ones included, lowest id first."""
        ids = self.admin.search("purchase.purchase", [["reference", "=", key]])
        return self.admin.read("purchase.purchase", ids, "id", "state", "number", "lines", "untaxed_amount")

    def living_orders(self, key: str) -> list[int]:
        return [order["id"] for order in self.orders(key) if order["state"] != "cancelled"]

    def projects(self, key: str) -> list[dict[str, Any]]:
        ids = self.admin.search("project.work", [["comment", "=", key]])
        return self.admin.read("project.work", ids, "id", "name", "children")

    def copy_of_order(self, key: str) -> int:
        """Another draft with the same key, as a second process would have made it."""
        names = ("company", "currency", "party", "lines.product", "lines.unit")
        (order,) = self.admin.read("purchase.purchase", [self.orders(key)[0]["id"]], *names)
        price = {"__class__": "Decimal", "decimal": "3.50"}
        lines = [
            {"type": "line", "product": row["product"], "unit": row["unit"], "quantity": 1.0, "unit_price": price}
            for row in order["lines."]
        ]
        values = {name: order[name] for name in ("company", "currency", "party")}
        return self.admin.create("purchase.purchase", reference=key, lines=[["create", lines]], **values)


def sandbox_erp(sandbox: SandboxServer) -> Erp:
    connection = Tryton.sandbox_connection(sandbox.address)
    admin = Administrator(
        connection.base_url, connection.database, credentials.TRYTON_USER, credentials.TRYTON_PASSWORD
    ).sign_in()

    def expire() -> None:
        sandbox.control.expire_tryton_sessions()
        admin.sign_in()

    return Erp(False, connection.base_url, connection.model_dump(), admin, expire)


def real_erp(server: TrytonServer) -> Erp:
    admin = server.administrator()

    def expire() -> None:
        server.age_sessions(TWO_DAYS)
        admin.sign_in()

    return Erp(True, server.url, server.connection(), admin, expire)


def order_request(key: str, **changed: Any) -> Request:
    """An order of one product at one supplier; both are made where there are none."""
    line = {"product_code": "SKU-1", "product_name": "Red widget", "quantity": "12", "unit_price": "3.50"}
    arguments = {"supplier_code": "SUP-1", "supplier_name": "Supplier One", "currency": "USD", "lines": [line]}
    return Request(key, Tryton.operations[ORDER].arguments.model_validate({**arguments, **changed}))


def project_request(key: str, **changed: Any) -> Request:
    arguments = {"name": "Onboard Acme", "party_code": "CUST-1", "party_name": "Acme", "tasks": ["Kick-off", "Import"]}
    return Request(key, Tryton.operations[PROJECT].arguments.model_validate({**arguments, **changed}))
