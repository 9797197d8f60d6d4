"""Slack: messages in channels and threads, found again by the key in their metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import Field, SecretStr

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
    Verdict,
)
from dagster_project.contracts.read_back import ReadBack
from dagster_project.respond.destinations.guarded_destination import GuardedDestination
from dagster_project.respond.destinations.http_transport import HttpTransport
from dagster_project.respond.destinations.outcome_mapping import malformed, retry, unknown
from dagster_project.respond.destinations.slack_client import asked, opened_client
from dagster_project.respond.destinations.slack_messages import EVENT_TYPE, PostMessage, escaped, message_of

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

_CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{7,}")
MOST_SEARCHED = 1000  # messages that a reconciliation reads
SEARCHED_BACK = timedelta(hours=24)  # where the moment of the attempt is not known
_CLOCK_MARGIN = timedelta(minutes=5)  # between this machine's clock and Slack's


class SlackConnection(Connection):
    """One workspace, as one app."""

    base_url: str = Field("https://slack.com/api/", description="the Web API's address")
    token: SecretStr = Field(description="the app's bot token, xoxb-...")
    workspace_url: str | None = Field(
        None, description="such as https://acme.slack.com; links are then made without a call"
    )
    records_url: str | None = Field(
        None, description="links become {records_url}/{channel}/{ts} instead of Slack's own"
    )
    history_page: int = Field(200, ge=1, le=999, description="messages a page of history; some apps get 15 at most")


class Slack(GuardedDestination[SlackConnection]):
    """The Slack connector. Slack offers no key, so a message is unkeyed; history tells whether it was posted."""

    name = "slack"
    role = "chat"
    connection_type: ClassVar[type[Connection]] = SlackConnection
    operations: ClassVar[Mapping[str, Operation]] = MappingProxyType(
        {
            "post_message": Operation(
                "post_message",
                PostMessage,
                IdempotencyClass.UNKEYED,
                rich_text=frozenset({"text", "title", "fields", "links"}),
                description="post one message to a channel or a thread",
            )
        }
    )
    # One message a second and channel, with short bursts (Slack's page on rate limits); 429 says when it was too many.
    rate_limit = RateLimit(calls=30, seconds=30.0)
    server_limit = 30.0
    readable = frozenset({"post_message"})

    def __init__(self, connection: SlackConnection) -> None:
        super().__init__(connection)
        self._transport = HttpTransport(connection.call_deadline)
        self._opened: AsyncWebClient | None = None

    @classmethod
    def sandbox_connection(cls, sandbox: SandboxAddress) -> SlackConnection:
        """The connection to the sandbox's Slack."""
        from dagster_project.sandbox import credentials

        return SlackConnection(
            base_url=f"{sandbox.http_url}/slack/api/",
            token=SecretStr(credentials.SLACK_BOT_TOKEN),
            records_url=f"{sandbox.http_url}/chat",
            calls_per_second=50.0,  # the sandbox lets a burst pass that Slack would not
        )

    @classmethod
    def escape(cls, operation: str, text: str) -> str:
        """A value inside a message: Slack's control characters become entities."""
        return escaped(text)

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()

    async def call(self, operation: str, requests: Sequence[Request]) -> Sequence[Outcome]:
        """Posts each message."""
        return [await self._post(request.key, cast(PostMessage, request.arguments)) for request in requests]

    async def find(self, operation: str, request: Request) -> Outcome:
        """Looks for the message in the channel's or the thread's history."""
        post = cast(PostMessage, request.arguments)
        channel = await self._channel_id(post.channel)
        if isinstance(channel, Outcome):
            return replace(channel, verdict=Verdict.UNKNOWN)
        since = (request.attempted_at or datetime.now(UTC) - SEARCHED_BACK) - _CLOCK_MARGIN
        found = await self._searched(request.key, channel, post.thread_ts, since)
        if isinstance(found, str):
            return await self._delivered(channel, found)
        if isinstance(found, Outcome):
            return replace(found, verdict=Verdict.UNKNOWN)
        return self._not_found(request)

    async def read_record(
        self, operation: str, request: Request, external_id: str, result: Mapping[str, str]
    ) -> ReadBack | Outcome | None:
        """The message by its channel and ts, in its thread where it was a reply."""
        post = cast(PostMessage, request.arguments)
        channel = result.get("channel", post.channel)
        wanted = {
            "channel": channel,
            "oldest": external_id,
            "latest": external_id,
            "inclusive": True,
            "limit": 2,  # replies begin with the thread's first message
            "include_all_metadata": True,
            **({"ts": post.thread_ts} if post.thread_ts else {}),
        }
        answer = await self._page("conversations.replies" if post.thread_ts else "conversations.history", wanted, "")
        if isinstance(answer, Outcome):
            return None if answer.reason == ReasonFor.NOT_FOUND else answer
        listed = answer.get("messages")
        for message in listed if isinstance(listed, list) else []:
            if isinstance(message, dict) and message.get("ts") == external_id:
                return _read_message(request.key, post, message)
        return None

    @property
    def _client(self) -> AsyncWebClient:
        if self._opened is None:
            token = self.connection.token.get_secret_value()
            self._opened = opened_client(self._transport, self.connection.base_url, token)
        return self._opened

    async def _post(self, key: str, post: PostMessage) -> Outcome:
        answer = await asked(self._client.chat_postMessage(**message_of(key, post)))
        if isinstance(answer, Outcome):
            return answer
        ts, channel = answer.get("ts"), answer.get("channel")
        if not (isinstance(ts, str) and ts and isinstance(channel, str) and channel):
            return malformed(200, "it does not say which message was posted")
        return await self._delivered(channel, ts)

    async def _delivered(self, channel: str, ts: str) -> Outcome:
        url = await self._url_of(channel, ts)
        result = {"channel": channel, "ts": ts}
        return Outcome(Verdict.DELIVERED, external_id=ts, url=url, result=result, status=200)

    async def _url_of(self, channel: str, ts: str) -> str | None:
        """Where the message is seen; None where Slack does not tell, since the message is posted all the same."""
        if self.connection.records_url is not None:
            return f"{self.connection.records_url}/{channel}/{ts}"
        if self.connection.workspace_url is not None:
            return f"{self.connection.workspace_url.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}"
        answer = await asked(self._client.chat_getPermalink(channel=channel, message_ts=ts))
        permalink = None if isinstance(answer, Outcome) else answer.get("permalink")
        return permalink if isinstance(permalink, str) else None

    async def _searched(self, key: str, channel: str, thread_ts: str | None, since: datetime) -> str | Outcome | None:
        """The message's ts; None when all since then was read and it is not there; an outcome when it was not read."""
        wanted: dict[str, Any] = {
            "channel": channel,
            "oldest": f"{since.timestamp():.6f}",
            "limit": self.connection.history_page,
            "include_all_metadata": True,
            **({"ts": thread_ts} if thread_ts else {}),
        }
        method = "conversations.replies" if thread_ts else "conversations.history"
        read, cursor = 0, ""
        while True:
            answer = await self._page(method, wanted, cursor)
            if isinstance(answer, Outcome):
                return answer
            messages = answer.get("messages")
            if not isinstance(messages, list):
                return malformed(200, "it is no page of messages")
            for message in messages:
                if key_in(message) == key:
                    return str(message["ts"])
            read, cursor = read + len(messages), next_cursor(answer)
            if not cursor:
                return None
            if read >= MOST_SEARCHED or not messages:
                return unknown(ReasonFor.NOT_FOUND, f"not among the last {read} messages; older ones were not read")

    async def _page(self, method: str, wanted: Mapping[str, Any], cursor: str) -> dict[str, Any] | Outcome:
        params = {**wanted, **({"cursor": cursor} if cursor else {})}
        return await asked(self._client.api_call(method, http_verb="GET", params=params))

    def _not_found(self, request: Request) -> Outcome:
        """What it means that the message is not in the history that was read whole."""
        if request.attempted_at is None:
            text = (
                f"not posted in the last {SEARCHED_BACK.total_seconds() / 3600:g} h; when it was attempted is not known"
            )
            return unknown(ReasonFor.NOT_FOUND, text)
        settled_at = request.attempted_at + timedelta(seconds=self.connection.call_deadline + self.server_limit)
        left = (settled_at - datetime.now(UTC)).total_seconds()
        if left > 0:
            text = "not posted yet, but Slack may still be working on it"
            return replace(unknown(ReasonFor.NOT_FOUND, text), retry_after=left)
        return retry(ReasonFor.NOT_FOUND, "the history since the attempt was read whole and the message is not in it")

    async def _channel_id(self, channel: str) -> str | Outcome:
        """The id of a channel given by id or name; history is read by id only."""
        if _CHANNEL_ID.fullmatch(channel):
            return channel
        cursor = ""
        for _ in range(10):
            wanted = {"limit": 999, "types": "public_channel,private_channel"}
            answer = await self._page("conversations.list", wanted, cursor)
            if isinstance(answer, Outcome):
                return answer
            listed = answer.get("channels")
            for one in listed if isinstance(listed, list) else []:
                if isinstance(one, dict) and one.get("name") == channel.removeprefix("#"):
                    return str(one.get("id"))
            cursor = next_cursor(answer)
            if not cursor:
                break
        return unknown(ReasonFor.NOT_FOUND, f"Slack lists no channel {channel} to this app")


def _read_message(key: str, post: PostMessage, message: Mapping[str, Any]) -> ReadBack:
    """A message beside what was posted; Slack says of one that was edited when that was."""
    edited = message.get("edited")
    at = str(edited.get("ts")) if isinstance(edited, dict) else ""
    return ReadBack(
        expected={"key": key, "text": str(message_of(key, post)["text"])},
        found={"key": key_in(message) or "", "text": str(message.get("text") or "")},
        changed_at=datetime.fromtimestamp(float(at), UTC) if at.replace(".", "", 1).isdigit() else None,
    )


def key_in(message: Any) -> str | None:
    """The action's key that a message carries, if it is one of ours."""
    metadata = message.get("metadata") if isinstance(message, dict) else None
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT_TYPE or "ts" not in message:
        return None
    payload = metadata.get("event_payload")
    key = payload.get("key") if isinstance(payload, dict) else None
    return key if isinstance(key, str) else None


def next_cursor(answer: Mapping[str, Any]) -> str:
    """Where the next page begins, empty on the last one."""
    metadata = answer.get("response_metadata")
    cursor = metadata.get("next_cursor") if isinstance(metadata, dict) else None
    return cursor if isinstance(cursor, str) else ""


DESTINATION: type[Destination] = Slack
