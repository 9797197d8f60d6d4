"""The sandbox's mail listener through smtplib, and its webhook sink through plain HTTP."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import Any

import pytest
import requests

from dagster_project.sandbox import credentials
from dagster_project.sandbox.faults import Fault, FaultKind
from dagster_project.sandbox.server import SandboxServer


def letter(key: str | None = "act-1") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "loop@example.com", "ann@example.com", "Grüße ✓"
    message["Message-ID"] = "<act-1@loop>"
    if key is not None:
        message["X-Loop-Key"] = key
    message.set_content("Hello <b>Ann</b>,\n.\nwelcome.")
    return message


def send(sandbox: SandboxServer, message: EmailMessage) -> None:
    with smtplib.SMTP(sandbox.address.smtp_host, sandbox.address.smtp_port, timeout=10) as client:
        client.send_message(message)


@pytest.mark.parametrize(("key", "expected"), [("act-1", "act-1"), (None, "<act-1@loop>")])
def test_a_mail_is_kept_with_its_key(sandbox: SandboxServer, key: str | None, expected: str) -> None:
    send(sandbox, letter(key))
    (effect,) = sandbox.effects("smtp")
    assert effect.idempotency_key == expected
    page = requests.get(str(effect.url), timeout=10).text
    assert "Grüße ✓" in page
    assert "Hello &lt;b&gt;Ann&lt;/b&gt;," in page
    assert "ann@example.com" in page


def test_login_is_offered_and_checked(sandbox: SandboxServer) -> None:
    with smtplib.SMTP(sandbox.address.smtp_host, sandbox.address.smtp_port, timeout=10) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(credentials.SMTP_USER, "wrong")
        client.login(credentials.SMTP_USER, credentials.SMTP_PASSWORD)
        client.send_message(letter())
    assert len(sandbox.effects("smtp")) == 1


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": FaultKind.STATUS, "status": 451, "reply": "4.3.0 later"}, 451),
        ({"kind": FaultKind.STATUS, "status": 554, "reply": "5.7.1 never"}, 554),
        ({"kind": FaultKind.RATE_LIMIT}, 451),
        ({"kind": FaultKind.VENDOR_ERROR, "code": "mailbox unavailable"}, 550),
    ],
)
def test_a_refused_mail_is_not_kept(sandbox: SandboxServer, command: str, fault: dict[str, Any], status: int) -> None:
    sandbox.faults.add(Fault(vendor="smtp", operation=command, times=1, **fault))
    with pytest.raises(smtplib.SMTPException) as caught:
        send(sandbox, letter())
    answered = caught.value.recipients["ann@example.com"][0] if command == "RCPT" else caught.value.smtp_code  # type: ignore[attr-defined]
    assert answered == status
    assert sandbox.effects() == []
    send(sandbox, letter())
    assert len(sandbox.effects("smtp")) == 1


@pytest.mark.parametrize(("kind", "kept"), [(FaultKind.DROP_BEFORE, 0), (FaultKind.DROP_AFTER, 1)])
def test_a_connection_dropped_at_data_loses_the_answer_not_the_order(
    sandbox: SandboxServer, kind: FaultKind, kept: int
) -> None:
    sandbox.faults.add(Fault(kind=kind, vendor="smtp", operation="DATA", times=1))
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(sandbox, letter())
    assert len(sandbox.effects("smtp")) == kept
    send(sandbox, letter())
    assert len(sandbox.effects("smtp")) == kept + 1


def test_a_hook_counts_deliveries_by_their_webhook_id(sandbox: SandboxServer) -> None:
    url = f"{sandbox.address.http_url}/hooks/n8n"
    for webhook_id, times in (("e1", 1), ("e2", 1), ("e1", 2)):
        headers = {"webhook-id": webhook_id, "webhook-signature": "v1,abc"}
        assert requests.post(url, json={"id": webhook_id}, headers=headers, timeout=10).json() == {"received": times}
    deliveries = sandbox.control.hook_deliveries("n8n")
    assert [(item["webhook_id"], item["body"]) for item in deliveries] == [
        ("e1", '{"id": "e1"}'),
        ("e2", '{"id": "e2"}'),
        ("e1", '{"id": "e1"}'),
    ]
    assert deliveries[0]["headers"]["webhook-signature"] == "v1,abc"
    (repeated,) = sandbox.control.effect_counts()["created_more_than_once"]
    assert (repeated["idempotency_key"], repeated["created"]) == ("e1", 2)
    assert "2 times" in requests.get(url, timeout=10).text
