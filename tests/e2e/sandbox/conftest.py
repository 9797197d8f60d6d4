"""One sandbox process for all tests of this folder, emptied before each test."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from dagster_project.sandbox import credentials
from dagster_project.sandbox.server import SandboxServer


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture
def sandbox(running_sandbox: SandboxServer) -> SandboxServer:
    running_sandbox.control.reset()
    return running_sandbox


class HubSpotClient:
    """Calls the sandbox's HubSpot as curl would."""

    def __init__(self, http_url: str, session: requests.Session) -> None:
        self.base = f"{http_url}/hubspot"
        self._session = session

    def __call__(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self._session.request(method, self.base + path, json=body, timeout=10)

    def upsert(self, kind: str, key: str, *inputs: dict[str, Any], version: str = "2026-03") -> requests.Response:
        batch = [{"idProperty": key, **item} for item in inputs]
        return self("POST", f"/crm/objects/{version}/{kind}/batch/upsert", {"inputs": batch})

    def contact(self, entity: str, **properties: str) -> str:
        answer = self.upsert("contacts", "loop_entity_id", {"id": entity, "properties": properties})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["results"][0]["id"])


@pytest.fixture
def hubspot(sandbox: SandboxServer) -> Iterator[HubSpotClient]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {credentials.HUBSPOT_TOKEN}"
        yield HubSpotClient(sandbox.address.http_url, session)


class TrytonClient:
    """Calls the sandbox's Tryton as its own client would."""

    def __init__(self, http_url: str, session: requests.Session) -> None:
        self.url = f"{http_url}/tryton/{credentials.TRYTON_DATABASE}/rpc/"
        self._session = session
        self.context: dict[str, Any] = {}

    def post(self, method: str, *parameters: Any) -> requests.Response:
        body = {"id": 1, "method": method, "params": list(parameters)}
        return self._session.post(self.url, json=body, timeout=10)

    def login(self) -> None:
        secret = {"password": credentials.TRYTON_PASSWORD}
        user_id, token, *_ = self.post("common.db.login", credentials.TRYTON_USER, secret).json()["result"]
        proof = base64.b64encode(f"{credentials.TRYTON_USER}:{user_id}:{token}".encode()).decode()
        self._session.headers["Authorization"] = f"Session {proof}"
        self.context = self.post("model.res.user.get_preferences", True, {}).json()["result"]

    def __call__(self, method: str, *parameters: Any) -> Any:
        answer = self.post(f"model.{method}", *parameters, self.context)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert "error" not in body, body
        return body["result"]

    def error(self, method: str, *parameters: Any) -> list[Any]:
        answer = self.post(f"model.{method}", *parameters, self.context)
        assert answer.status_code == 200
        return list(answer.json()["error"])

    def find(self, model: str, *domain: Any) -> int:
        return int(self(f"{model}.search", list(domain), 0, 1, None)[0])

    def draft_order(self, reference: str, party: int, *lines: dict[str, Any]) -> int:
        currency = self.find("currency.currency", ["code", "=", "USD"])
        values = {"company": self.context["company"], "currency": currency, "party": party, "reference": reference}
        return int(self("purchase.purchase.create", [{**values, "lines": [["create", list(lines)]]}])[0])


@pytest.fixture
def tryton(sandbox: SandboxServer) -> Iterator[TrytonClient]:
    with requests.Session() as session:
        client = TrytonClient(sandbox.address.http_url, session)
        client.login()
        yield client
