"""The pages that show the sandbox's records as the users of the real systems would see them; every record has a URL."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from dagster_project.sandbox.pages.chat import Chat
from dagster_project.sandbox.pages.crm import Crm
from dagster_project.sandbox.pages.erp import Erp
from dagster_project.sandbox.pages.mail import Mail
from dagster_project.sandbox.pages.rendering import missing, page
from dagster_project.sandbox.vendors import Vendors
from dagster_project.sandbox.world import World

_COUNTS = (
    ("CRM", "/crm", "campaigns", "select count(*) from hubspot_lists"),
    (
        "CRM",
        "/crm/tasks",
        "tasks",
        "select count(*) from hubspot_objects where object_type = 'tasks' and not is_archived",
    ),
    (
        "CRM",
        "/crm/contacts",
        "contacts",
        "select count(*) from hubspot_objects where object_type = 'contacts' and not is_archived",
    ),
    (
        "ERP",
        "/erp/purchases",
        "purchase orders",
        "select count(*) from tryton_records where model = 'purchase.purchase'",
    ),
    (
        "ERP",
        "/erp/projects",
        "projects",
        "select count(*) from tryton_records where model = 'project.work' and json_extract(data, '$.parent') is null",
    ),
    ("Chat", "/chat", "messages", "select count(*) from slack_messages"),
    ("Mail", "/mail", "mails", "select count(*) from mails"),
    ("Webhooks", "/hooks", "webhook deliveries", "select count(*) from hooks"),
)

_AREAS = {"hubspot": "CRM", "tryton": "ERP", "slack": "Chat", "smtp": "Mail", "hooks": "Webhooks"}


class Overview:
    """The first page: how much there is of what, and what happened last."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def show(self, _request: Request) -> Response:
        """The page."""
        store = self._world.store
        counts = [(area, address, label, store.value(sql)) for area, address, label, sql in _COUNTS]
        latest = store.rows("select * from effects order by id desc limit 25")
        faults = self._world.faults.armed()
        return page("overview.html", area="overview", counts=counts, latest=latest, faults=faults, areas=_AREAS)


async def _nothing_here(request: Request) -> Response:
    return missing(f"page {request.url.path}")


def page_routes(vendors: Vendors) -> list[BaseRoute]:
    """The routes of all pages."""
    world = vendors.world
    areas = (Crm(world), Erp(world), Chat(world), Mail(world))
    routes: list[BaseRoute] = [Route("/", Overview(world).show)]
    for area in areas:
        routes += area.routes()
    return [*routes, Route("/{rest:path}", _nothing_here)]
