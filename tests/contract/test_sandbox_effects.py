"""Every destination against the sandbox: what it says was done is there, and a repeat does what its class allows."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from vendor_kits import HTTP_KITS

from dagster_project.contracts.destination import Destination, IdempotencyClass, Outcome, Request, Verdict
from dagster_project.respond.destinations.registry import discover
from dagster_project.sandbox.effects import Effect
from dagster_project.sandbox.faults import Fault, FaultKind
from dagster_project.sandbox.server import SandboxServer

MAIL = {"send_email": {"to": "ada@example.com", "subject": "Grüße", "text": "Hello\n.a dot\n", "html": "<b>Hello</b>"}}
# What a kit's sample needs to be accepted by a vendor that checks it.
FITTING: dict[str, dict[str, Any]] = {
    "upsert_contact": {"properties": {"jobtitle": "Engineer"}},
    "post_message": {"channel": "#alerts"},
}
OPERATIONS = [
    (name, operation)
    for name, kind in sorted(discover().items())
    for operation in kind.operations
    if operation != "update_task"  # needs a task first: see below
]
SANDBOX_NAMES = {"email": "smtp", "webhook": "hooks"}


def opened(name: str, sandbox: SandboxServer) -> Destination:
    kind = discover()[name]
    return kind.open(kind.sandbox_connection(sandbox.address))


def sample_of(name: str, operation: str) -> dict[str, Any]:
    samples = HTTP_KITS[name].samples if name in HTTP_KITS else MAIL
    return {**samples[operation], **FITTING.get(operation, {})}


def request_for(destination: Destination, operation: str, key: str, **changed: Any) -> Request:
    arguments = {**sample_of(destination.name, operation), **changed}
    return Request(key, destination.operations[operation].arguments.model_validate(arguments))


def delivered_one_by_one(destination: Destination, operation: str, requests: list[Request]) -> list[Outcome]:
    async def scenario() -> list[Outcome]:
        try:
            if operation == "assign_task":  # it is about a contact, which has to be there
                contact = request_for(destination, "upsert_contact", "contact")
                await destination.deliver("upsert_contact", [contact])
            return [outcome for one in requests for outcome in await destination.deliver(operation, [one])]
        finally:
            await destination.close()

    return asyncio.run(scenario())


def effects_of(sandbox: SandboxServer, name: str, outcome: Outcome) -> list[Effect]:
    """The sandbox's own record of what made the outcome's record."""
    found = sandbox.effects(SANDBOX_NAMES.get(name, name))
    return found if outcome.url is None else [effect for effect in found if effect.url == outcome.url]


@pytest.mark.parametrize(("name", "operation"), OPERATIONS)
def test_delivered(name: str, operation: str, sandbox: SandboxServer) -> None:
    destination = opened(name, sandbox)
    (outcome,) = delivered_one_by_one(destination, operation, [request_for(destination, operation, "key-1")])
    assert outcome.verdict is Verdict.DELIVERED, outcome.detail
    assert outcome.external_id
    assert [effect for effect in effects_of(sandbox, name, outcome) if effect.is_created]


@pytest.mark.parametrize(("name", "operation"), OPERATIONS)
def test_a_repeat_has_the_effect_that_its_class_allows(name: str, operation: str, sandbox: SandboxServer) -> None:
    destination = opened(name, sandbox)
    request = request_for(destination, operation, "key-1")
    first, second = delivered_one_by_one(destination, operation, [request, request])
    is_safe = destination.operations[operation].idempotency is not IdempotencyClass.UNKEYED
    created_twice = sandbox.control.effect_counts()["created_more_than_once"]
    assert second.verdict is Verdict.DELIVERED, second.detail
    assert (created_twice == []) == is_safe
    if is_safe:
        assert (first.external_id, first.url) == (second.external_id, second.url)
        records = [effect.record for effect in effects_of(sandbox, name, first) if effect.is_created]
        assert len(records) == len(set(records))


@pytest.mark.parametrize(
    ("name", "operation"), [one for one in OPERATIONS if one[0] in ("hubspot", "tryton")], ids=lambda value: value
)
def test_every_reply_is_lost_once_and_one_record_is_left(name: str, operation: str, sandbox: SandboxServer) -> None:
    """Each call of the operation in turn loses its reply; the attempts that follow end with one record."""
    sandbox.faults.add(Fault(kind=FaultKind.DROP_AFTER, vendor=name, every=2))
    destination = opened(name, sandbox)
    outcomes = delivered_one_by_one(destination, operation, [request_for(destination, operation, "key-1")] * 12)
    assert {outcome.verdict for outcome in outcomes} <= {Verdict.UNKNOWN, Verdict.RETRY, Verdict.DELIVERED}
    sandbox.faults.clear()
    (last,) = delivered_one_by_one(opened(name, sandbox), operation, [request_for(destination, operation, "key-1")])
    assert last.verdict is Verdict.DELIVERED, last.detail
    assert sandbox.control.effect_counts()["created_more_than_once"] == []


def test_a_task_is_updated(sandbox: SandboxServer) -> None:
    destination = opened("hubspot", sandbox)
    task = request_for(destination, "assign_task", "key-1")
    (made,) = delivered_one_by_one(destination, "assign_task", [task])
    change = request_for(destination, "update_task", "key-2", task_id=made.external_id)
    for outcome in delivered_one_by_one(opened("hubspot", sandbox), "update_task", [change, change]):
        assert (outcome.verdict, outcome.external_id) == (Verdict.DELIVERED, made.external_id), outcome.detail


@pytest.mark.parametrize("name", sorted(HTTP_KITS.keys() - {"webhook"}))
def test_a_wrong_secret_pauses_the_whole_destination(name: str, sandbox: SandboxServer) -> None:
    kind = discover()[name]
    secret = "password" if name == "tryton" else "token"
    settings = kind.sandbox_connection(sandbox.address).model_dump()
    destination = kind.open(kind.connection_type.model_validate({**settings, secret: "wrong-s3cret"}))
    operation = next(iter(destination.operations))
    (outcome,) = delivered_one_by_one(destination, operation, [request_for(destination, operation, "key-1")])
    assert (outcome.verdict, outcome.reason, outcome.scope) == ("retry", "unauthorized", "destination")
    assert "wrong-s3cret" not in repr(outcome)
    assert sandbox.effects(name) == []


@pytest.mark.parametrize("name", sorted(HTTP_KITS))
def test_a_rate_limit_is_no_failure_of_the_action(name: str, sandbox: SandboxServer) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.RATE_LIMIT, vendor=SANDBOX_NAMES.get(name, name), seconds=9))
    destination = opened(name, sandbox)
    operation = next(iter(destination.operations))
    (outcome,) = delivered_one_by_one(destination, operation, [request_for(destination, operation, "key-1")])
    assert (outcome.verdict, outcome.reason, outcome.scope) == ("retry", "rate_limited", "destination")
    assert outcome.retry_after == 9


def test_a_slack_message_whose_reply_was_lost_is_found_again(sandbox: SandboxServer) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.DROP_AFTER, vendor="slack", operation="chat.postMessage", times=1))
    destination = opened("slack", sandbox)

    async def scenario() -> tuple[Outcome, Outcome | None]:
        request = request_for(destination, "post_message", "key-1")
        (lost,) = await destination.deliver("post_message", [request])
        found = await destination.reconcile("post_message", replace(request, attempted_at=datetime.now(UTC)))
        await destination.close()
        return lost, found

    lost, found = asyncio.run(scenario())
    assert (lost.verdict, lost.reason) == ("unknown", "reply_lost")
    assert found is not None and found.verdict is Verdict.DELIVERED
    assert [effect.url for effect in effects_of(sandbox, "slack", found)] == [found.url]


def test_an_expired_session_is_renewed(sandbox: SandboxServer) -> None:
    destination = opened("tryton", sandbox)

    async def scenario() -> list[Outcome]:
        request = request_for(destination, "create_purchase_order", "key-1")
        first = await destination.deliver("create_purchase_order", [request])
        sandbox.control.expire_tryton_sessions()
        second = await destination.deliver("create_purchase_order", [request])
        await destination.close()
        return [*first, *second]

    first, second = asyncio.run(scenario())
    assert second.verdict is Verdict.DELIVERED and first.external_id == second.external_id


def test_open_purchase_lines(sandbox: SandboxServer) -> None:
    destination = opened("tryton", sandbox)

    async def scenario() -> Any:
        requests = [request_for(destination, "create_purchase_order", f"key-{i}") for i in range(2)]
        for request in requests:
            await destination.deliver("create_purchase_order", [request])
        try:
            return await destination.look_up("open_purchase_lines", ["SKU-1", "SKU-2"])
        finally:
            await destination.close()

    assert asyncio.run(scenario()) == {
        "SKU-1": {"quantity": "24", "references": ["key-0", "key-1"]},
        "SKU-2": {"quantity": "0", "references": []},
    }
