"""A sink that counts: keep-alive HTTP on loopback, in a process of its own, optionally slow, with little code.

    python benchmarks/sink.py [--latency SECONDS]      prints its port, then serves until its standard input closes

GET /count answers {"requests": n, "keys": distinct webhook-id or idempotency keys, "records": distinct ids that came
in batches}. Any POST is answered 200: one to .../batch/upsert as HubSpot answers, with a record for each input, any
other with an empty object. A GET of a property describes one that is unique, which is what a batch upsert needs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\ncontent-type: application/json\r\n\r\n"


class Sink:
    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.requests = 0
        self.keys: set[bytes] = set()
        self.records: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                reply = await self._answer(head, reader)
                writer.write(HEAD % len(reply) + reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines[1:] if b": " in line)
        length = int(headers.get(b"content-length", b"0"))
        body = await reader.readexactly(length) if length else b""
        if head.startswith(b"GET /count"):
            return self._counted()
        if head.startswith(b"GET "):
            return b'{"name": "loop_entity_id", "hasUniqueValue": true}'
        if self.latency:
            await asyncio.sleep(self.latency)
        self.requests += 1
        if b"/batch/upsert " in lines[0]:
            return self._upserted(body)
        self.keys.add(headers.get(b"webhook-id", headers.get(b"idempotency-key", b"")))
        return b"{}"

    def _counted(self) -> bytes:
        counts = {"requests": self.requests, "keys": len(self.keys), "records": len(self.records)}
        return json.dumps(counts).encode()

    def _upserted(self, body: bytes) -> bytes:
        inputs = json.loads(body)["inputs"]
        self.records.update(item["id"] for item in inputs)
        made = {"createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z", "archived": False}
        results = [{"id": f"9{item['id']}", "properties": item["properties"], "new": True, **made} for item in inputs]
        return json.dumps({"status": "COMPLETE", "results": results}).encode()


@contextmanager
def running_sink(latency: float = 0.0) -> Iterator[str]:
    """Runs a sink in a process of its own; gives its address. Parameters: seconds before each reply."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--latency", str(latency)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def counted(sink: str) -> dict[str, int]:
    """What a sink has seen so far."""
    with urllib.request.urlopen(f"{sink}/count", timeout=10) as reply:
        found: dict[str, int] = json.loads(reply.read())
    return found


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
