"""A bare loop of one HTTP client: so many POSTs, so many in flight, and nothing else; what any delivery is measured by.

    python benchmarks/bare_client.py CLIENT --url URL --count N [--in-flight N] [--batch SIZE]

Prints the seconds between the first request and the last reply, and those of the processor among them. It imports
nothing of the project's, so that it also runs in the environment of the peers. With --batch each request carries SIZE
contacts and its reply is parsed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

HEADERS = {
    "content-type": "application/json",
    "webhook-timestamp": "1790000000",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}
Spent = tuple[float, float]  # seconds, and seconds of the processor


def stopwatch() -> Callable[[], Spent]:
    """Started now; gives what was spent since."""
    began, cpu_began = time.perf_counter(), time.process_time()
    return lambda: (time.perf_counter() - began, time.process_time() - cpu_began)


def bodies(count: int, batch: int) -> Iterator[tuple[str, dict[str, object]]]:
    """Keys and bodies such as the project sends for one event, or for a batch of contacts."""
    for number in range(count):
        key = f"{number:032x}"
        yield key, (_batch(number * batch, batch) if batch else _event(key, number))


def _event(key: str, number: int) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": key,
        "type": "parcel.waiting",
        "source": "/signals/parcel_waiting",
        "subject": f"p{number}",
        "datacontenttype": "application/json",
        "data": {"reason": "It waits at the counter.", "weight": "2.5"},
    }


def _batch(first: int, size: int) -> dict[str, object]:
    return {"inputs": [_contact(f"p{number}") for number in range(first, first + size)]}


def _contact(entity_id: str) -> dict[str, object]:
    properties = {"email": f"{entity_id}@example.com", "firstname": "Ada", "loop_entity_id": entity_id}
    return {"idProperty": "loop_entity_id", "id": entity_id, "properties": properties}


def encoded(body: dict[str, object]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


# --- clients of an event loop


async def in_flight_at_once(post: Callable[[str, bytes], Awaitable[bytes]], work: argparse.Namespace) -> Spent:
    """What all of it took, with so many workers that each take the next body when they are free."""
    waiting = bodies(work.count, work.batch)

    async def worker() -> None:
        for key, body in waiting:
            reply = await post(key, encoded(body))
            if work.batch:
                json.loads(reply)

    stop = stopwatch()
    await asyncio.gather(*(worker() for _ in range(work.in_flight)))
    return stop()


async def aiohttp_seconds(work: argparse.Namespace) -> Spent:
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=work.in_flight)) as session:

        async def post(key: str, body: bytes) -> bytes:
            async with session.post(work.url, data=body, headers={**HEADERS, "webhook-id": key}) as reply:
                reply.raise_for_status()
                return await reply.read()

        return await in_flight_at_once(post, work)


async def httpx_seconds(work: argparse.Namespace) -> Spent:
    import httpx

    limits = httpx.Limits(max_connections=work.in_flight, max_keepalive_connections=work.in_flight)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def post(key: str, body: bytes) -> bytes:
            reply = await client.post(work.url, content=body, headers={**HEADERS, "webhook-id": key})
            return reply.raise_for_status().content

        return await in_flight_at_once(post, work)


async def pyreqwest_seconds(work: argparse.Namespace) -> Spent:
    from pyreqwest.client import ClientBuilder

    async with ClientBuilder().max_connections(work.in_flight).error_for_status().build() as client:

        async def post(key: str, body: bytes) -> bytes:
            request = client.post(work.url).headers({**HEADERS, "webhook-id": key}).body_bytes(body).build()
            reply = await request.send()
            return bytes(await reply.bytes())

        return await in_flight_at_once(post, work)


# --- clients of threads


def threads_seconds(post: Callable[[str, bytes], object], work: argparse.Namespace) -> Spent:
    with ThreadPoolExecutor(work.in_flight) as pool:
        stop = stopwatch()
        for _ in pool.map(lambda pair: post(pair[0], encoded(pair[1])), bodies(work.count, work.batch)):
            pass
        return stop()


def requests_seconds(work: argparse.Namespace) -> Spent:
    import requests

    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=work.in_flight))

    def post(key: str, body: bytes) -> None:
        session.post(work.url, data=body, headers={**HEADERS, "webhook-id": key}, timeout=60).raise_for_status()

    return threads_seconds(post, work)


def urllib3_seconds(work: argparse.Namespace) -> Spent:
    import urllib3

    pool = urllib3.PoolManager(maxsize=work.in_flight, block=True)

    def post(key: str, body: bytes) -> None:
        reply = pool.request("POST", work.url, body=body, headers={**HEADERS, "webhook-id": key})
        if reply.status != 200:
            raise RuntimeError(f"the sink answered {reply.status}")

    return threads_seconds(post, work)


def _on_uvloop(seconds: Callable[[argparse.Namespace], Awaitable[Spent]], work: argparse.Namespace) -> Spent:
    import uvloop

    return uvloop.run(seconds(work))


CLIENTS: dict[str, Callable[[argparse.Namespace], Spent]] = {
    "aiohttp": lambda work: asyncio.run(aiohttp_seconds(work)),
    "aiohttp+uvloop": lambda work: _on_uvloop(aiohttp_seconds, work),
    "httpx": lambda work: asyncio.run(httpx_seconds(work)),
    "pyreqwest": lambda work: asyncio.run(pyreqwest_seconds(work)),
    "requests": requests_seconds,
    "urllib3": urllib3_seconds,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("client", choices=sorted(CLIENTS))
    parser.add_argument("--url", required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--batch", type=int, default=0)
    work = parser.parse_args()
    print(*CLIENTS[work.client](work))


if __name__ == "__main__":
    main()
