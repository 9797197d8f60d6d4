"""Speaks to a Tryton server as an administrator does, and sets up the company of a fresh one."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

USER = "admin"
PASSWORD = "s3cret-of-the-real-tryton"

_CURRENCIES = (("US Dollar", "USD", "$"), ("Euro", "EUR", "€"))


class TrytonSaid(Exception):
    """The server refused a call: with an HTTP status and no body, or with an `error` member inside a 200."""

    def __init__(self, method: str, status: int, error: Any) -> None:
        super().__init__(f"{method}: HTTP {status} {str(error)[:800]}")


@dataclass
class Administrator:
    """A signed-in session that speaks plain JSON-RPC, independent of the connector under test."""

    url: str
    database: str
    user: str = USER
    password: str = field(default=PASSWORD, repr=False)
    context: dict[str, Any] = field(default_factory=dict)
    _headers: dict[str, str] = field(default_factory=dict, repr=False)
    user_id: int = 0

    def sign_in(self) -> Administrator:
        """Opens a session; its context is the user's preferences."""
        self.user_id, token, *_ = self.call("common.db.login", self.user, {"password": self.password})
        credentials = base64.b64encode(f"{self.user}:{self.user_id}:{token}".encode()).decode()
        self._headers = {"Authorization": f"Session {credentials}"}
        self.context = self.call("model.res.user.get_preferences", True, {})
        return self

    def call(self, method: str, *params: Any) -> Any:
        """The result of a call. Raises TrytonSaid."""
        status, answer = self.ask(method, *params)
        if status != 200 or "result" not in answer:
            raise TrytonSaid(method, status, answer.get("error", answer) if isinstance(answer, dict) else answer)
        return answer["result"]

    def ask(self, method: str, *params: Any) -> tuple[int, Any]:
        """Status and JSON of a call, or its text where it is none."""
        body = json.dumps({"id": 1, "method": method, "params": list(params)}).encode()
        headers = {"Content-Type": "application/json", **self._headers}
        request = urllib.request.Request(f"{self.url}/{self.database}/rpc/", body, headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {"text": error.read().decode(errors="replace")}

    def search(self, model: str, domain: Sequence[Any]) -> list[int]:
        found: list[int] = self.call(f"model.{model}.search", list(domain), 0, None, [["id", "ASC"]], self.context)
        return found

    def read(self, model: str, ids: Sequence[int], *names: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.call(f"model.{model}.read", list(ids), list(names), self.context)
        return sorted(rows, key=lambda row: row["id"])

    def create(self, model: str, **values: Any) -> int:
        (made,) = self.call(f"model.{model}.create", [values], self.context)
        return int(made)

    def button(self, model: str, name: str, *ids: int) -> None:
        self.call(f"model.{model}.{name}", list(ids), self.context)


def set_up_company(admin: Administrator) -> None:
    """What an administrator sets up once before anybody orders anything: currencies, the company, its user."""
    day = {"__class__": "date", "year": 2020, "month": 1, "day": 1}
    rate = {"date": day, "rate": {"__class__": "Decimal", "decimal": "1"}}
    currencies = [
        admin.create("currency.currency", name=name, code=code, symbol=symbol, rates=[["create", [rate]]])
        for name, code, symbol in _CURRENCIES
    ]
    party = admin.create("party.party", name="ACME", addresses=[["create", [{"city": "Springfield"}]]])
    company = admin.create("company.company", party=party, currency=currencies[0])
    own = {"companies": [["add", [company]]], "company": company}
    admin.call("model.res.user.write", [admin.user_id], own, admin.context)
