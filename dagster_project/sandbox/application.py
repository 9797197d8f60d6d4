"""The one ASGI application of the sandbox: vendors, control API and pages side by side."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Mount

from dagster_project.sandbox.control_api import ControlApi
from dagster_project.sandbox.pages import page_routes
from dagster_project.sandbox.vendor import Receive, Scope, Send, VendorApp
from dagster_project.sandbox.vendors import Vendors


class Application:
    """Sends a call to its vendor by the first part of its path, everything else to the control API and the pages.

    Vendors come first and without a router in between: they are what volume goes through.
    """

    def __init__(self, vendors: Vendors) -> None:
        served = (vendors.hubspot, vendors.tryton, vendors.slack, vendors.hooks)
        self._vendors = {vendor.name: VendorApp(vendor, vendors.world) for vendor in served}
        self._rest = Starlette(routes=[Mount("/_sandbox", routes=ControlApi(vendors).routes()), *page_routes(vendors)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].split("/", 2)[1]
        # GET /hooks/... is a page of what came in; every other call below a vendor's name is the vendor's
        if name in self._vendors and not (name == "hooks" and scope["method"] == "GET"):
            await self._vendors[name](scope, receive, send)
        else:
            await self._rest(scope, receive, send)
