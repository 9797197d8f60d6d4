"""Webhooks: a signal's event as a CloudEvent to any receiver, signed in the Standard Webhooks form.

The body is application/json and not application/cloudevents+json, under which some receivers (n8n) see an empty body.
Any 2xx is an acceptance, whatever its body says, as the Standard Webhooks specification has it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar, Self, cast

from pydantic import Field, SecretStr, field_validator

from dagster_project.contracts.destination import (
    Connection,
    Destination,
    IdempotencyClass,
    Operation,
    Outcome,
    RateLimit,
    Request,
    SandboxAddress,
    Verdict,
)
from dagster_project.respond.destinations.argument_types import (
    OptionalMoment,
    OptionalText,
    RenderedArguments,
    Required,
)
from dagster_project.respond.destinations.guarded_destination import GuardedDestination
from dagster_project.respond.destinations.http_transport import HttpTransport
from dagster_project.respond.destinations.outcome_mapping import (
    MISADDRESSED,
    Failure,
    Meaning,
    is_success,
    outcome_of_failure,
    outcome_of_status,
)

_compact_json = json.JSONEncoder(separators=(",", ":")).encode
# The address is the receiver as a whole: when it is not there, or gone for good, no event can reach it.
STATUS_OVERRIDES: Mapping[int, Meaning] = {404: MISADDRESSED, 410: MISADDRESSED}


class WebhookConnection(Connection):
    """One receiver."""

    url: SecretStr = Field(description="the receiver's address; treated as a secret, since many carry a token")
    secret: SecretStr = Field(description="the signing secret that the receiver verifies with, whsec_...")
    receiver_deduplicates: bool = Field(
        False, description="whether the receiver promises to act once per webhook-id; only then is an event sent again"
    )

    @field_validator("secret")
    @classmethod
    def _can_sign(cls, secret: SecretStr) -> SecretStr:
        try:
            key = base64.b64decode(secret.get_secret_value().removeprefix("whsec_") + "==")
        except (binascii.Error, ValueError):
            key = b""
        if not key:
            raise ValueError("a webhook secret is whsec_ followed by base64")
        return secret


class SendEvent(RenderedArguments):
    """A CloudEvent; its id is the action's key."""

    type: Required = Field(description="what happened, such as signal-loop.customer_churn_risk.opened")
    source: Required = Field(description="where it happened: a URI reference such as /signals/customer_churn_risk")
    subject: OptionalText = Field(None, description="the entity it happened to")
    time: OptionalMoment = Field(None, description="when it happened, ISO 8601 with a time zone")
    data: dict[str, Any] = Field(default_factory=dict, description="the event's own data, any JSON object")


def _operations(idempotency: IdempotencyClass) -> Mapping[str, Operation]:
    send = Operation("send_event", SendEvent, idempotency, description="send a signed CloudEvent to the receiver")
    return MappingProxyType({send.name: send})


class Webhook(GuardedDestination[WebhookConnection]):
    """The webhook connector.

    What makes a repeat harmless depends on the receiver, so it depends on the connection: `open` gives a
    `DeduplicatedWebhook` where the receiver promises to act once per id. Read `operations` from the opened instance.
    """

    name = "webhook"
    role = "hook"
    connection_type: ClassVar[type[Connection]] = WebhookConnection
    operations: ClassVar[Mapping[str, Operation]] = _operations(IdempotencyClass.UNKEYED)
    rate_limit = RateLimit(calls=50, seconds=1.0)
    server_limit = 30.0

    def __init__(self, connection: WebhookConnection) -> None:
        from standardwebhooks.webhooks import Webhook as Signer

        super().__init__(connection)
        self._transport = HttpTransport(connection.call_deadline)
        self._signer = Signer(connection.secret.get_secret_value())

    @classmethod
    def open(cls, connection: Connection) -> Self:
        """Makes the connector of the class that the receiver's promise allows."""
        opened = super().open(connection)
        if opened.connection.receiver_deduplicates and cls is Webhook:
            return cast(Self, DeduplicatedWebhook(opened.connection))
        return opened

    @classmethod
    def sandbox_connection(cls, sandbox: SandboxAddress) -> WebhookConnection:
        """The connection to the sandbox's receiver, which keeps every delivery, repeated ones too."""
        from dagster_project.sandbox import credentials

        return WebhookConnection(
            url=SecretStr(f"{sandbox.http_url}/hooks/loop"),
            secret=SecretStr(credentials.WEBHOOK_SECRET),
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()

    async def call(self, operation: str, requests: Sequence[Request]) -> Sequence[Outcome]:
        """Sends each event."""
        return [await self._send(request.key, cast(SendEvent, request.arguments)) for request in requests]

    async def _send(self, key: str, event: SendEvent) -> Outcome:
        body = _compact_json(cloud_event(key, event))
        headers = {"content-type": "application/json", **self._signature(key, body)}
        url = self.connection.url.get_secret_value()
        answer = await self._transport.call("POST", url, headers=headers, data=body.encode())
        if isinstance(answer, Failure):
            return outcome_of_failure(answer)
        if not is_success(answer.status):
            return outcome_of_status(answer, datetime.now(UTC), STATUS_OVERRIDES)
        return Outcome(Verdict.DELIVERED, external_id=key, status=answer.status)

    def _signature(self, key: str, body: str) -> dict[str, str]:
        sent_at = datetime.now(UTC)
        return {
            "webhook-id": key,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": self._signer.sign(key, sent_at, body),
        }


class DeduplicatedWebhook(Webhook):
    """A webhook whose receiver acts once per webhook-id, so that an event may be sent again."""

    operations: ClassVar[Mapping[str, Operation]] = _operations(IdempotencyClass.IDEMPOTENCY_KEY)


def cloud_event(key: str, event: SendEvent) -> dict[str, Any]:
    """The event in CloudEvents' structured JSON form (specification 1.0)."""
    optional = {"subject": event.subject, "time": None if event.time is None else event.time.isoformat()}
    return {
        "specversion": "1.0",
        "id": key,
        "type": event.type,
        "source": event.source,
        **{name: value for name, value in optional.items() if value is not None},
        "datacontenttype": "application/json",
        "data": event.data,
    }


DESTINATION: type[Destination] = Webhook
