"""The pages: every record has one, what others wrote is shown as text, and nothing is loaded from elsewhere."""

from __future__ import annotations

import re
import smtplib
from email.message import EmailMessage
from typing import Any

import pytest
import requests

from dagster_project.sandbox import credentials
from dagster_project.sandbox.server import SandboxServer

EVIL = "<script>alert('x')</script>"


def get(sandbox: SandboxServer, path: str, status: int = 200) -> str:
    answer = requests.get(path if path.startswith("http") else sandbox.address.http_url + path, timeout=10)
    assert answer.status_code == status, path
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in answer.text
    return answer.text


def post_messages(sandbox: SandboxServer) -> None:
    """A message of blocks and a reply to it."""
    section = f"*bold* {EVIL} <https://example.com/?a=1&amp;b=2|a link>"
    button = {"type": "button", "url": "javascript:alert(1)", "text": {"type": "plain_text", "text": "Go"}}
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": EVIL}},
        {"type": "section", "text": {"type": "mrkdwn", "text": section}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Owner*\nJo"}]},
        {"type": "actions", "elements": [button]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": EVIL}]},
    ]
    url = f"{sandbox.address.http_url}/slack/api/chat.postMessage"
    headers = {"Authorization": f"Bearer {credentials.SLACK_BOT_TOKEN}"}
    message = {"channel": "retention", "text": EVIL, "blocks": blocks}
    posted = requests.post(url, json=message, headers=headers, timeout=10).json()
    reply = {"channel": "retention", "text": f"_re_ {EVIL}", "thread_ts": posted["ts"]}
    requests.post(url, json=reply, headers=headers, timeout=10)


@pytest.fixture
def filled(sandbox: SandboxServer, hubspot: Any, tryton: Any) -> SandboxServer:
    """A sandbox with one record of each kind, every text of it hostile."""
    owner = hubspot("GET", "/crm/v3/owners?email=jo.smith@example.com").json()["results"][0]["id"]
    contact = hubspot.contact("C1", firstname=EVIL, email="ann@example.com", hubspot_owner_id=owner)
    asked = {"name": f"Win back {EVIL}", "objectTypeId": "0-1", "processingType": "MANUAL"}
    list_id = hubspot("POST", "/crm/v3/lists/", asked).json()["list"]["listId"]
    hubspot("PUT", f"/crm/v3/lists/{list_id}/memberships/add", [contact])
    note = f"<p>Call <b>soon</b></p>{EVIL}<a href='javascript:alert(1)'>here</a>"
    values = {"hs_timestamp": "2020-01-01T10:00:00Z", "hs_task_subject": f"Call {EVIL}", "hs_task_priority": "HIGH"}
    values |= {"hs_task_body": note, "hubspot_owner_id": owner}
    task = hubspot.upsert("tasks", "loop_key", {"id": "T1", "properties": values}).json()["results"][0]["id"]
    inputs = [{"from": {"id": task}, "to": {"id": contact}}]
    hubspot("POST", "/crm/v4/associations/tasks/contacts/batch/associate/default", {"inputs": inputs})
    hubspot.upsert("companies", "loop_entity_id", {"id": "A1", "properties": {"name": EVIL}})
    hubspot.upsert("tickets", "loop_key", {"id": "K1", "properties": {"subject": EVIL, "content": EVIL}})
    party = tryton("party.party.create", [{"name": EVIL, "code": "SUP-1"}])[0]
    line = {
        "type": "line",
        "quantity": 2.0,
        "unit_price": {"__class__": "Decimal", "decimal": "3.50"},
        "description": EVIL,
    }
    tryton.draft_order("ref-1", party, line)
    child = {"name": f"Kick-off {EVIL}", "type": "task"}
    project = {"name": EVIL, "type": "project", "party": party, "comment": EVIL, "children": [["create", [child]]]}
    tryton("project.work.create", [project])
    post_messages(sandbox)
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = "loop@example.com", "ann@example.com", EVIL
    letter.set_content(f"<h1>Hello</h1>{EVIL}<img src='https://example.com/x.png'>", subtype="html")
    with smtplib.SMTP(sandbox.address.smtp_host, sandbox.address.smtp_port, timeout=10) as client:
        client.send_message(letter)
    requests.post(f"{sandbox.address.http_url}/hooks/n8n", data=EVIL.encode(), timeout=10)
    return sandbox


def test_every_effects_url_shows_its_record(filled: SandboxServer) -> None:
    urls = {str(effect.url) for effect in filled.effects() if effect.url}
    assert len(urls) >= 10
    for url in urls:
        get(filled, url)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/crm", "/crm/tasks", "/crm/contacts", "/crm/companies", "/crm/tickets"),
        *("/erp", "/erp/projects", "/erp/parties", "/erp/products", "/chat", "/mail", "/hooks", "/hooks/n8n"),
    ],
)
def test_every_overview_loads_full_and_empty(filled: SandboxServer, path: str) -> None:
    text = get(filled, path)
    assert "http-equiv" not in text
    assert re.search(r"<[^>]*\b(src|srcset|background)=", text) is None
    filled.control.reset()
    get(filled, path)


def test_a_campaign_shows_its_members_and_a_task_its_contact(filled: SandboxServer) -> None:
    campaign = get(filled, "/crm/lists/1")
    assert "1 member" in campaign
    assert "ann@example.com" in campaign
    tasks = get(filled, "/crm/tasks")
    assert "Jo Smith" in tasks
    assert "overdue" in tasks
    assert 'href="/crm/contacts/1"' in tasks
    task = get(filled, "/crm/tasks/2")
    assert "<b>soon</b>" in task
    assert "javascript:" not in task


def test_an_order_shows_lines_and_total_and_a_project_its_checklist(filled: SandboxServer) -> None:
    order = get(filled, "/erp/purchases/1")
    assert "7.00 USD" in order
    assert "ref-1" in order
    assert "Kick-off &lt;script&gt;" in get(filled, "/erp/projects")


def test_a_channel_shows_threads_and_renders_mrkdwn(filled: SandboxServer) -> None:
    channel = get(filled, "/chat/retention")
    assert "<strong>bold</strong>" in channel
    assert '<a href="https://example.com/?a=1&amp;b=2" rel="noreferrer">a link</a>' in channel
    assert "<em>re</em>" in channel
    assert "javascript:" not in channel


@pytest.mark.parametrize(
    "path",
    [
        *("/crm/tasks/99", "/crm/spaceships", "/crm/lists/9", "/erp/purchases/9", "/erp/projects/9"),
        *("/erp/parties/99", "/erp/products/9", "/chat/nowhere", "/chat/C1/1.0", "/mail/9", "/hooks/n8n/99"),
        "/favicon.ico",
    ],
)
def test_what_does_not_exist_is_said_so(sandbox: SandboxServer, path: str) -> None:
    assert "Not found" in get(sandbox, path, 404)


def test_long_lists_come_in_pages(sandbox: SandboxServer, hubspot: Any) -> None:
    for start in (0, 60):
        hubspot.upsert("contacts", "loop_entity_id", *({"id": f"C{start + n}", "properties": {}} for n in range(60)))
    first = get(sandbox, "/crm/contacts")
    assert 'href="?offset=100"' in first
    second = get(sandbox, "/crm/contacts?offset=100")
    assert second.count('href="/crm/contacts/') == 20
    assert "offset=200" not in second
