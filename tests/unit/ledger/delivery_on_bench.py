"""Delivery and questions on a bench's ledger, by a connector that says what a test wants it to say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, cast

from ledger_bench import DELIVERED, LEASE, RETRY, Bench, step
from pydantic import Field

from dagster_project.contracts.destination import (
    Destination,
    IdempotencyClass,
    Operation,
    OperationArguments,
    Outcome,
    RateLimit,
    Request,
)
from dagster_project.contracts.playbook import Step
from dagster_project.contracts.warehouse import DuckDBTarget
from dagster_project.ledger.claims import release
from dagster_project.ledger.destination_state import CircuitPolicy
from dagster_project.respond.delivery import DeliveryReport, deliver_step
from dagster_project.respond.enrichment import LookedUp
from dagster_project.respond.workshop import DeliveryPolicy, Workshop

FAST = RateLimit(1000, 1.0)


class Text(OperationArguments):
    text: str


class ShortText(OperationArguments):
    """What a later release of the connector takes."""

    text: str = Field(max_length=10)


class TextTo(OperationArguments):
    text: str
    channel: str


def texting(name: str, role: str, **more: Any) -> Step:
    """A step that says the row's text."""
    return step(name, role, arguments={"text": "{{ row.text }}"}, **more)


def operation(
    name: str,
    arguments: type[OperationArguments] = Text,
    idempotency: IdempotencyClass = IdempotencyClass.UPSERT,
    batch_size: int = 1,
) -> dict[str, Operation]:
    return {name: Operation(name, arguments, idempotency, batch_size)}


@dataclass
class Connector:
    """Keeps what it was sent and asked; its answers come from the test."""

    name: str
    operations: Mapping[str, Operation]
    answer: Callable[[Request], Outcome] = lambda _: DELIVERED
    found: Callable[[Request], Outcome | None] = lambda _: None
    looked_up: Callable[[str, Sequence[str]], Mapping[str, Mapping[str, Any]]] = lambda _, keys: {k: {} for k in keys}
    before_answer: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)
    lookups: frozenset[str] = frozenset()
    rate_limit: RateLimit = FAST
    server_limit: float = 0.0
    sent: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def deliver(self, _operation: str, requests: Sequence[Request]) -> Sequence[Outcome]:
        self.sent += [cast(Text, request.arguments).text for request in requests]
        await self.before_answer()
        return [self.answer(request) for request in requests]

    async def reconcile(self, _operation: str, request: Request) -> Outcome | None:
        self.asked.append(cast(Text, request.arguments).text)
        return self.found(request)

    async def look_up(self, lookup: str, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return self.looked_up(lookup, keys)

    async def close(self) -> None: ...

    @staticmethod
    def escape(_operation: str, text: str) -> str:
        return text


@dataclass
class Hand:
    """A run's hand: what it opened, and what it said."""

    bench: Bench
    connectors: Mapping[str, Connector]  # by role
    said: list[str] = field(default_factory=list)

    @contextmanager
    def at_work(self) -> Any:
        held = self.bench.claim()
        yield Workshop(
            database=self.bench.database,
            claim=held,
            target=DuckDBTarget(Path("no_warehouse.duckdb"), "main"),
            models={},
            destinations=cast(Mapping[str, Destination], self.connectors),
            looked_up=LookedUp(),
            policy=DeliveryPolicy(RETRY, CircuitPolicy(5, 30, 900), LEASE, in_flight_calls=32, random=Random(1)),
            say=self.said.append,
        )
        release(self.bench.database, held)

    def deliver(self, step_name: str | None = None) -> DeliveryReport:
        """One whole run of a step: claim, send, give back."""
        with self.at_work() as workshop:
            return asyncio.run(deliver_step(workshop, step_name))


def hand(bench: Bench, **connectors: Connector) -> Hand:
    return Hand(bench, connectors)
