"""A raw HTTP server on the loopback address that answers as told, broken protocol and broken connections included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """One request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class Wire:
    """The connection that a fault plays on."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until_the_client_leaves(self) -> None:
        while await self.reader.read(65536):
            pass


Fault = Callable[[Call, Wire], Awaitable[None]]
Script = Callable[[Call], Fault]


@dataclass
class FaultServer:
    """What tests see of the running server."""

    url: str
    calls: list[Call] = field(default_factory=list)


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[FaultServer]:
    """Runs a server whose answer to every call the script chooses."""
    running: set[asyncio.Task[Any]] = set()
    state = FaultServer("")

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            while (call := await _read_call(reader)) is not None:
                state.calls.append(call)
                await script(call)(call, Wire(reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client may leave at any moment; that is what the faults are about
        finally:
            writer.transport.abort()
            running.discard(task)

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _read_call(reader: asyncio.StreamReader) -> Call | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _version = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(method, path, headers, body)


def answers(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Fault:
    """A well-formed reply."""

    async def play(_call: Call, wire: Wire) -> None:
        await wire.send(head_of(status, len(body), headers) + body)

    return play


def answers_json(value: Any, status: int = 200) -> Fault:
    """A well-formed reply with a JSON body."""
    return answers(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def echoes(status: int, headers: Mapping[str, str] | None = None) -> Fault:
    """A reply that repeats all that it was sent, secrets first, as debugging proxies do."""

    async def play(call: Call, wire: Wire) -> None:
        said = f"{call.headers.get('authorization', '')} {call.path} {dict(call.headers)} {call.body.decode()}"
        body = json.dumps({"status": "error", "message": said}).encode()
        await wire.send(head_of(status, len(body), {"Content-Type": "application/json", **(headers or {})}) + body)

    return play


def head_of(status: int, length: int, headers: Mapping[str, str] | None = None) -> bytes:
    """The first part of a reply."""
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def drops(_call: Call, wire: Wire) -> None:
    """Closes the connection in place of a reply."""
    wire.writer.close()


async def resets(_call: Call, wire: Wire) -> None:
    """Breaks the connection in place of a reply."""
    wire.writer.transport.abort()


async def stays_silent(_call: Call, wire: Wire) -> None:
    """Never answers."""
    await wire.until_the_client_leaves()


async def speaks_another_protocol(_call: Call, wire: Wire) -> None:
    """Sends what is not HTTP."""
    await wire.send(b"\x00\x01\x02 220 mail.example.com ESMTP\r\n\r\n")
    wire.writer.close()


async def cuts_the_body_short(_call: Call, wire: Wire) -> None:
    """Announces a body and ends in the middle of it."""
    await wire.send(head_of(200, 100, {"Content-Type": "application/json"}) + b'{"results": [')
    wire.writer.close()


async def stalls_in_the_body(_call: Call, wire: Wire) -> None:
    """Announces a body and never finishes it."""
    await wire.send(head_of(200, 100, {"Content-Type": "application/json"}) + b'{"results": [')
    await wire.until_the_client_leaves()


async def sends_without_end(_call: Call, wire: Wire) -> None:
    """A chunked body that goes on until the client has had enough."""
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    while True:
        await wire.send(chunk)
