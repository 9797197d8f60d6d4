"""The control API under /_sandbox: what tests and people use to see effects and to switch faults on; loopback only."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dagster_project.sandbox.effects import count_effects, read_effects
from dagster_project.sandbox.faults import ArmedFault, Fault
from dagster_project.sandbox.hubspot.owners import add_owner
from dagster_project.sandbox.settings import SandboxSettings
from dagster_project.sandbox.vendors import Vendors

Endpoint = Callable[[Request], Awaitable[Response]]


class ControlApi:
    """The endpoints, around one sandbox's vendors."""

    def __init__(self, vendors: Vendors) -> None:
        self._vendors = vendors
        self._world = vendors.world

    def routes(self) -> list[Route]:
        """The routes below the mount."""
        table: list[tuple[str, str, Endpoint]] = [
            ("GET", "/health", self._health),
            ("GET", "/effects", self._effects),
            ("GET", "/effects/count", self._effect_count),
            ("GET", "/requests", self._requests),
            ("GET", "/hooks/{name}", self._hooks),
            ("GET", "/faults", self._list_faults),
            ("POST", "/faults", self._add_fault),
            ("DELETE", "/faults", self._clear_faults),
            ("DELETE", "/faults/{fault_id:int}", self._remove_fault),
            ("GET", "/settings", self._read_settings),
            ("PATCH", "/settings", self._change_settings),
            ("POST", "/reset", self._reset),
            ("POST", "/hubspot/owners", self._add_owner),
            ("POST", "/tryton/expire-sessions", self._expire_sessions),
        ]
        return [Route(path, self._guarded(endpoint), methods=[method]) for method, path, endpoint in table]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            host = request.client.host if request.client else ""
            if not _is_loopback(host):
                return JSONResponse({"error": "the control API answers to the loopback address only"}, 403)
            if request.headers.get("origin") not in (None, self._world.http_url):
                return JSONResponse({"error": "the control API does not answer to pages of other sites"}, 403)
            try:
                response = await endpoint(request)
            except (ValidationError, json.JSONDecodeError) as error:
                return JSONResponse({"error": str(error)}, 422)
            await self._world.store.committed()
            return response

        return guarded

    async def _health(self, _request: Request) -> Response:
        self._world.store.value("select 1")
        return JSONResponse({"status": "ok", "http_url": self._world.http_url})

    async def _effects(self, request: Request) -> Response:
        query = request.query_params
        effects = read_effects(self._world.store, query.get("vendor"), int(query.get("after", 0)))
        return JSONResponse({"effects": effects})

    async def _effect_count(self, _request: Request) -> Response:
        return JSONResponse(count_effects(self._world.store))

    async def _requests(self, _request: Request) -> Response:
        names = ("vendor", "method", "operation", "status")
        counted = sorted(self._world.requests.items())
        rows = [dict(zip(names, key, strict=True)) | {"count": count} for key, count in counted]
        return JSONResponse({"total": sum(count for _, count in counted), "requests": rows})

    async def _hooks(self, request: Request) -> Response:
        rows = self._world.store.rows("select * from hooks where name = ? order by id", (request.path_params["name"],))
        return JSONResponse(
            {
                "deliveries": [
                    {
                        "id": row["id"],
                        "webhook_id": row["webhook_id"],
                        "headers": json.loads(row["headers"]),
                        "body": row["body"].decode("utf-8", "replace"),
                        "received_at": row["received_at"],
                    }
                    for row in rows
                ]
            }
        )

    async def _list_faults(self, _request: Request) -> Response:
        return JSONResponse({"faults": [shown_fault(armed) for armed in self._world.faults.armed()]})

    async def _add_fault(self, request: Request) -> Response:
        fault = Fault.model_validate(await request.json())
        return JSONResponse(shown_fault(self._world.faults.add(fault)), 201)

    async def _clear_faults(self, _request: Request) -> Response:
        self._world.faults.clear()
        return Response(status_code=204)

    async def _remove_fault(self, request: Request) -> Response:
        removed = self._world.faults.remove(request.path_params["fault_id"])
        return Response(status_code=204 if removed else 404)

    async def _read_settings(self, _request: Request) -> Response:
        return JSONResponse(self._world.settings.model_dump())

    async def _change_settings(self, request: Request) -> Response:
        merged = self._world.settings.model_dump() | await request.json()
        self._world.settings = SandboxSettings.model_validate(merged)
        return JSONResponse(self._world.settings.model_dump())

    async def _reset(self, _request: Request) -> Response:
        self._vendors.reset()
        return Response(status_code=204)

    async def _add_owner(self, request: Request) -> Response:
        with self._world.store.change():
            row = add_owner(self._world.store, str((await request.json())["email"]))
        return JSONResponse({"id": str(row["id"]), "email": row["email"]}, 201)

    async def _expire_sessions(self, _request: Request) -> Response:
        return JSONResponse({"expired": self._vendors.tryton.sessions.expire_all()})


def shown_fault(armed: ArmedFault) -> dict[str, Any]:
    """A fault with its id and how often it has struck."""
    return {"id": armed.id, "seen": armed.seen, "struck": armed.struck, "fault": armed.fault.model_dump(mode="json")}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
