"""E-mail, every step of the conversation going wrong in every way: the outcome, and that no secret is in it."""

from __future__ import annotations

import asyncio
import email
import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from email.policy import default
from typing import Any

import pytest
from contract_report import MAIL, ContractReport
from fault_cases import DELIVERED, DOWN, REPLY_LOST, SETTINGS, SIGN_IN, TIMED_OUT, Expected
from smtp_fault_server import DROP, SILENCE, SmtpFaultServer, serving_smtp
from vendor_kits import SECRETS
from verdict_words import told_with_consequence

from dagster_project.contracts.destination import Outcome, Request
from dagster_project.respond.destinations.email import Email, EmailConnection, SendEmail

REFUSED = Expected("rejected", "refused")
LATER = Expected("retry", "refused")
PASSWORD = SECRETS["email"][0]
BEFORE_THE_MESSAGE = ("connect", "ehlo", "auth", "mail", "rcpt", "data")


@dataclass(frozen=True)
class Case:
    """One step of the conversation, what the server says there, and what that must come to."""

    step: str
    reply: str
    expected: Expected


CASES = [
    *(Case(step, DROP, DOWN) for step in BEFORE_THE_MESSAGE),
    *(Case(step, SILENCE, DOWN) for step in BEFORE_THE_MESSAGE),
    Case("message", DROP, REPLY_LOST),
    Case("message", SILENCE, TIMED_OUT),
    Case("connect", "421 busy", DOWN),
    Case("connect", "554 no service here", DOWN),
    Case("ehlo", "421 closing", DOWN),
    Case("auth", "535 bad credentials", SIGN_IN),
    Case("auth", "534 too weak", SIGN_IN),
    Case("auth", "454 not now", SIGN_IN),
    Case("ehlo", "250 mail.example.com", SETTINGS),  # offers no sign-in
    Case("mail", "452 no room", LATER),
    Case("mail", "530 sign in first", REFUSED),
    Case("mail", "553 not your address", REFUSED),
    Case("rcpt", "450 mailbox busy", LATER),
    Case("rcpt", "421 closing", DOWN),
    Case("rcpt", "550 no such mailbox", REFUSED),
    Case("data", "451 local error", LATER),
    Case("data", "554 no", REFUSED),
    Case("data", "250 what?", Expected("retry", "malformed_reply")),
    Case("message", "421 closing", DOWN),
    Case("message", "451 try again", LATER),
    Case("message", "552 too large", REFUSED),
    Case("message", "554 spam", REFUSED),
    Case("message", "354 more?", Expected("unknown", "malformed_reply")),
    Case("message", "what?", Expected("unknown", "malformed_reply")),
    Case("quit", DROP, DELIVERED),
    Case("quit", "500 rude", DELIVERED),
]


async def deliver(port: int, **settings: Any) -> Outcome:
    """Sends one message to a server on the port."""
    chosen = {"username": "mailer", "password": PASSWORD, "call_deadline": 5.0, **settings}
    connection = EmailConnection(host="127.0.0.1", port=port, from_address="loop@example.com", **chosen)
    mail = SendEmail(to="ada@example.com", subject="Grüße – hello", text="First\n.second\n..third\n", html="<b>ü</b>")
    (outcome,) = await Email.open(connection).deliver("send_email", [Request("act-1", mail)])
    return outcome


def run(replies: Mapping[str, str], **settings: Any) -> tuple[Outcome, SmtpFaultServer]:
    async def scenario() -> tuple[Outcome, SmtpFaultServer]:
        async with serving_smtp(replies) as server:
            return await deliver(server.port, **settings), server

    return asyncio.run(scenario())


def judged_part(outcome: Outcome) -> Expected:
    return Expected(str(outcome.verdict), str(outcome.reason), outcome.scope)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.step}: {case.reply}")
def test_fault(case: Case, caplog: pytest.LogCaptureFixture, contract_report: ContractReport) -> None:
    caplog.set_level(logging.DEBUG)
    outcome, server = run({case.step: case.reply}, call_deadline=0.4 if case.reply == SILENCE else 5.0)
    assert judged_part(outcome) == case.expected, outcome.detail
    assert (outcome.external_id is None) == (case.expected is not DELIVERED)
    assert PASSWORD not in repr(outcome) + caplog.text
    if case.step in BEFORE_THE_MESSAGE:
        assert server.messages == []
    idempotency = Email.operations["send_email"].idempotency
    said = {DROP: "breaks the connection", SILENCE: "says nothing"}.get(case.reply, f"`{case.reply}`")
    contract_report.row(
        MAIL, [case.step, said], [told_with_consequence(outcome, idempotency), str(len(server.messages))]
    )


def test_a_server_that_echoes_the_password() -> None:
    outcome, _ = run({"auth": f"535 no such password: {PASSWORD}"})
    assert judged_part(outcome) == SIGN_IN
    assert PASSWORD not in repr(outcome) and "***" in outcome.detail


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outcome = asyncio.run(deliver(unused.getsockname()[1]))
    assert judged_part(outcome) == DOWN


def test_tls_is_asked_for_and_not_offered() -> None:
    outcome, server = run({}, starttls=True)
    assert judged_part(outcome) == SETTINGS
    assert not any(command.startswith("AUTH") for command in server.commands)


def test_tls_is_spoken_to_a_server_without() -> None:
    outcome, server = run({}, use_tls=True, call_deadline=0.5)
    assert judged_part(outcome) == DOWN
    assert server.messages == []


def test_what_arrives() -> None:
    outcome, server = run({})
    assert judged_part(outcome) == DELIVERED
    (sent,) = server.messages
    message = email.message_from_bytes(sent.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n."), policy=default)
    assert message["Message-ID"] == outcome.external_id == "<act-1@example.com>"
    assert (message["X-Loop-Key"], message["To"], message["Subject"]) == ("act-1", "ada@example.com", "Grüße – hello")
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None and html is not None
    assert text.get_content().splitlines() == ["First", ".second", "..third"]
    assert html.get_content().strip() == "<b>ü</b>"


def test_nothing_can_be_told_afterwards() -> None:
    connection = EmailConnection(host="127.0.0.1", port=1, from_address="loop@example.com")
    request = Request("act-1", SendEmail(to="ada@example.com", subject="s", text="t"))
    assert asyncio.run(Email.open(connection).reconcile("send_email", request)) is None
