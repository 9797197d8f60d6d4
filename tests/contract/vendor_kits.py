"""For each destination what the suite cannot find out by itself: a connection, sample requests, a healthy vendor.

A destination that discovery finds and that has no kit here fails the suite.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from fault_cases import SETTINGS, Expected
from fault_server import Call, Fault, answers, answers_json

from dagster_project.contracts.destination import Connection
from dagster_project.respond.destinations.registry import discover

SECRETS = {
    "hubspot": ["pat-na1-s3cr3t-t0ken"],
    "tryton": ["t0p&s3cret pässword", "session-t0ken-4711"],
    "slack": ["xoxb-123-s3cr3t"],
    "webhook": ["whsec_c2VjcmV0LXNpZ25pbmcta2V5", "c2VjcmV0LXNpZ25pbmcta2V5", "url-t0ken-99"],
    "email": ["sm7p s3cret"],
}


@dataclass(frozen=True)
class HttpKit:
    """One destination over HTTP."""

    connection: Callable[[str], Mapping[str, Any]]  # settings that reach a server at an address
    samples: Mapping[str, Mapping[str, Any]]  # operation -> arguments as templates render them: text
    healthy: Callable[[], Callable[[Call], Fault]]  # makes a vendor with which nothing is wrong
    is_effect: Callable[[str, Call], bool]  # whether this call is the one that makes the operation's effect
    prepares: frozenset[str] = frozenset()  # operations that call before their effect
    statuses: Mapping[int, Expected] = field(default_factory=dict)  # what the vendor documents otherwise
    statuses_of: Mapping[str, Mapping[int, Expected]] = field(default_factory=dict)  # the same for one operation
    takes_any_success: bool = False  # whether a 2xx is enough, whatever its body

    def expected(self, operation: str, status: int | None, default: Expected) -> Expected:
        if status is None:
            return default
        return {**self.statuses, **self.statuses_of.get(operation, {})}.get(status, default)


def connection_to(name: str, address: str, call_deadline: float) -> Connection:
    """A connection of the destination to a server at the address."""
    return discover()[name].connection_type(**HTTP_KITS[name].connection(address), call_deadline=call_deadline)


def _hubspot(call: Call) -> Fault:
    path = unquote(urlsplit(call.path).path)
    if "/properties/" in path:
        return answers_json({"name": path.rpartition("/")[2], "hasUniqueValue": True})
    if path.endswith("/batch/associate/default"):
        return answers_json({"status": "COMPLETE", "results": []})
    if "/batch/" in path:
        rows = [
            {"id": one["id"] if path.endswith("/update") else f"9{i}", "properties": _with_unique(call, one)}
            for i, one in enumerate(call.json["inputs"])
        ]
        return answers_json({"status": "COMPLETE", "results": list(reversed(rows))})
    if "/lists/" in path:
        return answers_json({"list": {"listId": "17", "processingType": "MANUAL"}, "recordIdsMissing": []})
    assert "/owners/" in path, path
    return answers_json({"results": [{"id": "5", "email": "ada@example.com"}]})


def _with_unique(call: Call, one: Mapping[str, Any]) -> Mapping[str, Any]:
    unique = one.get("idProperty") or call.json.get("idProperty")
    return {**one.get("properties", {}), **({unique: one["id"]} if unique else {})}


_TRYTON_MASTER_DATA = {"currency.currency": [1], "product.uom": [1], "party.party": [4], "product.product": [7]}


def _tryton() -> Callable[[Call], Fault]:
    """A Tryton that has all master data and finds what was created in it."""
    kept: dict[str, list[int]] = {}

    def answer(call: Call) -> Fault:
        method, params = call.json["method"], call.json["params"]
        if method == "common.db.login":
            return answers_json({"id": 0, "result": [1, "session-t0ken-4711", None]})
        if method == "model.res.user.get_preferences":
            return answers_json({"id": 0, "result": {"company": 1, "language": "en"}})
        model, _, verb = method.removeprefix("model.").rpartition(".")
        if verb == "search":
            return answers_json({"id": 0, "result": {**_TRYTON_MASTER_DATA, **kept}.get(model, [])})
        if verb == "read":
            row = {"code": "SKU-1", "purchase_uom": 1, "default_uom": 1, "state": "draft"}
            return answers_json({"id": 0, "result": [{"id": one, **row} for one in params[0]]})
        assert verb == "create", method
        kept.setdefault(model, []).append(12)
        return answers_json({"id": 0, "result": [12]})

    return answer


def _tryton_effect(operation: str, call: Call) -> bool:
    model = {"create_purchase_order": "purchase.purchase", "create_onboarding_project": "project.work"}[operation]
    return bool(call.json["method"] == f"model.{model}.create")


def _slack(call: Call) -> Fault:
    return answers_json({"ok": True, "channel": "C0CHANNEL1", "ts": "1764000000.000100"})


_UPSERT_404 = {404: SETTINGS}

HTTP_KITS: Mapping[str, HttpKit] = {
    "hubspot": HttpKit(
        connection=lambda url: {"base_url": url, "token": SECRETS["hubspot"][0], "portal_id": "42"},
        samples={
            "add_to_campaign": {"entity_id": "c-1", "email": "c1@example.com", "campaign": "Win back / Q4"},
            "upsert_contact": {"entity_id": "c-1", "email": "c1@example.com", "properties": {"plan": "gold"}},
            "upsert_company": {"entity_id": "a-1", "name": "Acme", "lifecycle_stage": "customer"},
            "assign_task": {
                "subject": "Call Ada",
                "body": "<p>Soon</p>",
                "owner_email": "ada@example.com",
                "due_at": "2026-11-25T09:00:00+00:00",
                "priority": "high",
                "contact_entity_id": "c-1",
            },
            "update_task": {"task_id": "77", "status": "completed"},
        },
        healthy=lambda: _hubspot,
        is_effect=lambda operation, call: call.path.endswith(
            "/tasks/batch/update"
            if operation == "update_task"
            else {"assign_task": "/tasks", "upsert_company": "/companies"}.get(operation, "/contacts") + "/batch/upsert"
        ),
        prepares=frozenset({"add_to_campaign", "upsert_contact", "upsert_company", "assign_task"}),
        statuses={
            423: Expected("retry", "rate_limited", "destination"),
            477: Expected("retry", "unreachable", "destination"),
        },
        statuses_of=dict.fromkeys(("add_to_campaign", "upsert_contact", "upsert_company", "assign_task"), _UPSERT_404),
    ),
    "tryton": HttpKit(
        connection=lambda url: {"base_url": url, "database": "erp", "user": "loop", "password": SECRETS["tryton"][0]},
        samples={
            "create_purchase_order": {
                "supplier_code": "SUP-1",
                "supplier_name": "Supplier One",
                "currency": "USD",
                "lines": [{"product_code": "SKU-1", "product_name": "Red", "quantity": "12", "unit_price": "3.50"}],
            },
            "create_onboarding_project": {
                "name": "Onboard Acme",
                "party_code": "A-1",
                "party_name": "Acme",
                "tasks": ["Kick-off", "Import"],
            },
        },
        healthy=_tryton,
        is_effect=_tryton_effect,
        prepares=frozenset({"create_purchase_order", "create_onboarding_project"}),
        statuses={404: SETTINGS},
    ),
    "slack": HttpKit(
        connection=lambda url: {"base_url": f"{url}/api/", "token": SECRETS["slack"][0]},
        samples={"post_message": {"channel": "C0CHANNEL1", "text": "At risk", "title": "Ada", "fields": {"score": 9}}},
        healthy=lambda: _slack,
        is_effect=lambda _operation, call: call.path.endswith("/chat.postMessage"),
    ),
    "webhook": HttpKit(
        connection=lambda url: {"url": f"{url}/in/{SECRETS['webhook'][2]}", "secret": SECRETS["webhook"][0]},
        samples={"send_event": {"type": "loop.opened", "source": "/signals/x", "data": {"score": "0.9"}}},
        healthy=lambda: lambda _call: answers(204),
        is_effect=lambda _operation, _call: True,
        statuses={404: SETTINGS, 410: SETTINGS},
        takes_any_success=True,
    ),
}
MAIL_KITS = frozenset({"email"})

OVER_HTTP = [(name, operation) for name, kit in HTTP_KITS.items() for operation in kit.samples]


def spellings_of(name: str) -> list[str]:
    """The destination's secrets, plain and as JSON."""
    return [spelling for secret in SECRETS[name] for spelling in (secret, json.dumps(secret)[1:-1])]
