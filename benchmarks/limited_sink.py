"""A receiver that refuses what exceeds its limit in any sliding second, in a process of its own, with little code.

    python benchmarks/limited_sink.py --most N      prints its port, then serves until its standard input closes

GET answers {"accepted": n, "refused": n, "seconds": between the first and the last accepted}; a POST is answered 200,
or 429 where the second before it holds N accepted ones already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import deque

REPLY = b"HTTP/1.1 %s\r\ncontent-length: %d\r\ncontent-type: application/json\r\n%s\r\n%s"


class LimitedSink:
    """Counts what it accepts and refuses."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.accepted = self.refused = 0
        self.first_at = self.last_at = 0.0
        self.recent: deque[float] = deque()

    def answer(self) -> bytes:
        """The reply to one call that arrives now."""
        now = time.monotonic()
        while self.recent and now - self.recent[0] >= 1.0:
            self.recent.popleft()
        if len(self.recent) >= self.most:
            self.refused += 1
            return REPLY % (b"429 Too Many Requests", 2, b"retry-after: 1\r\n", b"{}")
        self.recent.append(now)
        self.first_at = self.first_at or now
        self.last_at = now
        self.accepted += 1
        return REPLY % (b"200 OK", 2, b"", b"{}")

    def counted(self) -> bytes:
        seconds = self.last_at - self.first_at
        body = json.dumps({"accepted": self.accepted, "refused": self.refused, "seconds": seconds}).encode()
        return REPLY % (b"200 OK", len(body), b"", body)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
                await reader.readexactly(int(fields.get(b"content-length", b"0")))
                writer.write(self.counted() if head.startswith(b"GET") else self.answer())
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, required=True)
    sink = LimitedSink(parser.parse_args().most)
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
