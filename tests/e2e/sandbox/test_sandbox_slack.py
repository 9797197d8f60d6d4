"""The sandbox's Slack through the real slack-sdk client: messages, threads, metadata, limits and errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import requests
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from dagster_project.sandbox import credentials
from dagster_project.sandbox.server import SandboxServer
from dagster_project.sandbox.slack.channels import STARTING_CHANNELS

Talk = Callable[[Callable[[AsyncWebClient], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture
def talk(sandbox: SandboxServer) -> Talk:
    """Runs a conversation with the sandbox on a client of its own."""

    def run(conversation: Callable[[AsyncWebClient], Coroutine[Any, Any, Any]]) -> Any:
        base = f"{sandbox.address.http_url}/slack/api/"
        client = AsyncWebClient(token=credentials.SLACK_BOT_TOKEN, base_url=base, retry_handlers=[])
        return asyncio.run(conversation(client))

    return run


def metadata(key: str) -> dict[str, Any]:
    return {"event_type": "loop_action", "event_payload": {"key": key, "entity_id": "C1"}}


def refusal(talk: Talk, conversation: Callable[[AsyncWebClient], Coroutine[Any, Any, Any]]) -> Any:
    with pytest.raises(SlackApiError) as caught:
        talk(conversation)
    return caught.value.response


def test_a_message_is_posted_by_channel_name_and_carries_its_key(sandbox: SandboxServer, talk: Talk) -> None:
    async def conversation(client: AsyncWebClient) -> tuple[Any, Any]:
        posted = await client.chat_postMessage(channel="#retention", text="hello", metadata=metadata("k1"))
        link = await client.chat_getPermalink(channel=posted["channel"], message_ts=posted["ts"])
        return posted, link

    posted, link = talk(conversation)
    assert posted["message"]["text"] == "hello"
    (effect,) = sandbox.effects("slack")
    assert (effect.idempotency_key, effect.entity, effect.is_created) == ("k1", "C1", True)
    assert effect.url == link["permalink"]
    assert requests.get(link["permalink"], timeout=10).status_code == 200


def test_history_gives_metadata_only_when_asked_and_leaves_threads_out(talk: Talk) -> None:
    async def conversation(client: AsyncWebClient) -> list[Any]:
        first = await client.chat_postMessage(channel="retention", text="one", metadata=metadata("k1"))
        channel, ts = first["channel"], first["ts"]
        reply = await client.chat_postMessage(channel=channel, text="re", thread_ts=ts, metadata=metadata("k2"))
        again = await client.chat_postMessage(channel=channel, text="re re", thread_ts=reply["ts"])
        second = await client.chat_postMessage(channel=channel, text="two")
        bare = await client.conversations_history(channel=channel)
        told = await client.conversations_history(channel=channel, include_all_metadata=True, latest=second["ts"])
        since = await client.conversations_history(channel=channel, oldest=ts)
        whole = await client.conversations_history(channel=channel, oldest=ts, inclusive=True)
        thread = await client.conversations_replies(channel=channel, ts=ts, include_all_metadata=True)
        return [bare, told, since, whole, thread, again, ts]

    bare, told, since, whole, thread, again, ts = talk(conversation)
    assert [message["text"] for message in bare["messages"]] == ["two", "one"]
    assert "metadata" not in bare["messages"][1]
    assert [message["metadata"]["event_payload"]["key"] for message in told["messages"]] == ["k1"]
    assert [message["text"] for message in since["messages"]] == ["two"]
    assert [message["text"] for message in whole["messages"]] == ["two", "one"]
    assert [message["text"] for message in thread["messages"]] == ["one", "re", "re re"]
    assert thread["messages"][0]["reply_count"] == 2
    assert again["message"]["thread_ts"] == ts


def test_history_and_channels_come_in_pages(talk: Talk) -> None:
    async def conversation(client: AsyncWebClient) -> tuple[list[str], list[str], list[str]]:
        last: Any = None
        for number in range(5):
            last = await client.chat_postMessage(channel="alerts", text=f"m{number}")
            await client.chat_postMessage(channel=last["channel"], text=f"r{number}", thread_ts=last["ts"])
        texts, cursor = [], None
        while True:
            page = await client.conversations_history(channel=last["channel"], limit=2, cursor=cursor)
            texts += [message["text"] for message in page["messages"]]
            if not page["has_more"]:
                break
            cursor = page["response_metadata"]["next_cursor"]
        names, cursor = [], None
        while True:
            page = await client.conversations_list(limit=5, cursor=cursor)
            names += [channel["name"] for channel in page["channels"]]
            cursor = page["response_metadata"]["next_cursor"]
            if not cursor:
                break
        thread = await client.conversations_replies(channel=last["channel"], ts=last["ts"])
        return texts, names, [message["text"] for message in thread["messages"]]

    texts, names, thread = talk(conversation)
    assert texts == ["m4", "m3", "m2", "m1", "m0"]
    assert sorted(names) == sorted(STARTING_CHANNELS)
    assert thread == ["m4", "r4"]


def test_a_message_can_be_changed_and_reacted_to(sandbox: SandboxServer, talk: Talk) -> None:
    async def conversation(client: AsyncWebClient) -> Any:
        posted = await client.chat_postMessage(channel="retention", text="old", metadata=metadata("k1"))
        channel, ts = posted["channel"], posted["ts"]
        await client.chat_update(channel=channel, ts=ts, text="new", blocks=[{"type": "divider"}])
        await client.reactions_add(channel=channel, timestamp=ts, name="eyes")
        return (await client.conversations_history(channel=channel, include_all_metadata=True))["messages"][0]

    message = talk(conversation)
    assert (message["text"], message["blocks"], message["metadata"]) == ("new", [{"type": "divider"}], metadata("k1"))
    assert message["reactions"][0]["name"] == "eyes"
    assert message["edited"]["ts"] > message["ts"]
    assert [(effect.operation, effect.is_created) for effect in sandbox.effects("slack")] == [
        ("chat.postMessage", True),
        ("chat.update", False),
        ("reactions.add:eyes", False),
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel": "#nowhere", "text": "x"}, "channel_not_found"),
        ({"channel": "retention", "text": ""}, "no_text"),
        ({"channel": "retention", "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": "retention", "text": "x", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"channel": "retention", "text": "x", "blocks": [{"type": "carpet"}]}, "invalid_blocks"),
        ({"channel": "retention", "text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_schema"),
        ({"channel": "retention", "text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
    ],
)
def test_a_wrong_message_is_refused(sandbox: SandboxServer, talk: Talk, arguments: dict[str, Any], error: str) -> None:
    answer = refusal(talk, lambda client: client.api_call("chat.postMessage", json=arguments))
    assert (answer.status_code, answer["error"]) == (200, error)
    assert sandbox.effects() == []


def test_a_name_is_no_id_outside_of_posting(talk: Talk) -> None:
    assert (
        refusal(talk, lambda client: client.conversations_history(channel="retention"))["error"] == "channel_not_found"
    )
    assert refusal(talk, lambda client: client.chat_update(channel="retention", ts="1", text="x"))["error"] == (
        "channel_not_found"
    )


@pytest.mark.parametrize(("token", "error"), [("", "not_authed"), ("xoxb-wrong", "invalid_auth")])
def test_a_missing_or_wrong_token_is_refused(sandbox: SandboxServer, token: str, error: str) -> None:
    url = f"{sandbox.address.http_url}/slack/api/auth.test"
    answer = requests.post(url, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=10)
    assert (answer.status_code, answer.json()) == (200, {"ok": False, "error": error})


def test_arguments_and_token_may_come_as_a_form(sandbox: SandboxServer) -> None:
    url = f"{sandbox.address.http_url}/slack/api/chat.postMessage"
    form = {
        "token": credentials.SLACK_BOT_TOKEN,
        "channel": "general",
        "text": "a & b ✓",
        "blocks": '[{"type": "section", "text": {"type": "mrkdwn", "text": "*b*"}}]',
    }
    answer = requests.post(url, data=form, timeout=10).json()
    assert (answer["ok"], answer["message"]["text"]) == (True, "a & b ✓")
    assert answer["message"]["blocks"][0]["text"]["text"] == "*b*"


def test_a_missing_scope_is_named(sandbox: SandboxServer, talk: Talk) -> None:
    sandbox.control.change_settings(slack_scopes=["channels:read"])
    answer = refusal(talk, lambda client: client.chat_postMessage(channel="general", text="x"))
    assert (answer["error"], answer["needed"], answer["provided"]) == ("missing_scope", "chat:write", "channels:read")


def test_a_channel_takes_a_burst_and_then_asks_to_wait(sandbox: SandboxServer, talk: Talk) -> None:
    sandbox.control.change_settings(slack_messages_per_second=0.001, slack_burst=2)

    async def conversation(client: AsyncWebClient) -> None:
        await client.chat_postMessage(channel="sales", text="another channel has its own limit")
        for _ in range(3):
            await client.chat_postMessage(channel="general", text="x")

    answer = refusal(talk, conversation)
    assert (answer.status_code, answer["error"]) == (429, "ratelimited")
    assert 900 <= int(answer.headers["Retry-After"]) <= 1000
    assert len(sandbox.effects("slack")) == 3


def test_auth_test_names_the_bot_and_channels_can_be_made(talk: Talk) -> None:
    async def conversation(client: AsyncWebClient) -> tuple[Any, Any]:
        made = await client.conversations_create(name="incident-7")
        await client.chat_postMessage(channel="incident-7", text="x")
        return await client.auth_test(), await client.conversations_info(channel=made["channel"]["id"])

    who, channel = talk(conversation)
    assert who["bot_id"] == credentials.SLACK_BOT_ID
    assert channel["channel"]["name"] == "incident-7"
    assert refusal(talk, lambda client: client.conversations_create(name="sales"))["error"] == "name_taken"
    assert refusal(talk, lambda client: client.api_call("files.upload"))["error"] == "unknown_method"
