"""E-mail against a real SMTP server (aiosmtpd): signed in by STARTTLS, refused, and never without trust."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from tls_server import self_signed

from dagster_project.contracts.destination import Outcome, Request
from dagster_project.respond.destinations.email import Email, EmailConnection, SendEmail


class Mailbox(Message):
    """Keeps what was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def handle_message(self, message: Any) -> None:
        self.kept.append(message)


def authenticate(_server: SMTP, _session: Any, _envelope: Any, _mechanism: str, login: Any) -> AuthResult:
    is_right = isinstance(login, LoginPassword) and (login.login, login.password) == (b"mailer", b"sm7p s3cret")
    return AuthResult(success=is_right, handled=False)


@contextmanager
def mail_server(**settings: Any) -> Iterator[tuple[Mailbox, int]]:
    mailbox = Mailbox()
    with socket.socket() as free:  # the controller connects to the port it was told, so that 0 does not do
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(mailbox, "127.0.0.1", port=port, **settings)
    controller.start()
    try:
        yield mailbox, port
    finally:
        controller.stop()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path / "server.pem")


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def deliver(port: int, **settings: Any) -> Outcome:
    chosen = {"username": "mailer", "password": "sm7p s3cret", "call_deadline": 10.0, **settings}
    connection = EmailConnection(host="localhost", port=port, from_address="loop@example.com", **chosen)
    mail = SendEmail(to="ada@example.com", subject="Grüße", text="First\n.second\n" + "long " * 400)
    (outcome,) = asyncio.run(Email.open(connection).deliver("send_email", [Request("act-1", mail)]))
    return outcome


def test_by_starttls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    secure = {"tls_context": server_context(certificate), "require_starttls": True, "authenticator": authenticate}
    with mail_server(auth_required=True, **secure) as (mailbox, port):
        outcome = deliver(port, starttls=True)
    assert outcome.verdict == "delivered", outcome.detail
    (message,) = mailbox.kept
    assert (message["X-Loop-Key"], message["Message-ID"]) == ("act-1", outcome.external_id)
    assert message.get_payload(decode=True).decode().splitlines()[:2] == ["First", ".second"]


def test_without_trust_no_password_leaves(certificate: Path) -> None:
    signed_in: list[Any] = []

    def watch(*arguments: Any) -> AuthResult:
        signed_in.append(arguments)
        return AuthResult(success=True)

    with mail_server(tls_context=server_context(certificate), authenticator=watch) as (mailbox, port):
        outcome = deliver(port, starttls=True)
    assert (outcome.verdict, outcome.reason, outcome.scope) == ("retry", "unreachable", "destination")
    assert mailbox.kept == signed_in == []


def test_a_wrong_password(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    secure = {"tls_context": server_context(certificate), "require_starttls": True, "authenticator": authenticate}
    with mail_server(auth_required=True, **secure) as (mailbox, port):
        outcome = deliver(port, starttls=True, password="wr0ng")
    assert (outcome.verdict, outcome.reason, outcome.scope) == ("retry", "unauthorized", "destination")
    assert mailbox.kept == []


def test_without_signing_in() -> None:
    with mail_server() as (mailbox, port):
        outcome = deliver(port, username=None, password=None)
    assert outcome.verdict == "delivered", outcome.detail
    assert len(mailbox.kept) == 1
