"""Tryton as the loop's connector sees it: JSON-RPC on /<database>/rpc/ with sessions, models and business errors.

Source: trytond 8.2, trytond/protocols/dispatcher.py and trytond/wsgi.py. Calls run one after another, and each is one
transaction, as on the real server; purchase.reference is not unique there and is not unique here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from dagster_project.sandbox.calls import Call, MalformedBody, Reply, json_reply
from dagster_project.sandbox.credentials import TRYTON_DATABASE
from dagster_project.sandbox.tryton.company import set_up_company
from dagster_project.sandbox.tryton.fields import Model
from dagster_project.sandbox.tryton.models import PURCHASE_TRANSITIONS, REGISTRY
from dagster_project.sandbox.tryton.records import Records
from dagster_project.sandbox.tryton.sessions import Sessions
from dagster_project.sandbox.tryton.wire import HttpRefusal, LoginAsked, ServerError, UserError, decoded, encoded
from dagster_project.sandbox.world import World

SERVER_VERSION = "8.2.1"
_USER = REGISTRY["res.user"]


class Tryton:
    """The vendor `tryton`."""

    name = "tryton"

    def __init__(self, world: World) -> None:
        self._world = world
        self._records = Records(world)
        self.sessions = Sessions()
        self._methods: dict[str, Callable[..., Any]] = {
            "search": self._search,
            "search_count": self._search_count,
            "search_read": self._search_read,
            "read": self._read,
            "create": self._create,
            "write": self._write,
            "delete": self._delete,
        }
        self.seed()

    def seed(self) -> None:
        """Sets up the company of an empty ERP."""
        with self._world.store.change():
            set_up_company(Records(self._world, is_counted=False))

    def operation(self, call: Call) -> str:
        """The JSON-RPC method."""
        try:
            return str(json.loads(call.body)["method"])
        except (ValueError, KeyError, TypeError):
            return call.path

    def answer(self, call: Call) -> Reply:
        """The result, the error inside a 200, or a bare status."""
        try:
            request = _request_of(call)
        except HttpRefusal as refusal:
            return _refusal_reply(refusal)
        try:
            with self._world.store.change():
                result = self._dispatch(call, str(request["method"]), decoded(request["params"]))
        except (UserError, ServerError, LoginAsked) as error:
            return json_reply(200, {"id": request.get("id"), "error": error.arguments})
        except HttpRefusal as refusal:
            return _refusal_reply(refusal)
        return json_reply(200, {"id": request.get("id"), "result": encoded(result)})

    def _dispatch(self, call: Call, method: str, parameters: list[Any]) -> Any:
        database = call.path.removesuffix("rpc/").strip("/")
        if not database:
            return self._server_method(method)
        if database != TRYTON_DATABASE:
            raise HttpRefusal(404, "The requested URL was not found on the server.")
        if method == "common.db.login":
            return self._login(*parameters)
        authorization = call.headers.get("authorization")
        timeout = self._world.settings.tryton_session_timeout
        user_id = self.sessions.user_of(authorization, timeout, self._world.clock())
        if user_id is None:
            raise HttpRefusal(401)
        if method == "common.db.logout":
            self.sessions.logout(authorization)
            return None
        return self._model_method(method, parameters, user_id)

    def _server_method(self, method: str) -> Any:
        if method == "common.server.version":
            return SERVER_VERSION
        if method == "common.db.list":
            return [TRYTON_DATABASE]
        if method == "common.authentication.services":
            return []
        raise ServerError(f"'{method}'")

    def _login(self, user: Any, parameters: Any = None, *_language: Any) -> list[Any]:
        if not isinstance(user, str):
            raise HttpRefusal(400, "The user is no text")
        user_id = next(iter(self._records.search(_USER, [["login", "=", user]])), 0)
        password = parameters.get("password") if isinstance(parameters, dict) else None
        if password is None:
            raise LoginAsked("password", f"Password for {user}")
        token = self.sessions.login(user, password, user_id, self._world.clock())
        if token is None:
            raise HttpRefusal(401, "The server could not verify that you are authorized to access the URL requested.")
        return [user_id, token, None]

    def _model_method(self, method: str, parameters: list[Any], user_id: int) -> Any:
        kind, _, rest = method.partition(".")
        model_name, _, name = rest.rpartition(".")
        if kind != "model" or model_name not in REGISTRY:
            raise ServerError(f"'{model_name or method}'")
        model = REGISTRY[model_name]
        if model is _USER and name == "get_preferences":
            return self._preferences(user_id)
        if not parameters or not isinstance(parameters[-1], dict):
            raise HttpRefusal(422, "Missing context argument")
        *arguments, context = parameters
        if name in model.buttons:
            return self._button(model, name, arguments[0])
        if name not in self._methods:
            raise HttpRefusal(403, "You don&#39;t have the permission to access the requested resource.")
        try:
            return self._methods[name](model, context, *arguments)
        except TypeError as error:
            raise ServerError(str(error)) from error

    def _preferences(self, user_id: int) -> dict[str, Any]:
        user = self._records.read(_USER, [user_id], ["name", "login", "company", "companies"])[0]
        return {
            "company": user["company"],
            "companies": user["companies"],
            "employee": None,
            "employees": [],
            "language": "en",
            "language_direction": "ltr",
            "status_bar": user["name"],
            "groups": [],
        }

    def _search(
        self, model: Model, _context: Any, domain: Any, offset: int = 0, limit: int | None = None, order: Any = None
    ) -> list[int]:
        return self._records.search(model, domain, offset, limit, order)

    def _search_count(self, model: Model, _context: Any, domain: Any, *_range: Any) -> int:
        return self._records.count(model, domain)

    def _search_read(
        self,
        model: Model,
        _context: Any,
        domain: Any,
        offset: int = 0,
        limit: int | None = None,
        order: Any = None,
        names: list[str] | None = None,
    ) -> list[dict[str, Any]]:
        ids = self._records.search(model, domain, offset, limit, order)
        return self._records.read(model, ids, names if names is not None else list(model.fields))

    def _read(self, model: Model, _context: Any, ids: Any, names: list[str] | None = None) -> list[dict[str, Any]]:
        return self._records.read(model, ids, names if names is not None else list(model.fields))

    def _create(self, model: Model, context: Any, values: Any) -> list[int]:
        if not isinstance(values, list):
            raise ServerError("create takes a list of values")
        return [self._records.create(model, item, context) for item in values]

    def _write(self, model: Model, context: Any, *pairs: Any) -> None:
        for ids, values in zip(pairs[::2], pairs[1::2], strict=True):
            self._records.write(model, ids, values, context)

    def _delete(self, model: Model, _context: Any, ids: Any) -> None:
        self._records.delete(model, ids)

    def _button(self, model: Model, name: str, ids: Any) -> None:
        """A workflow transition, refused where the client would not show its button."""
        allowed_from, state = PURCHASE_TRANSITIONS[name]
        for record_id, record in self._records.pressable(model, name, ids, allowed_from).items():
            data = record.data | {"state": state}
            if name == "quote" and not data.get("number"):
                data["number"] = str(record_id)
            self._records.put(model, record_id, data)
            self._records.noted(model, record, name)

    def rate_limited(self, headers: dict[str, str]) -> Reply:
        """429, which trytond answers to too many logins."""
        return Reply(429, b"", headers, "text/html")

    def refused(self, code: str) -> Reply:
        """A business error inside a 200."""
        return json_reply(200, {"id": None, "error": ["UserError", [code, "", None]]})


def _request_of(call: Call) -> dict[str, Any]:
    """The JSON-RPC request of a call. Raises HttpRefusal for what is none."""
    if call.method != "POST" or not call.path.endswith("/rpc/"):
        raise HttpRefusal(405, "The method is not allowed for the requested URL.")
    if not call.headers.get("content-type", "").startswith("application/json"):
        raise HttpRefusal(400, "Not a RPC request")
    try:
        request = call.json()
    except MalformedBody:
        request = None
    if not isinstance(request, dict) or "method" not in request:
        raise HttpRefusal(400, "Unable to get RPC method")
    if not isinstance(request.get("params"), list):
        raise HttpRefusal(400, "Unable to get RPC params")
    return request


def _refusal_reply(refusal: HttpRefusal) -> Reply:
    """A 401 without a page is an ended session, with which the real server also sends a challenge."""
    is_ended = refusal.status == 401 and not refusal.said
    headers = {"WWW-Authenticate": 'Basic realm="Tryton"'} if is_ended else {}
    return Reply(refusal.status, refusal.page(), headers, "text/html; charset=utf-8")
