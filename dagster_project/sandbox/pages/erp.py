"""The ERP as its users see it: purchase orders with their lines and totals, projects with their checklists."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dagster_project.sandbox.pages.crm import offset_of
from dagster_project.sandbox.pages.rendering import PAGE_SIZE, missing, page
from dagster_project.sandbox.tryton.models import REGISTRY
from dagster_project.sandbox.tryton.reading import RecordReader
from dagster_project.sandbox.tryton.wire import UserError
from dagster_project.sandbox.world import World

_PURCHASE = ["number", "reference", "description", "comment", "state", "untaxed_amount", "total_amount", "create_date"]
_PURCHASE += ["delivery_date", "lines", "party.rec_name", "party.code", "currency.code"]
_LINE = ["quantity", "unit_price", "amount", "description", "product.rec_name", "unit.symbol"]
_WORK = ["name", "number", "type", "comment", "progress", "create_date", "children", "party.rec_name", "status.name"]


class Erp:
    """The ERP's pages."""

    def __init__(self, world: World) -> None:
        self._records = RecordReader(world.store)

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/erp", self.purchases),
            Route("/erp/purchases", self.purchases),
            Route("/erp/purchases/{record_id:int}", self.purchase),
            Route("/erp/projects", self.projects),
            Route("/erp/projects/{record_id:int}", self.project),
            Route("/erp/parties", self.parties),
            Route("/erp/parties/{record_id:int}", self.party),
            Route("/erp/products", self.products),
            Route("/erp/products/{record_id:int}", self.product),
        ]

    def _page_of(
        self, model: str, domain: Any, names: list[str], offset: int
    ) -> tuple[list[dict[str, Any]], int | None]:
        ids = self._records.search(REGISTRY[model], domain, offset, PAGE_SIZE + 1, [["id", "DESC"]])
        following = offset + PAGE_SIZE if len(ids) > PAGE_SIZE else None
        return self._records.read(REGISTRY[model], ids[:PAGE_SIZE], names), following

    def _one(self, model: str, record_id: int, names: list[str]) -> dict[str, Any] | None:
        try:
            return self._records.read(REGISTRY[model], [record_id], names)[0]
        except UserError:
            return None

    async def purchases(self, request: Request) -> Response:
        """All purchase orders, the newest first."""
        rows, following = self._page_of("purchase.purchase", [], _PURCHASE, offset_of(request))
        return page("erp_purchases.html", area="erp", part="purchases", purchases=rows, following=following)

    async def purchase(self, request: Request) -> Response:
        """One purchase order."""
        record_id = request.path_params["record_id"]
        purchase = self._one("purchase.purchase", record_id, _PURCHASE)
        if purchase is None:
            return missing(f"purchase order {record_id}")
        lines = self._records.read(REGISTRY["purchase.line"], purchase["lines"], _LINE)
        return page("erp_purchase.html", area="erp", part="purchases", purchase=purchase, lines=lines)

    async def projects(self, request: Request) -> Response:
        """All projects, the newest first, each with its checklist."""
        rows, following = self._page_of("project.work", [["parent", "=", None]], _WORK, offset_of(request))
        projects = [(row, self._works(row["children"])) for row in rows]
        return page("erp_projects.html", area="erp", part="projects", projects=projects, following=following)

    def _works(self, ids: list[int]) -> list[dict[str, Any]]:
        return self._records.read(REGISTRY["project.work"], ids, _WORK)

    async def project(self, request: Request) -> Response:
        """One project or task with what lies below it."""
        record_id = request.path_params["record_id"]
        project = self._one("project.work", record_id, [*_WORK, "parent.name", "parent.id"])
        if project is None:
            return missing(f"project {record_id}")
        return page(
            "erp_project.html", area="erp", part="projects", project=project, tasks=self._works(project["children"])
        )

    async def parties(self, request: Request) -> Response:
        """All parties."""
        rows, following = self._page_of("party.party", [], ["name", "code"], offset_of(request))
        return page("erp_parties.html", area="erp", part="parties", parties=rows, following=following)

    async def party(self, request: Request) -> Response:
        """One party with its orders and projects."""
        record_id = request.path_params["record_id"]
        names = [
            "name",
            "code",
            "addresses.street",
            "addresses.city",
            "contact_mechanisms.type",
            "contact_mechanisms.value",
        ]
        party = self._one("party.party", record_id, names)
        if party is None:
            return missing(f"party {record_id}")
        purchases, _ = self._page_of("purchase.purchase", [["party", "=", record_id]], _PURCHASE, 0)
        projects, _ = self._page_of("project.work", [["party", "=", record_id]], _WORK, 0)
        return page("erp_party.html", area="erp", part="parties", party=party, purchases=purchases, projects=projects)

    async def products(self, request: Request) -> Response:
        """All products."""
        names = ["name", "code", "list_price", "default_uom.symbol"]
        rows, following = self._page_of("product.product", [], names, offset_of(request))
        return page("erp_products.html", area="erp", part="products", products=rows, following=following)

    async def product(self, request: Request) -> Response:
        """One product with the orders it is on."""
        record_id = request.path_params["record_id"]
        product = self._one("product.product", record_id, ["name", "code", "list_price", "default_uom.symbol"])
        if product is None:
            return missing(f"product {record_id}")
        purchases, _ = self._page_of("purchase.purchase", [["lines.product", "=", record_id]], _PURCHASE, 0)
        return page("erp_product.html", area="erp", part="products", product=product, purchases=purchases)
