"""A sink that counts: keep-alive HTTP on loopback, in a process of its own, optionally slow, with little code.

    python benchmarks/sink.py [--latency SECONDS]      prints its port, then serves until its standard input closes

GET /count answers {"requests": n, "keys": distinct webhook-id or idempotency keys}; any POST is answered 200.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

REPLY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"


class Sink:
    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.requests = 0
        self.keys: set[bytes] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        if length := int(headers.get(b"content-length", b"0")):
            await reader.readexactly(length)
        if head.startswith(b"GET /count"):
            body = json.dumps({"requests": self.requests, "keys": len(self.keys)}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            return
        if self.latency:
            await asyncio.sleep(self.latency)
        self.requests += 1
        self.keys.add(headers.get(b"webhook-id", headers.get(b"idempotency-key", b"")))
        writer.write(REPLY)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    sink = Sink(parser.parse_args().latency)
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
