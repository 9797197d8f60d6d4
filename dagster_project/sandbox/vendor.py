"""Carries a call through the stations that all HTTP vendors share: latency, faults, the work itself, commit, reply."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Protocol

from dagster_project.sandbox.calls import Call, Reply, json_reply
from dagster_project.sandbox.faults import Fault, FaultKind
from dagster_project.sandbox.world import World

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DROPPED = 0  # counted as the status of a call whose connection the sandbox broke
logger = logging.getLogger(__name__)


class Vendor(Protocol):
    """What a vendor brings: names, answers, and its own way to say no."""

    name: str

    def operation(self, call: Call) -> str:
        """The name that fault matchers and counters know this call by."""
        ...

    def answer(self, call: Call) -> Reply:
        """Does what the call asks. All its changes are undone when it raises."""
        ...

    def rate_limited(self, headers: dict[str, str]) -> Reply:
        """The vendor's own answer to too many calls."""
        ...

    def refused(self, code: str) -> Reply:
        """The vendor's own answer to an error with this code."""
        ...


class VendorApp:
    """An ASGI application around one vendor, mounted at /<vendor name>."""

    def __init__(self, vendor: Vendor, world: World) -> None:
        self._vendor = vendor
        self._world = world
        self._prefix_length = len(vendor.name) + 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = await self._read(scope, receive)
        world, vendor = self._world, self._vendor
        operation = vendor.operation(call)
        if world.settings.latency:
            await asyncio.sleep(world.settings.latency)
        faults = world.faults.strike(vendor.name, call.method, call.path, operation, call.body)
        reply = await self._answer(call, faults) if faults else self._work(call)
        if reply is not None:
            reply = await self._commit(reply)
        for fault in faults:
            if fault.kind is FaultKind.DELAY_REPLY:
                await asyncio.sleep(fault.seconds)
        is_cut = any(fault.kind is FaultKind.TRUNCATED for fault in faults)
        is_lost = reply is None or any(fault.kind is FaultKind.DROP_AFTER for fault in faults)
        status = DROPPED if reply is None or is_lost else reply.status
        world.requests[vendor.name, call.method, operation, status] += 1
        if reply is None or is_lost:
            await break_connection(scope, receive)
        elif is_cut:
            await send_truncated(reply, scope, receive, send)
        else:
            await send_reply(reply, send)

    async def _read(self, scope: Scope, receive: Receive) -> Call:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"][self._prefix_length :]
        return Call(scope["method"], path, scope["query_string"].decode("latin-1"), headers, body)

    def _work(self, call: Call) -> Reply:
        try:
            with self._world.store.change():
                return self._vendor.answer(call)
        except Exception:  # whatever breaks here must reach the client as a server's fault, as with a real vendor
            logger.exception("%s: %s %s failed; nothing was kept", self._vendor.name, call.method, call.path)
            return Reply(500, b"Internal Server Error", content_type="text/plain")

    async def _commit(self, reply: Reply) -> Reply:
        try:
            await self._world.store.committed()
        except Exception:  # a full disk: the effect is undone, so the client must not read success
            logger.exception("%s: the commit failed; nothing was kept", self._vendor.name)
            return Reply(500, b"Internal Server Error", content_type="text/plain")
        return reply

    async def _answer(self, call: Call, faults: Sequence[Fault]) -> Reply | None:
        for fault in faults:
            if fault.kind is FaultKind.DELAY:
                await asyncio.sleep(fault.seconds)
        for fault in faults:
            if fault.kind is FaultKind.DROP_BEFORE:
                return None
            refusal = refusal_of(fault, self._vendor)
            if refusal is not None:
                return refusal
        partial = next((fault for fault in faults if fault.kind is FaultKind.PARTIAL), None)
        if partial is None:
            reply = self._work(call)
        else:
            call.body, is_any_left, struck = split_batch(call.body, partial.share)
            done = self._work(call) if is_any_left else json_reply(200, {"status": "COMPLETE", "results": []})
            reply = with_refused_inputs(done, struck)
        for fault in faults:
            reply = spoiled(fault.kind, reply, fault.share)
        return reply


