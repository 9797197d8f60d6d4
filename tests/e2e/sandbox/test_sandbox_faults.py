"""Faults over real HTTP: what the client sees, and whether the effect was kept, told apart for every kind."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from dagster_project.sandbox.faults import Fault, FaultKind
from dagster_project.sandbox.server import SandboxServer


def upsert(hubspot: Any, *keys: str) -> requests.Response:
    answer: requests.Response = hubspot.upsert(
        "contacts", "loop_entity_id", *({"id": key, "properties": {}} for key in keys)
    )
    return answer


def entities(sandbox: SandboxServer) -> list[str | None]:
    return [effect.entity for effect in sandbox.effects("hubspot")]


@pytest.mark.parametrize(("kind", "kept"), [(FaultKind.DROP_BEFORE, []), (FaultKind.DROP_AFTER, ["C1"])])
def test_a_dropped_connection_before_or_after_the_work(
    sandbox: SandboxServer, hubspot: Any, kind: FaultKind, kept: list[str]
) -> None:
    sandbox.faults.add(Fault(kind=kind, vendor="hubspot", times=1))
    with pytest.raises(requests.ConnectionError):
        upsert(hubspot, "C1")
    assert entities(sandbox) == kept
    assert upsert(hubspot, "C1").status_code == 200
    counted = [(row["status"], row["count"]) for row in sandbox.control.requests() if row["vendor"] == "hubspot"]
    assert counted == [(0, 1), (200, 1)]


def test_a_status_with_a_body_and_headers_replaces_the_work(sandbox: SandboxServer, hubspot: Any) -> None:
    reply = {"message": "busy"}
    sandbox.faults.add(Fault(kind=FaultKind.STATUS, status=503, reply=reply, headers={"Retry-After": "2"}, times=1))
    answer = upsert(hubspot, "C1")
    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (503, reply, "2")
    assert entities(sandbox) == []


@pytest.mark.parametrize(
    ("kind", "text"), [(FaultKind.EMPTY, ""), (FaultKind.MALFORMED, '{"results": [<html>upstream proxy')]
)
def test_a_spoiled_reply_keeps_the_effect(sandbox: SandboxServer, hubspot: Any, kind: FaultKind, text: str) -> None:
    sandbox.faults.add(Fault(kind=kind, vendor="hubspot", times=1))
    answer = upsert(hubspot, "C1")
    assert (answer.status_code, answer.text) == (200, text)
    assert entities(sandbox) == ["C1"]


def test_a_truncated_reply_breaks_off_in_the_body(sandbox: SandboxServer, hubspot: Any) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.TRUNCATED, vendor="hubspot", times=1))
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        upsert(hubspot, "C1")
    assert entities(sandbox) == ["C1"]


def test_a_delayed_reply_outlives_the_clients_deadline_with_the_effect_kept(sandbox: SandboxServer) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.DELAY_REPLY, vendor="hooks", seconds=30, times=1))
    url = f"{sandbox.address.http_url}/hooks/slow"
    with pytest.raises(requests.ReadTimeout):
        requests.post(url, json={}, timeout=(5, 0.3))
    assert len(sandbox.control.hook_deliveries("slow")) == 1


def test_a_delayed_call_is_worked_on_afterwards(sandbox: SandboxServer) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.DELAY, vendor="hooks", seconds=0.05, times=1))
    answer = requests.post(f"{sandbox.address.http_url}/hooks/slow", json={}, timeout=10)
    assert (answer.status_code, answer.elapsed.total_seconds() >= 0.05) == (200, True)


@pytest.mark.parametrize("is_http_date", [False, True])
def test_a_rate_limit_speaks_the_vendors_language(
    sandbox: SandboxServer, hubspot: Any, tryton: Any, is_http_date: bool
) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.RATE_LIMIT, seconds=7, is_http_date=is_http_date))
    answer = upsert(hubspot, "C1")
    assert (answer.status_code, answer.json()["policyName"]) == (429, "TEN_SECONDLY_ROLLING")
    slack = requests.post(f"{sandbox.address.http_url}/slack/api/chat.postMessage", json={}, timeout=10)
    assert (slack.status_code, slack.json()) == (429, {"ok": False, "error": "ratelimited"})
    assert tryton.post("common.db.login", "admin", {}).status_code == 429
    if is_http_date:
        assert parsedate_to_datetime(answer.headers["Retry-After"]).tzinfo is not None
    else:
        assert slack.headers["Retry-After"] == "7"
    assert sandbox.effects() == []


def test_a_vendor_error_speaks_the_vendors_language(sandbox: SandboxServer, hubspot: Any, tryton: Any) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.VENDOR_ERROR, code="missing_scope"))
    assert upsert(hubspot, "C1").json()["category"] == "missing_scope"
    slack = requests.post(f"{sandbox.address.http_url}/slack/api/chat.postMessage", json={}, timeout=10)
    assert slack.json()["needed"] == "chat:write"
    assert tryton.error("party.party.create", [{"name": "x"}]) == ["UserError", ["missing_scope", "", None]]


def test_a_partial_batch_does_the_rest_and_says_what_failed(sandbox: SandboxServer, hubspot: Any) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.PARTIAL, vendor="hubspot", share=0.5, times=1))
    answer = upsert(hubspot, "A", "B", "C", "D")
    assert answer.status_code == 207
    assert [result["properties"]["loop_entity_id"] for result in answer.json()["results"]] == ["A", "B"]
    assert [error["context"]["ids"] for error in answer.json()["errors"]] == [["C"], ["D"]]
    assert answer.json()["numErrors"] == 2
    assert entities(sandbox) == ["A", "B"]


def test_a_batch_of_one_can_be_refused_by_a_partial_fault(sandbox: SandboxServer, hubspot: Any) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.PARTIAL, vendor="hubspot", times=1))
    answer = upsert(hubspot, "A")
    assert (answer.status_code, answer.json()["results"]) == (207, [])
    assert [error["context"]["ids"] for error in answer.json()["errors"]] == [["A"]]
    assert entities(sandbox) == []


def test_missing_results_were_done_all_the_same(sandbox: SandboxServer, hubspot: Any) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.MISSING, vendor="hubspot", share=0.25, times=1))
    answer = upsert(hubspot, "A", "B", "C", "D")
    assert (answer.status_code, len(answer.json()["results"])) == (200, 3)
    assert entities(sandbox) == ["A", "B", "C", "D"]


def test_a_fault_meets_only_what_it_is_meant_for(sandbox: SandboxServer, hubspot: Any) -> None:
    sandbox.faults.add(Fault(kind=FaultKind.STATUS, vendor="hubspot", operation="objects/tasks/batch/*"))
    sandbox.faults.add(Fault(kind=FaultKind.STATUS, vendor="hubspot", body="POISON"))
    assert upsert(hubspot, "C1").status_code == 200
    assert upsert(hubspot, "POISON").status_code == 500
    assert hubspot.upsert("tasks", "loop_key", {"id": "T"}).status_code == 500
    assert [(armed["seen"], armed["struck"]) for armed in sandbox.faults.list()] == [(1, 1), (1, 1)]


def test_faults_are_listed_taken_away_and_checked(sandbox: SandboxServer, hubspot: Any) -> None:
    first = sandbox.faults.add(Fault(kind=FaultKind.STATUS, every=2))
    second = sandbox.faults.add(Fault(kind=FaultKind.EMPTY, times=1))
    assert [armed["id"] for armed in sandbox.faults.list()] == [first, second]
    sandbox.faults.remove(second)
    assert [upsert(hubspot, "C1").status_code for _ in range(4)] == [200, 500, 200, 500]
    sandbox.faults.clear()
    assert sandbox.faults.list() == []
    with pytest.raises(ValueError, match="404"):
        sandbox.faults.remove(second)
    refused = requests.post(f"{sandbox.address.http_url}/_sandbox/faults", json={"kind": "explode"}, timeout=10)
    assert (refused.status_code, "drop_after" in refused.json()["error"]) == (422, True)


def test_settings_are_checked_and_reset_to_those_of_the_start(sandbox: SandboxServer) -> None:
    assert sandbox.control.change_settings(latency=0.001)["latency"] == 0.001
    with pytest.raises(ValueError, match="422"):
        sandbox.control.change_settings(speed=3)
    sandbox.control.reset()
    assert sandbox.control.change_settings()["latency"] == 0.0


def test_the_control_api_answers_no_page_of_another_site(sandbox: SandboxServer) -> None:
    url = f"{sandbox.address.http_url}/_sandbox/reset"
    refused = requests.post(url, headers={"Origin": "https://evil.example"}, timeout=10)
    assert refused.status_code == 403
