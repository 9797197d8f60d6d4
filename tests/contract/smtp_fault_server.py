"""A raw SMTP server on the loopback address that goes wrong where it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HEALTHY: Mapping[str, str] = {
    "connect": "220 mail.example.com ESMTP",
    "ehlo": "250-mail.example.com\r\n250-AUTH PLAIN\r\n250 8BITMIME",
    "auth": "235 welcome",
    "mail": "250 ok",
    "rcpt": "250 ok",
    "data": "354 go on",
    "message": "250 queued as 4711",
    "quit": "221 bye",
}
DROP = "<drop>"
SILENCE = "<silence>"


@dataclass
class SmtpFaultServer:
    """What tests see of the running server."""

    port: int = 0
    messages: list[bytes] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


@asynccontextmanager
async def serving_smtp(replies: Mapping[str, str]) -> AsyncIterator[SmtpFaultServer]:
    """Runs a server that answers each step as told, and as a healthy server would where nothing is told."""
    state, running = SmtpFaultServer(), set[asyncio.Task[None]]()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await _conversation({**HEALTHY, **replies}, state, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client may leave at any moment
        finally:
            writer.transport.abort()
            running.discard(task)

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _conversation(
    replies: Mapping[str, str], state: SmtpFaultServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    step = "connect"
    while True:
        if replies[step] == SILENCE:
            await reader.read()
            return
        if replies[step] == DROP:
            return
        writer.write(replies[step].encode() + b"\r\n")
        await writer.drain()
        if step == "quit":
            return
        if step == "data" and replies[step].startswith("354"):
            state.messages.append(await reader.readuntil(b"\r\n.\r\n"))
            step = "message"
            continue
        line = (await reader.readuntil(b"\r\n")).decode().rstrip()
        state.commands.append(line)
        step = line.split(" ")[0].lower()
