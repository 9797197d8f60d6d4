"""The mail listener: takes every message, keeps it, and can be told to refuse or to lose its answer."""

from __future__ import annotations

import asyncio
import json
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from dagster_project.sandbox.credentials import SMTP_PASSWORD, SMTP_USER
from dagster_project.sandbox.faults import Fault, FaultKind
from dagster_project.sandbox.store import now_text
from dagster_project.sandbox.vendor import DROPPED
from dagster_project.sandbox.world import World

VENDOR = "smtp"
MAX_BYTES = 32 * 1024 * 1024


class MailHandler:
    """What aiosmtpd calls for each command of a session; faults match the commands MAIL, RCPT and DATA."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """A sender is named."""
        del session
        refusal = await self._refused(server, "MAIL", address.encode())
        if refusal is not None:
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """A recipient is named."""
        del session
        refusal = await self._refused(server, "RCPT", address.encode())
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """The message has arrived whole: it is kept before the answer leaves."""
        del session
        raw = cast(bytes, envelope.content or b"")
        faults = self._struck("DATA", raw)
        for fault in faults:
            refusal = await self._refusal(server, "DATA", fault)
            if refusal is not None:
                return refusal
        with self._world.store.change():
            mail_id = keep_mail(self._world, envelope, raw)
        await self._world.store.committed()
        for fault in faults:
            if fault.kind is FaultKind.DELAY_REPLY:
                await asyncio.sleep(fault.seconds)
            if fault.kind is FaultKind.DROP_AFTER:
                return self._dropped(server, "DATA")
        self._count("DATA", 250)
        return f"250 2.0.0 Ok: queued as {mail_id}"

    def _struck(self, command: str, content: bytes) -> list[Fault]:
        return self._world.faults.strike(VENDOR, "SMTP", "", command, content)

    async def _refused(self, server: SMTP, command: str, content: bytes) -> str | None:
        for fault in self._struck(command, content):
            refusal = await self._refusal(server, command, fault)
            if refusal is not None:
                return refusal
        return None

    async def _refusal(self, server: SMTP, command: str, fault: Fault) -> str | None:
        if fault.kind is FaultKind.DELAY:
            await asyncio.sleep(fault.seconds)
        if fault.kind is FaultKind.DROP_BEFORE:
            return self._dropped(server, command)
        if fault.kind is FaultKind.RATE_LIMIT:
            self._count(command, 451)
            return "451 4.7.1 Too many messages, try again later"
        if fault.kind is FaultKind.VENDOR_ERROR:
            self._count(command, 550)
            return f"550 5.7.1 {fault.code}"
        if fault.kind is FaultKind.STATUS:
            self._count(command, fault.status)
            return f"{fault.status} {fault.reply if isinstance(fault.reply, str) else 'Refused by the sandbox'}"
        return None

    def _dropped(self, server: SMTP, command: str) -> str:
        self._count(command, DROPPED)
        cast(asyncio.Transport, server.transport).abort()
        return "421 4.4.2 Connection dropped"

    def _count(self, command: str, status: int) -> None:
        self._world.requests[VENDOR, "SMTP", command, status] += 1


def keep_mail(world: World, envelope: Envelope, raw: bytes) -> int:
    """Writes one mail and its effect; returns its number."""
    message = message_from_bytes(raw, policy=policy.default)
    message_id, key = _header(message, "Message-ID"), _header(message, "X-Loop-Key")
    recipients = list(envelope.rcpt_tos)
    cursor = world.store.run(
        "insert into mails (message_id, sender, recipients, subject, raw, received_at) values (?, ?, ?, ?, ?, ?)",
        (
            message_id,
            envelope.mail_from or "",
            json.dumps(recipients),
            _header(message, "Subject") or "",
            raw,
            now_text(),
        ),
    )
    mail_id = int(cursor.lastrowid or 0)
    world.effect(VENDOR, "send", f"mails/{mail_id}", key=key or message_id, path=f"/mail/{mail_id}")
    return mail_id


def _header(message: EmailMessage, name: str) -> str | None:
    value: Any = message.get(name)
    return None if value is None else str(value).strip()


def _authenticated(server: SMTP, session: Session, envelope: Envelope, mechanism: str, credentials: Any) -> AuthResult:
    del server, session, envelope, mechanism
    is_right = (
        isinstance(credentials, LoginPassword)
        and credentials.login == SMTP_USER.encode()
        and credentials.password == SMTP_PASSWORD.encode()
    )
    return AuthResult(success=is_right, handled=is_right)


def smtp_protocol(world: World) -> SMTP:
    """The protocol of one connection: AUTH is offered without TLS and, on the loopback address, not required."""
    return SMTP(
        MailHandler(world),
        hostname="sandbox.localhost",
        ident="sandbox",
        data_size_limit=MAX_BYTES,
        enable_SMTPUTF8=True,
        auth_require_tls=False,
        authenticator=_authenticated,
    )
