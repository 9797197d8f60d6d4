"""A wire between the reader and a server that can be cut while a query is on its way, and mended."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Wire:
    """Forwards connections of one loopback port to another, until it is cut."""

    server_port: int
    is_cut: bool = False
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def serve(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:  # the listener was closed: the test is over
                return
            if self.is_cut:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.server_port))
            threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, is_from_client: bool) -> None:
        """What a client sends over a cut wire goes to the server, and the answer is lost."""
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if self.is_cut and not is_from_client:
                    break
                sink.sendall(chunk)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextlib.contextmanager
def wire_to(server_port: int) -> Iterator[Wire]:
    """A wire to a server on loopback, for as long as the block lasts."""
    wire = Wire(server_port)
    thread = threading.Thread(target=wire.serve, daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        wire.close()
        thread.join(timeout=10)
