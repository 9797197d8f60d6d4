"""Records are read back from the destinations: what a person changed there is told apart from a fault of ours."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from small_loop import STEPS, SmallLoop, signal_with
from sqlalchemy import update
from tryton_company import Administrator
from tryton_server import TrytonServer

from dagster_project.contracts.destination import Request
from dagster_project.ledger.controls import Person, pause
from dagster_project.ledger.samples import NoSuchSample, note_person_s_verdict
from dagster_project.ledger.schema import playbook_versions, sampled_records, samples
from dagster_project.respond.destinations.hubspot_arguments import UpsertContact
from dagster_project.sandbox import credentials
from dagster_project.sandbox.server import SandboxServer
from dagster_project.verify.audit_trail import recount
from dagster_project.verify.reading_back import SampleReport, take_sample

WEEK = timedelta(days=7)


def sampled(loop: SmallLoop, seed: int = 1) -> dict[str, tuple[str, list[str]]]:
    """The verdict on each step's action of the one entity, with its findings."""
    report = take_sample(loop.around, "by_hand", WEEK, 50, seed)
    return {row.step: (verdict.verdict, list(verdict.findings)) for row, verdict in report.verdicts}


def crm(sandbox: SandboxServer, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
    """What a person does in the CRM, over its API."""
    url = f"{sandbox.address.http_url}/hubspot/crm/objects/2026-03/{path}"
    headers = {"Authorization": f"Bearer {credentials.HUBSPOT_TOKEN}"}
    requests.request(method, url, headers=headers, json=body, timeout=10).raise_for_status()


def erp(sandbox: SandboxServer) -> Administrator:
    url = f"{sandbox.address.http_url}/tryton"
    database, user, password = credentials.TRYTON_DATABASE, credentials.TRYTON_USER, credentials.TRYTON_PASSWORD
    return Administrator(url, database, user, password).sign_in()


@pytest.fixture
def acted(loop: SmallLoop) -> SmallLoop:
    loop.flag("C1")
    loop.run()
    assert {row.state for row in loop.rows()} == {"delivered"}, loop.said
    return loop


def test_what_was_done_and_left_alone_matches(acted: SmallLoop) -> None:
    found = sampled(acted)

    assert {step: found[step] for step in ("join", "call", "order", "tell")} == {
        step: ("match", []) for step in ("join", "call", "order", "tell")
    }
    assert found["write"] == ("unreadable", ["email cannot be asked about send_email"])


def test_a_contact_that_a_person_changed_is_told_as_changed(acted: SmallLoop) -> None:
    contact = acted.action("C1", "join").external_id
    crm(acted.sandbox, "PATCH", f"contacts/{contact}", {"properties": {"firstname": "Grace"}})
    verdict, findings = sampled(acted)["join"]

    assert verdict == "changed"
    assert findings[0] == "differs: firstname"
    assert "Grace" not in str(findings)


def test_a_task_that_was_deleted_is_gone(acted: SmallLoop) -> None:
    crm(acted.sandbox, "DELETE", f"tasks/{acted.action('C1', 'call').external_id}")

    assert sampled(acted)["call"][0] == "gone"
    assert sampled(acted)["join"][0] == "match"


def test_a_contact_that_left_the_list_is_noticed(acted: SmallLoop) -> None:
    contact = str(acted.action("C1", "join").external_id)
    list_id = acted.action("C1", "join").result_json.split('"list_id": "')[1].split('"')[0]
    url = f"{acted.sandbox.address.http_url}/hubspot/crm/lists/2026-03/{list_id}/memberships/remove"
    headers = {"Authorization": f"Bearer {credentials.HUBSPOT_TOKEN}"}
    requests.put(url, headers=headers, json=[contact], timeout=10).raise_for_status()

    assert sampled(acted)["join"] == ("mismatch", ["differs: member of Win-back"])


def test_an_order_that_was_deleted_in_the_erp_is_gone(acted: SmallLoop) -> None:
    order = int(acted.action("C1", "order").external_id)
    erp(acted.sandbox).call("model.purchase.purchase.cancel", [order], {})
    erp(acted.sandbox).call("model.purchase.purchase.delete", [order], {})

    assert sampled(acted)["order"][0] == "gone"


def test_an_order_with_another_quantity_is_told_as_changed(acted: SmallLoop) -> None:
    admin, order = erp(acted.sandbox), int(acted.action("C1", "order").external_id)
    (line,) = admin.search("purchase.line", [["purchase", "=", order]])
    admin.call("model.purchase.line.write", [line], {"quantity": 9.0}, {})

    verdict, findings = sampled(acted)["order"]
    assert (verdict, findings[0]) == ("changed", "differs: line P-C1")


def test_a_second_order_with_the_same_key_is_a_mismatch(acted: SmallLoop) -> None:
    admin, action = erp(acted.sandbox), acted.action("C1", "order")
    (order,) = admin.read("purchase.purchase", [int(action.external_id)], "company", "currency", "party")
    values = {name: order[name] for name in ("company", "currency", "party")}
    admin.create("purchase.purchase", reference=action.action_id, **values)

    assert sampled(acted)["order"] == ("mismatch", ["more than once: 2 records carry the key"])


def test_a_message_that_was_edited_is_told_as_changed(acted: SmallLoop) -> None:
    action = acted.action("C1", "tell")
    channel = action.result_json.split('"channel": "')[1].split('"')[0]
    reply = requests.post(
        f"{acted.sandbox.address.http_url}/slack/api/chat.update",
        headers={"Authorization": f"Bearer {credentials.SLACK_BOT_TOKEN}"},
        json={"channel": channel, "ts": action.external_id, "text": "never mind"},
        timeout=10,
    )
    assert reply.json()["ok"], reply.text

    assert sampled(acted)["tell"][1][0] == "differs: text"
    assert sampled(acted)["tell"][0] in ("changed", "mismatch")


def test_what_the_loop_itself_wrote_later_is_no_difference(acted: SmallLoop) -> None:
    """A later episode's upsert of the same contact sets its name anew; the first request is not held against it."""
    acted.flag("C1", name="Ada the second")
    acted.run()
    report = take_sample(acted.around, "by_hand", WEEK, 50)

    joined = [verdict.verdict for row, verdict in report.verdicts if row.step == "join"]
    assert joined == ["match", "match"]


def test_a_playbook_that_was_changed_in_the_ledger_is_a_mismatch(acted: SmallLoop) -> None:
    with acted.database.writing() as connection:
        text = acted.rows(playbook_versions)[0].content_json.replace("Win-back", "Win-forth")
        connection.execute(update(playbook_versions).values(content_json=text))

    assert sampled(acted)["join"][0] == "mismatch"


def test_a_paused_destination_is_not_asked(acted: SmallLoop) -> None:
    pause(acted.database, "destination:hubspot", Person("ann", "maintenance"))
    found = sampled(acted)

    assert found["join"] == ("unreadable", ["hubspot is paused or takes nothing now"])
    assert found["order"][0] == "match"


def test_a_sample_is_filed_with_its_seed_and_can_be_drawn_again(loop: SmallLoop) -> None:
    loop.flag(*(f"C{number}" for number in range(12)))
    loop.run()
    once = take_sample(loop.around, "daily", WEEK, 20, seed=7)
    again = take_sample(loop.around, "daily", WEEK, 20, seed=7)
    other = take_sample(loop.around, "daily", WEEK, 20, seed=8)

    def drawn(report: SampleReport) -> set[str]:
        return {row.action_id for row, _ in report.verdicts}

    assert drawn(once) == drawn(again) != drawn(other)
    assert Counter(row.step for row, _ in once.verdicts) == dict.fromkeys(("join", "call", "order", "tell", "write"), 4)
    assert [row.seed for row in sorted(loop.rows(samples), key=lambda row: row.drawn_at)] == [7, 7, 8]
    with loop.database.reading() as connection:
        assert recount(connection).holds


def test_a_person_s_verdict_is_kept_beside_the_loop_s(acted: SmallLoop) -> None:
    sampled(acted)
    row = next(one for one in acted.rows(sampled_records) if one.step == "write")
    note_person_s_verdict(acted.database, row.sample_id, row.action_id, "match", Person("ann", "seen in the inbox"))
    (kept,) = acted.rows(sampled_records, action_id=row.action_id)

    assert (kept.verdict, kept.person, kept.person_verdict) == ("unreadable", "ann", "match")
    with pytest.raises(NoSuchSample):
        note_person_s_verdict(acted.database, "none", row.action_id, "match", Person("ann", "x"))
    with pytest.raises(ValueError, match="is none of"):
        note_person_s_verdict(acted.database, row.sample_id, row.action_id, "fine", Person("ann", "x"))


def test_late_work_is_noted(loop: SmallLoop) -> None:
    loop.flag("C1")
    loop.clock.ahead = timedelta(hours=2)
    loop.run()
    report = take_sample(loop.around, "by_hand", WEEK, 50)

    assert {row.step: verdict.is_in_time for row, verdict in report.verdicts}["join"] is False


def test_a_read_back_says_nothing_of_what_a_request_left_out(loop: SmallLoop) -> None:
    connector = loop.bindings["crm"].open()
    written = connector.written_by("upsert_contact", Request("k", UpsertContact(entity_id="C1", phone="1")))
    asyncio.run(connector.close())

    assert written == {"loop_entity_id", "phone"}


def test_an_order_deleted_in_a_real_tryton_is_caught(
    tryton_server: TrytonServer, sandbox: SandboxServer, tmp_path: Path
) -> None:
    steps = [step for step in STEPS if step["role"] == "erp"]
    real = {"destinations": {"tryton": tryton_server.connection()}}
    loop = SmallLoop(sandbox, tmp_path, signal_with(steps), real)
    loop.flag("C1", "C2", "C3")
    loop.run()
    assert Counter(verdict for verdict, _ in [sampled(loop)["order"]]) == {"match": 1}
    admin = tryton_server.administrator()
    admin.call("model.purchase.purchase.cancel", [int(loop.action("C2", "order").external_id)], {})
    admin.call("model.purchase.purchase.delete", [int(loop.action("C2", "order").external_id)], {})
    (line,) = admin.search("purchase.line", [["purchase", "=", int(loop.action("C3", "order").external_id)]])
    admin.call("model.purchase.line.write", [line], {"quantity": 9.0}, {})
    report = take_sample(loop.around, "by_hand", WEEK, 50)

    verdicts = {row.external_id: verdict.verdict for row, verdict in report.verdicts}
    assert verdicts == {
        loop.action("C1", "order").external_id: "match",
        loop.action("C2", "order").external_id: "gone",
        loop.action("C3", "order").external_id: "changed",
    }
    loop.database.close()
