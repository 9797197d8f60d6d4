"""E-mail over SMTP: one message per action, with the action's key in its headers.

SMTP has no key that makes a repeat harmless and no way to look, so a message is unkeyed: once its last line may have
reached the server, and no answer came, nobody knows whether it is on its way.
"""

from __future__ import annotations

import asyncio
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from types import MappingProxyType
from typing import Annotated, ClassVar, cast

from pydantic import Field, SecretStr, StringConstraints

from dagster_project.contracts.destination import (
    Connection,
    Destination,
    IdempotencyClass,
    Operation,
    Outcome,
    RateLimit,
    ReasonFor,
    Request,
    SandboxAddress,
)
from dagster_project.respond.destinations.argument_types import OneLine, OptionalText, RenderedArguments
from dagster_project.respond.destinations.guarded_destination import GuardedDestination
from dagster_project.respond.destinations.outcome_mapping import rejected
from dagster_project.respond.destinations.smtp_conversation import SmtpConversation, SmtpSettings

Address = Annotated[str, StringConstraints(pattern=r"^[^\s<>(),;:\"\\@]+@[^\s<>(),;:\"\\@]+$", max_length=254)]
_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]+")


class EmailConnection(Connection):
    """How to reach a mail server."""

    host: str = Field(description="the server's name")
    port: int = Field(587, ge=1, le=65535, description="587 with starttls, 465 with use_tls, 25 for a relay")
    username: str | None = Field(None, description="to sign in with; no sign-in when left out")
    password: SecretStr | None = Field(None, description="to sign in with")
    use_tls: bool = Field(False, description="speak TLS from the first byte")
    starttls: bool = Field(False, description="turn to TLS before signing in; refused servers are not used without it")
    from_address: Address = Field(description="the sender's address")


class SendEmail(RenderedArguments):
    """One message to one person."""

    to: Address = Field(description="one e-mail address")
    subject: OneLine = Field(max_length=900, description="the subject, one line of plain text")
    text: str = Field(min_length=1, description="the message as plain text")
    html: OptionalText = Field(None, description="the message as HTML beside the text; values are escaped")


class Email(GuardedDestination[EmailConnection]):
    """The e-mail connector."""

    name = "email"
    role = "mail"
    connection_type: ClassVar[type[Connection]] = EmailConnection
    operations: ClassVar[Mapping[str, Operation]] = MappingProxyType(
        {
            "send_email": Operation(
                "send_email",
                SendEmail,
                IdempotencyClass.UNKEYED,
                rich_text=frozenset({"html"}),
                description="send one message to one address",
            )
        }
    )
    rate_limit = RateLimit(calls=10, seconds=1.0)
    server_limit = 600.0  # RFC 5321, 4.5.3.2.6: a server may take ten minutes over the end of a message

    @classmethod
    def sandbox_connection(cls, sandbox: SandboxAddress) -> EmailConnection:
        """The connection to the sandbox's mail server."""
        from dagster_project.sandbox import credentials

        return EmailConnection(
            host=sandbox.smtp_host,
            port=sandbox.smtp_port,
            username=credentials.SMTP_USER,
            password=SecretStr(credentials.SMTP_PASSWORD),
            from_address="loop@example.com",
        )

    @classmethod
    def escape(cls, operation: str, text: str) -> str:
        """A value inside the HTML form is escaped."""
        return html.escape(text)

    async def close(self) -> None:
        """Nothing stays open between messages."""

    async def call(self, operation: str, requests: Sequence[Request]) -> Sequence[Outcome]:
        """Sends each message over a connection of its own."""
        return [await self._send(request.key, cast(SendEmail, request.arguments)) for request in requests]

    async def _send(self, key: str, mail: SendEmail) -> Outcome:
        sender = self.connection.from_address
        message = composed(key, mail, sender)
        try:
            content = message.as_bytes()
        except UnicodeError:
            return rejected(ReasonFor.INVALID_REQUEST, "the message has characters that no mail can carry")
        conversation = SmtpConversation(self._settings(), sender, mail.to, content)
        return await conversation.outcome(str(message["Message-ID"]), asyncio.get_running_loop())

    def _settings(self) -> SmtpSettings:
        connection = self.connection
        password = None if connection.password is None else connection.password.get_secret_value()
        sign_in = None if connection.username is None else (connection.username, password or "")
        return SmtpSettings(
            connection.host,
            connection.port,
            sign_in,
            connection.use_tls,
            connection.starttls,
            connection.call_deadline,
        )


def composed(key: str, mail: SendEmail, sender: str) -> EmailMessage:
    """The message of one attempt; its Message-ID and X-Loop-Key are the same in every attempt of a key."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = sender, mail.to, mail.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{_id_of(key)}@{sender.rpartition('@')[2]}>"
    message["X-Loop-Key"] = _id_of(key)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office reply, please
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    return message


def _id_of(key: str) -> str:
    """The key where it can stand in a header as it is, else its hash."""
    return key if _PLAIN_ID.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()


DESTINATION: type[Destination] = Email
