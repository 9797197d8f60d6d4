"""Answers that are JSON and yet not what the vendor documents: no connector raises over them."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import pytest
from fault_server import Call, Fault, Wire, answers_json, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vendor_kits import HTTP_KITS, OVER_HTTP, connection_to

from dagster_project.contracts.destination import Outcome, Request, Verdict
from dagster_project.respond.destinations.registry import discover

weird = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 5) | st.just(1.5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "result", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


class _Recorded:
    """A writer that keeps what a healthy vendor would have sent."""

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        """Nothing waits here."""


def places_in(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to every part of a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for name, child in children for place in places_in(child, (*here, name)))]


def with_part(value: Any, place: tuple[Any, ...], part: Any) -> Any:
    """The value with one part replaced."""
    if not place:
        return part
    changed = copy.deepcopy(value)
    parent = changed
    for name in place[:-1]:
        parent = parent[name]
    parent[place[-1]] = part
    return changed


async def outcome_of(name: str, operation: str, which_call: int, choice: int, part: Any) -> Outcome:
    """Delivers against a vendor that is healthy but for one part of one of its answers."""
    healthy, count = HTTP_KITS[name].healthy(), 0

    def script(call: Call) -> Fault:
        nonlocal count
        count += 1
        return distorted(healthy(call), choice, part) if count == which_call else healthy(call)

    async with serving(script) as server:
        destination = discover()[name].open(connection_to(name, server.url, 5.0))
        arguments = destination.operations[operation].arguments.model_validate(HTTP_KITS[name].samples[operation])
        try:
            (outcome,) = await destination.deliver(operation, [Request("key-1", arguments)])
            return outcome
        finally:
            await destination.close()


def distorted(fault: Fault, choice: int, part: Any) -> Fault:
    async def play(call: Call, wire: Wire) -> None:
        recorded = _Recorded()
        await fault(call, Wire(wire.reader, recorded))  # type: ignore[arg-type]
        body = recorded.sent.partition(b"\r\n\r\n")[2]
        value = json.loads(body) if body else {}
        places = places_in(value)
        await answers_json(with_part(value, places[choice % len(places)], part))(call, wire)

    return play


@pytest.mark.parametrize(("name", "operation"), OVER_HTTP)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(which_call=st.integers(1, 9), choice=st.integers(0, 30), part=weird)
def test_no_shape_of_an_answer_raises(name: str, operation: str, which_call: int, choice: int, part: Any) -> None:
    outcome = asyncio.run(outcome_of(name, operation, which_call, choice, part))
    assert outcome.verdict in Verdict
    if outcome.verdict is Verdict.DELIVERED:
        assert outcome.external_id
