"""Slack: a message whose outcome nobody knows is found by its key, or proven absent, or honestly left unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fault_server import Call, Fault, answers_json, serving
from vendor_kits import connection_to

from dagster_project.contracts.destination import Outcome, Request, Verdict
from dagster_project.respond.destinations.slack import MOST_SEARCHED, Slack
from dagster_project.respond.destinations.slack_client import ERROR_MEANINGS
from dagster_project.respond.destinations.slack_messages import PostMessage

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


def message(ts: str, key: str | None = None) -> dict[str, Any]:
    metadata = {"metadata": {"event_type": "signal_loop_action", "event_payload": {"key": key}}} if key else {}
    return {"type": "message", "ts": ts, "text": "x", **metadata}


def page(messages: list[dict[str, Any]], cursor: str = "") -> dict[str, Any]:
    return {"ok": True, "messages": messages, "response_metadata": {"next_cursor": cursor}}


def reconcile(
    answer: Callable[[str, Mapping[str, str]], Any], attempted_at: datetime | None = LONG_AGO, **changed: str
) -> tuple[Outcome, list[str]]:
    def script(call: Call) -> Fault:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(call.path).query).items()}
        return answers_json(answer(urlsplit(call.path).path.rpartition("/")[2], asked))

    async def scenario() -> tuple[Outcome, list[str]]:
        async with serving(script) as server:
            destination = Slack.open(connection_to("slack", server.url, 5.0))
            post = PostMessage.model_validate({"channel": "C0CHANNEL1", "text": "x", **changed})
            try:
                outcome = await destination.reconcile("post_message", Request("key-1", post, attempted_at))
            finally:
                await destination.close()
            assert outcome is not None
            return outcome, [urlsplit(call.path).path.rpartition("/")[2] for call in server.calls]

    return asyncio.run(scenario())


def test_found_on_a_later_page() -> None:
    def answer(method: str, asked: Mapping[str, str]) -> Any:
        if method != "conversations.history":
            return {"ok": True, "permalink": "https://acme.slack.com/archives/C0CHANNEL1/p20"}
        assert asked["include_all_metadata"] in ("1", "true")
        return page([message("2.0", "key-1")]) if asked.get("cursor") else page([message("3.0", "key-2")], "next")

    outcome, methods = reconcile(answer)
    assert (outcome.verdict, outcome.external_id) == (Verdict.DELIVERED, "2.0")
    assert outcome.url == "https://acme.slack.com/archives/C0CHANNEL1/p20"
    assert methods == ["conversations.history", "conversations.history", "chat.getPermalink"]


def test_proven_absent_when_all_since_the_attempt_was_read() -> None:
    def answer(_method: str, asked: Mapping[str, str]) -> Any:
        assert float(asked["oldest"]) < LONG_AGO.timestamp()
        return page([message("3.0"), message("2.0", "key-2")])

    assert reconcile(answer)[0].verdict is Verdict.RETRY


def test_unknown_when_the_moment_of_the_attempt_is_not_known() -> None:
    assert reconcile(lambda *_: page([]), None)[0].verdict is Verdict.UNKNOWN


def test_unknown_while_slack_may_still_be_working() -> None:
    outcome, _ = reconcile(lambda *_: page([]), datetime.now(UTC))
    assert outcome.verdict is Verdict.UNKNOWN
    assert outcome.retry_after is not None and 0 < outcome.retry_after <= 35


def test_unknown_when_there_are_too_many_messages() -> None:
    outcome, methods = reconcile(lambda *_: page([message("3.0")] * 200, "more"))
    assert outcome.verdict is Verdict.UNKNOWN
    assert len(methods) == MOST_SEARCHED // 200


def test_a_missing_scope_is_named() -> None:
    outcome, _ = reconcile(lambda *_: {"ok": False, "error": "missing_scope", "needed": "channels:history"})
    assert (outcome.verdict, outcome.reason) == ("unknown", "unauthorized")
    assert "channels:history" in outcome.detail


def test_a_thread_is_searched_for_a_reply() -> None:
    outcome, methods = reconcile(lambda *_: page([message("2.5", "key-1")]), thread_ts="2.0")
    assert (outcome.external_id, methods[0]) == ("2.5", "conversations.replies")


def test_a_channel_by_name() -> None:
    def answer(method: str, asked: Mapping[str, str]) -> Any:
        if method == "conversations.list":
            return {
                "ok": True,
                "channels": [{"id": "C0OTHER001", "name": "other"}, {"id": "C0ALERTS01", "name": "alerts"}],
            }
        assert asked["channel"] == "C0ALERTS01"
        return page([message("2.0", "key-1")])

    assert reconcile(answer, channel="#alerts")[0].external_id == "2.0"


@pytest.mark.parametrize("answer", [{"ok": True}, {"ok": True, "messages": "none"}, page([{}, {"metadata": 1}])])
def test_pages_of_another_shape(answer: Any) -> None:
    assert reconcile(lambda *_: answer)[0].verdict is not Verdict.DELIVERED


def post(answer: Any) -> Outcome:
    async def scenario() -> Outcome:
        async with serving(lambda _call: answers_json(answer)) as server:
            destination = Slack.open(connection_to("slack", server.url, 5.0))
            arguments = PostMessage(channel="C0CHANNEL1", text="x")
            try:
                (outcome,) = await destination.deliver("post_message", [Request("key-1", arguments)])
                return outcome
            finally:
                await destination.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("error", "verdict", "reason", "scope"),
    [
        ("channel_not_found", "rejected", "not_found", "action"),
        ("not_in_channel", "rejected", "refused", "action"),
        ("is_archived", "rejected", "refused", "action"),
        ("invalid_blocks", "rejected", "invalid_request", "action"),
        ("msg_too_long", "rejected", "invalid_request", "action"),
        ("an_error_of_tomorrow", "rejected", "refused", "action"),
        ("ratelimited", "retry", "rate_limited", "destination"),
        ("invalid_auth", "retry", "unauthorized", "destination"),
        ("token_revoked", "retry", "unauthorized", "destination"),
        ("account_inactive", "retry", "unauthorized", "destination"),
        ("missing_scope", "retry", "unauthorized", "destination"),
        ("internal_error", "unknown", "server_error", "action"),
        ("fatal_error", "unknown", "server_error", "action"),
        ("service_unavailable", "unknown", "server_error", "destination"),
    ],
)
def test_errors_inside_a_200(error: str, verdict: str, reason: str, scope: str) -> None:
    outcome = post({"ok": False, "error": error, "response_metadata": {"messages": ["[ERROR] why"]}})
    assert (outcome.verdict, outcome.reason, outcome.scope) == (verdict, reason, scope)
    assert error in outcome.detail and "why" in outcome.detail


def test_a_permalink_that_fails_fails_no_delivery() -> None:
    outcome = post({"ok": True, "channel": "C0CHANNEL1", "ts": "2.0"})
    assert (outcome.verdict, outcome.external_id, outcome.url) == ("delivered", "2.0", None)


def test_only_what_may_have_happened_is_unknown() -> None:
    assert {name for name, meaning in ERROR_MEANINGS.items() if meaning.verdict is Verdict.UNKNOWN} == {
        "internal_error",
        "fatal_error",
        "service_unavailable",
    }
