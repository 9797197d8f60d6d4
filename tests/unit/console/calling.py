"""Calls the console's application as a server would, without a socket, and keeps cookies as a browser does."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import unquote, urlencode

from starlette.applications import Starlette

HOST = "127.0.0.1:8660"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    text: str

    def header(self, name: str) -> str:
        return next((value for known, value in self.headers if known == name), "")


@dataclass
class Browser:
    """One person at one machine. `headers` go with every call."""

    application: Starlette
    address: str = "127.0.0.1"
    scheme: str = "http"
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Answer:
        return self._call("GET", path, b"", headers)

    def post(self, path: str, form: dict[str, Any] | None = None, **headers: str) -> Answer:
        given = {"content_type": "application/x-www-form-urlencoded", **headers}
        return self._call("POST", path, urlencode(form or {}, doseq=True).encode(), given)

    def form_key(self, page: str = "/signals") -> str:
        """What this session's forms carry, as a page has it."""
        found = re.search(r'name="form_key" value="([0-9a-f]{64})"', self.get(page).text)
        assert found, f"{page} has no form"
        return found.group(1)

    def deed(self, path: str, **form: Any) -> Answer:
        """A form sent as the page with it would send it."""
        return self.post(path, {"form_key": self.form_key(), "why": "a test", **form})

    def _call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        sent = {"host": HOST, **self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = asyncio.run(self._asked(method, path, body, sent))
        for name, value in answer.headers:
            if name == "set-cookie":
                for key, morsel in SimpleCookie(value).items():
                    self.cookies[key] = morsel.value
                    if morsel["max-age"] == "0":
                        del self.cookies[key]
        return answer

    async def _asked(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        raw, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": unquote(raw),
            "raw_path": raw.encode(), "root_path": "", "query_string": query.encode(), "scheme": self.scheme,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": (self.address, 40000), "server": ("127.0.0.1", 8660),
        }  # fmt: skip
        parts: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            parts.append(message)

        await self.application(scope, receive, send)
        start = parts[0]
        text = b"".join(part.get("body", b"") for part in parts[1:]).decode()
        return Answer(start["status"], [(n.decode(), v.decode()) for n, v in start["headers"]], text)
