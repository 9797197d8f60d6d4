"""Stands between JSON-RPC clients and a server: what a client asked is done, and its answer is lost or held back."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Exchange:
    """One call of one client; `number` counts from 1 the calls of this method by this client."""

    client: str  # the first part of the path: http://proxy/<client>/...
    method: str
    params: Any
    number: int


@dataclass(frozen=True)
class Treatment:
    """What happens to an exchange besides being forwarded."""

    loses_request: bool = False  # the connection breaks and the server hears nothing
    loses_reply: bool = False  # the server has done it, then the connection breaks
    status_instead: int | None = (
        None  # the server has done it, then this status without a body takes its answer's place
    )
    before_the_reply: Callable[[], None] | None = None  # after the server has answered; may block


Rule = Callable[[Exchange], Treatment | None]


@dataclass
class LossyProxy:
    """What tests see of the running proxy."""

    url: str = ""
    rule: Rule = lambda _exchange: None
    exchanges: list[Exchange] = field(default_factory=list)
    _numbers: Counter[tuple[str, str]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def address_for(self, client: str) -> str:
        return f"{self.url}/{client}"

    def note(self, client: str, body: bytes) -> Exchange:
        call = json.loads(body)
        with self._lock:
            self._numbers[client, call["method"]] += 1
            exchange = Exchange(client, call["method"], call["params"], self._numbers[client, call["method"]])
            self.exchanges.append(exchange)
        return exchange


def loses_the_reply_of(method: str, *numbers: int) -> Rule:
    """Loses the replies of these calls of a method, of every client."""

    def rule(exchange: Exchange) -> Treatment | None:
        return Treatment(loses_reply=True) if exchange.method == method and exchange.number in numbers else None

    return rule


@contextmanager
def lossy_proxy(upstream: str) -> Iterator[LossyProxy]:
    """Runs a proxy in front of the server at an address, in threads of this process."""
    proxy = LossyProxy()
    address = urlsplit(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            client, _, path = self.path.removeprefix("/").partition("/")
            treatment = proxy.rule(proxy.note(client, body)) or Treatment()
            if treatment.loses_request:
                return self._break()
            status, headers, answer = _forwarded(address.netloc, f"{address.path}/{path}", self.headers, body)
            if treatment.before_the_reply is not None:
                treatment.before_the_reply()
            if treatment.loses_reply:
                return self._break()
            if treatment.status_instead is not None:
                status, headers, answer = treatment.status_instead, {}, b""
            try:
                self._answer(status, headers, answer)
            except ConnectionError:
                self.close_connection = True  # the client has given up meanwhile
            return None

        def _answer(self, status: int, headers: dict[str, str], answer: bytes) -> None:
            self.send_response(status)
            for name in ("Content-Type", "Content-Encoding", "Retry-After", "WWW-Authenticate"):
                if name in headers:
                    self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _break(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _forwarded(netloc: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(netloc, timeout=60)
    kept = {name: headers[name] for name in ("Content-Type", "Authorization", "Accept-Encoding") if name in headers}
    try:
        connection.request("POST", path, body, kept)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()