def refusal_of(fault: Fault, vendor: Vendor) -> Reply | None:
    """The reply of a fault that keeps the call from being worked on at all."""
    if fault.kind is FaultKind.RATE_LIMIT:
        return vendor.rate_limited({"Retry-After": fault.retry_after()})
    if fault.kind is FaultKind.VENDOR_ERROR:
        return vendor.refused(fault.code)
    if fault.kind is not FaultKind.STATUS:
        return None
    if isinstance(fault.reply, str):
        return Reply(fault.status, fault.reply.encode(), dict(fault.headers), "text/plain;charset=utf-8")
    if fault.reply is None:
        return Reply(fault.status, b"", dict(fault.headers), "text/plain;charset=utf-8")
    return json_reply(fault.status, fault.reply, dict(fault.headers))


def spoiled(kind: FaultKind, reply: Reply, share: float) -> Reply:
    """The reply as a fault of this kind leaves it; kinds that do not touch the body leave it as it is."""
    if kind is FaultKind.EMPTY:
        return Reply(reply.status, b"", reply.headers, reply.content_type)
    if kind is FaultKind.MALFORMED:
        return Reply(reply.status, b'{"results": [<html>upstream proxy', reply.headers, reply.content_type)
    if kind is FaultKind.MISSING:
        return without_results(reply, share)
    return reply


def split_batch(body: bytes, share: float) -> tuple[bytes, bool, list[dict[str, Any]]]:
    """Takes the last `share` of a batch's inputs out (at least one).

    Returns the body without them, whether anything is left in it, and them. A body that is no batch stays whole.
    """
    try:
        batch = json.loads(body)
        inputs = batch["inputs"]
    except (ValueError, KeyError, TypeError):
        return body, True, []
    kept = len(inputs) - max(1, math.ceil(len(inputs) * share))
    batch["inputs"] = inputs[:kept]
    return json.dumps(batch).encode(), kept > 0, list(inputs[kept:])


def with_refused_inputs(reply: Reply, struck: Sequence[dict[str, Any]]) -> Reply:
    """A batch answer that says of the struck inputs that they failed, as HubSpot's multi-status answers do."""
    if not struck or reply.status >= 300:
        return reply
    answer = json.loads(reply.body)
    errors = list(answer.get("errors", []))
    for item in struck:
        identity = item.get("id") or (item.get("from") or {}).get("id")
        context = {"ids": [str(identity)]}
        if "objectWriteTraceId" in item:
            context["objectWriteTraceId"] = [item["objectWriteTraceId"]]
        errors.append(
            {
                "status": "error",
                "category": "VALIDATION_ERROR",
                "message": "The record could not be written",
                "context": context,
            }
        )
    answer |= {"numErrors": len(errors), "errors": errors}
    return json_reply(207, answer, reply.headers)


def without_results(reply: Reply, share: float) -> Reply:
    """A batch answer that keeps silent about the last `share` of its results (at least one)."""
    try:
        answer = json.loads(reply.body)
        results = answer["results"]
    except (ValueError, KeyError, TypeError):
        return reply
    answer["results"] = results[: len(results) - max(1, math.ceil(len(results) * share))]
    return json_reply(reply.status, answer, reply.headers)


def _start(reply: Reply, length: int) -> Message:
    headers = [(b"content-type", reply.content_type.encode()), (b"content-length", str(length).encode())]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in reply.headers.items()]
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


async def send_reply(reply: Reply, send: Send) -> None:
    """Sends the whole reply."""
    await send(_start(reply, len(reply.body)))
    await send({"type": "http.response.body", "body": reply.body})


async def send_truncated(reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
    """Promises the whole body, sends half of it and breaks the connection."""
    await send(_start(reply, max(2, len(reply.body))))
    await send({"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True})
    await break_connection(scope, receive)


async def break_connection(scope: Scope, receive: Receive) -> None:
    """Resets the client's connection without a (further) byte."""
    scope["state"]["transport"].abort()
    while (await receive())["type"] != "http.disconnect":
        pass
