"""The HTTP listener: uvicorn on a socket that is already bound, its connections within reach of the fault injection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LOOPBACK = "127.0.0.1"


class BreakableProtocol(HttpToolsProtocol):
    """Puts each connection's transport into the calls' state, so that a fault can break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop for a new connection."""
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


class AnnouncedServer(uvicorn.Server):
    """A server that says when it listens, and leaves signals to the process that runs it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen."""
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signal handlers alone."""
        yield


def bind(port: int) -> socket.socket:
    """A listening TCP socket on the loopback address; port 0 takes a free one.

    Raises OSError when the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def port_of(listener: socket.socket) -> int:
    """The port that a bound socket has."""
    return cast(int, listener.getsockname()[1])


def http_server(application: Any) -> AnnouncedServer:
    """A server for the application, to be served on a socket from `bind`."""
    config = uvicorn.Config(
        application,
        http=BreakableProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        server_header=False,
        date_header=False,
    )
    return AnnouncedServer(config)
