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
from dagster_project.sandbox.tryton.wire import HttpRefusal, ServerError, UserError, decoded, encoded
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
        if call.method != "POST" or not call.path.endswith("/rpc/"):
            return Reply(404, b"", content_type="text/html")
        try:
            request = call.json()
        except MalformedBody:
            return Reply(400, b"", content_type="text/html")
        if not isinstance(request, dict) or not isinstance(request.get("params"), list):
            return Reply(400, b"", content_type="text/html")
        try:
            with self._world.store.change():
                result = self._dispatch(call, str(request.get("method")), decoded(request["params"]))
        except (UserError, ServerError) as error:
            return json_reply(200, {"id": request.get("id"), "error": error.arguments})
        except HttpRefusal as refusal:
            headers = {"WWW-Authenticate": 'Basic realm="Tryton"'} if refusal.status == 401 else {}
            return Reply(refusal.status, b"", headers, "text/html")
        return json_reply(200, {"id": request.get("id"), "result": encoded(result)})

    def _dispatch(self, call: Call, method: str, parameters: list[Any]) -> Any:
        database = call.path.removesuffix("rpc/").strip("/")
        if not database:
            return self._server_method(method)
        if database != TRYTON_DATABASE:
            raise HttpRefusal(404)
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
            raise HttpRefusal(400)
        user_id = next(iter(self._records.search(_USER, [["login", "=", user]])), 0)
        password = parameters.get("password") if isinstance(parameters, dict) else None
        token = self.sessions.login(user, password, user_id, self._world.clock())
        if token is None:
            raise HttpRefusal(401)
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
            raise ServerError("Missing context argument")
        *arguments, context = parameters
        if name in model.buttons:
            return self._button(model, name, arguments[0])
        if name not in self._methods:
            raise HttpRefusal(403)
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
        """A workflow transition; records whose state does not allow it are left alone, as trytond's Workflow does."""
        allowed_from, state = PURCHASE_TRANSITIONS[name]
        for record_id, record in self._records.require(model, ids, "write to").items():
            if record.data.get("state") not in allowed_from:
                continue
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
