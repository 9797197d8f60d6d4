"""Webhooks: a receiver that knows only the standard accepts them, and refuses them once anything was changed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fault_server import Call, answers, serving
from standardwebhooks.webhooks import Webhook as Receiver
from standardwebhooks.webhooks import WebhookVerificationError
from vendor_kits import SECRETS, connection_to

from dagster_project.contracts.destination import IdempotencyClass, Request
from dagster_project.respond.destinations.webhook import SendEvent, Webhook, WebhookConnection

EVENT = {
    "type": "loop.customer_churn_risk.opened",
    "source": "/signals/customer_churn_risk",
    "subject": "c-1",
    "time": "2026-11-24T07:00:00+00:00",
    "data": {"reason": 'a "quote", a\nline, ünïcode 🙂 and {{ braces }}', "score": 0.91},
}


def received() -> Call:
    async def scenario() -> Call:
        async with serving(lambda _call: answers(202, b"whatever")) as server:
            destination = Webhook.open(connection_to("webhook", server.url, 5.0))
            await destination.deliver("send_event", [Request("act-1", SendEvent.model_validate(EVENT))])
            await destination.close()
            return server.calls[0]

    return asyncio.run(scenario())


def test_the_receiver_verifies_it_and_reads_a_cloud_event() -> None:
    call = received()
    event: Any = Receiver(SECRETS["webhook"][0]).verify(call.body, dict(call.headers))
    assert call.headers["content-type"] == "application/json"
    assert call.headers["webhook-id"] == event["id"] == "act-1"
    assert event == {**EVENT, "specversion": "1.0", "id": "act-1", "datacontenttype": "application/json"}


@pytest.mark.parametrize("changed", ["body", "webhook-id", "webhook-timestamp"])
def test_a_changed_event_is_refused(changed: str) -> None:
    call = received()
    headers, body = dict(call.headers), call.body
    if changed == "body":
        body = json.dumps({**call.json, "subject": "c-2"}).encode()
    else:
        headers[changed] = headers[changed][:-1] + ("1" if headers[changed][-1] != "1" else "2")
    with pytest.raises(WebhookVerificationError):
        Receiver(SECRETS["webhook"][0]).verify(body, headers)


@pytest.mark.parametrize(
    ("promise", "expected"), [(True, IdempotencyClass.IDEMPOTENCY_KEY), (False, IdempotencyClass.UNKEYED)]
)
def test_the_class_follows_the_receivers_promise(promise: bool, expected: IdempotencyClass) -> None:
    settings = {"url": "http://127.0.0.1:1", "secret": SECRETS["webhook"][0], "receiver_deduplicates": promise}
    opened = Webhook.open(WebhookConnection.model_validate(settings))
    assert opened.operations["send_event"].idempotency is expected
