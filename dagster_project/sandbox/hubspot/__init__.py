"""HubSpot as the loop's connector sees it: the routes of the CRM API, its authentication and its limits.

Versions in paths are free: /crm/objects/2026-03/... and the legacy /crm/v3/objects/... mean the same here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from dagster_project.sandbox.calls import Call, MalformedBody, Reply
from dagster_project.sandbox.credentials import HUBSPOT_TOKEN
from dagster_project.sandbox.hubspot import associations, batches, lists, owners, properties, single
from dagster_project.sandbox.hubspot.errors import (
    HubSpotError,
    error_reply,
    invalid_json,
    missing_scope,
    too_many,
    unauthorized,
)
from dagster_project.sandbox.hubspot.objects import Records
from dagster_project.sandbox.hubspot.properties import PropertyCatalog
from dagster_project.sandbox.rate import RollingWindow
from dagster_project.sandbox.world import World

Handler = Callable[..., Reply]
_VERSION = r"(?:v\d+|\d{4}-\d{2}(?:-beta)?)"
_PART = r"([^/]+)"
_VERSIONED_AREA = re.compile(rf"^/crm/(?:{_VERSION}/(\w+)|(\w+)/{_VERSION})")
_ID = re.compile(r"/\d+(?=/|$)")


def _versioned(area: str, rest: str) -> str:
    return f"/crm/(?:{_VERSION}/{area}|{area}/{_VERSION})/?{rest}/?"


class HubSpot:
    """The vendor `hubspot`."""

    name = "hubspot"

    def __init__(self, world: World) -> None:
        self._world = world
        self._catalog = PropertyCatalog(world.store)
        self._records = Records(world, self._catalog)
        self._links = associations.Associations(world, self._records)
        self._calls = RollingWindow(10.0)
        self._searches = RollingWindow(1.0)
        self._routes = [(method, re.compile(pattern), handler) for method, pattern, handler in self._table()]

    def seed(self) -> None:
        """Gives an emptied portal its built-in properties, and forgets the calls counted so far."""
        self._catalog.seed()
        self._calls, self._searches = RollingWindow(10.0), RollingWindow(1.0)

    def _table(self) -> list[tuple[str, str, Handler]]:
        world, records, links, catalog = self._world, self._records, self._links, self._catalog
        objects, links_area = partial(_versioned, "objects"), partial(_versioned, "associations")
        lists_area, owners_area = partial(_versioned, "lists"), partial(_versioned, "owners")
        properties_area = partial(_versioned, "properties")

        def on(handler: Handler, *given: Any) -> Handler:
            return lambda call, *parts: handler(call, *given, *parts)

        return [
            ("POST", objects(f"{_PART}/batch/upsert"), on(batches.batch_upsert, records)),
            ("POST", objects(f"{_PART}/batch/update"), on(batches.batch_update, records)),
            ("POST", objects(f"{_PART}/batch/read"), on(batches.batch_read, records)),
            ("POST", objects(f"{_PART}/batch/create"), on(batches.batch_create, records)),
            ("POST", objects(f"{_PART}/search"), on(single.search, world, records)),
            ("POST", objects(_PART), on(single.create_one, records, links)),
            ("GET", objects(f"{_PART}/{_PART}"), on(single.read_one, records, links)),
            ("PATCH", objects(f"{_PART}/{_PART}"), on(single.update_one, records)),
            ("DELETE", objects(f"{_PART}/{_PART}"), on(single.archive_one, records)),
            (
                "PUT",
                objects(f"{_PART}/{_PART}/associations/default/{_PART}/{_PART}"),
                on(associations.associate_default, records, links),
            ),
            (
                "GET",
                objects(f"{_PART}/{_PART}/associations/{_PART}"),
                on(associations.list_associations, records, links),
            ),
            (
                "POST",
                links_area(f"{_PART}/{_PART}/batch/associate/default"),
                on(associations.batch_associate_default, records, links),
            ),
            (
                "POST",
                links_area(f"{_PART}/{_PART}/batch/create"),
                on(associations.batch_create_labelled, records, links),
            ),
            ("POST", lists_area("search"), on(lists.search_lists, world)),
            ("GET", lists_area(f"object-type-id/{_PART}/name/{_PART}"), on(lists.read_list_by_name, world)),
            ("GET", lists_area(f"records/{_PART}/{_PART}/memberships"), on(lists.lists_of_record, world)),
            ("PUT", lists_area(f"{_PART}/memberships/add"), on(lists.add_members, world, records)),
            ("PUT", lists_area(f"{_PART}/memberships/remove"), on(lists.remove_members, world, records)),
            ("GET", lists_area(f"{_PART}/memberships"), on(lists.list_members, world)),
            ("GET", lists_area(_PART), on(lists.read_list, world)),
            ("POST", lists_area(""), on(lists.create_list, world)),
            ("GET", owners_area(_PART), on(owners.read_owner, world)),
            ("GET", owners_area(""), on(owners.list_owners, world)),
            ("GET", properties_area(f"{_PART}/{_PART}"), on(properties.read_property, catalog)),
            ("GET", properties_area(_PART), on(properties.list_properties, catalog)),
            ("POST", properties_area(_PART), on(properties.create_property, catalog)),
        ]

    def operation(self, call: Call) -> str:
        """The path without version and ids: `objects/tasks/batch/upsert`, `lists/{id}/memberships/add`."""
        unversioned = _VERSIONED_AREA.sub(r"\1\2", call.path).strip("/")
        return _ID.sub("/{id}", unversioned)

    def answer(self, call: Call) -> Reply:
        """Authentication, limits, then the route."""
        if call.headers.get("authorization") != f"Bearer {HUBSPOT_TOKEN}":
            return unauthorized()
        remaining = self._remaining()
        if remaining is None:
            return self.rate_limited({})
        reply = self._routed(call)
        # HubSpot leaves its rate headers out of search answers
        if not call.path.endswith("/search"):
            reply.headers |= self._rate_headers(remaining)
        return reply

    def _remaining(self) -> int | None:
        allowed = self._world.settings.hubspot_calls_per_ten_seconds
        return 0 if allowed == 0 else self._calls.take(allowed, self._world.clock())

    def _rate_headers(self, remaining: int) -> dict[str, str]:
        allowed = self._world.settings.hubspot_calls_per_ten_seconds
        if allowed == 0:
            return {}
        return {
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Max": str(allowed),
            "X-HubSpot-RateLimit-Remaining": str(remaining),
        }

    def _routed(self, call: Call) -> Reply:
        known_path = False
        for method, pattern, handler in self._routes:
            match = pattern.fullmatch(call.path)
            if match is None:
                continue
            known_path = True
            if method != call.method:
                continue
            refusal = self._refusal(call)
            if refusal is not None:
                return refusal
            return self._guarded(handler, call, [unquote(part) for part in match.groups()])
        if known_path:
            return error_reply(405, "METHOD_NOT_ALLOWED", "HTTP 405 Method Not Allowed")
        return error_reply(404, "OBJECT_NOT_FOUND", f"No such endpoint: {call.method} {call.path}")

    def _guarded(self, handler: Handler, call: Call, parts: list[str]) -> Reply:
        try:
            with self._world.store.change():  # a batch that is refused as a whole must leave nothing behind
                return handler(call, *parts)
        except HubSpotError as error:
            return error.reply
        except MalformedBody:
            return invalid_json().reply

    def _refusal(self, call: Call) -> Reply | None:
        settings = self._world.settings
        for scope in settings.hubspot_scopes_missing:
            # crm.objects.contacts.write -> /objects/contacts; crm.lists.write -> /lists
            if f"/{scope.split('.')[-2]}" in call.path and _writes(call) == scope.endswith(".write"):
                return missing_scope(scope)
        if call.path.endswith("/search") and settings.hubspot_searches_per_second:
            taken = self._searches.take(settings.hubspot_searches_per_second, self._world.clock())
            if taken is None:
                return too_many("SECONDLY", {})
        return None

    def rate_limited(self, headers: dict[str, str]) -> Reply:
        """429 with the body of the ten-second policy."""
        return too_many("TEN_SECONDLY_ROLLING", self._rate_headers(0) | headers)

    def refused(self, code: str) -> Reply:
        """400 with the code as category."""
        return error_reply(400, code, f"The request was refused: {code}")


def _writes(call: Call) -> bool:
    return call.method != "GET" and not call.path.endswith(("/batch/read", "/search"))
