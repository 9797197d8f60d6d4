"""Slack as the loop's connector sees it: the methods of the Web API that it calls, with Slack's own errors.

Source: https://docs.slack.dev/reference/methods; arguments come as JSON, as a form or in the query.
"""

from __future__ import annotations

import base64
import json
import math
import sqlite3
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from dagster_project.sandbox.calls import Call, Reply, json_reply
from dagster_project.sandbox.credentials import (
    SLACK_BOT_ID,
    SLACK_BOT_TOKEN,
    SLACK_BOT_USER_ID,
    SLACK_TEAM_ID,
)
from dagster_project.sandbox.rate import TokenBucket
from dagster_project.sandbox.slack.channels import Channels, shown_channel
from dagster_project.sandbox.slack.checks import SlackRefusal, checked_message
from dagster_project.sandbox.slack.messages import Messages, Window
from dagster_project.sandbox.world import World

Method = Callable[[dict[str, Any]], dict[str, Any]]
_MAX_PAGE = 999


class _TooFast(Exception):
    def __init__(self, seconds: float) -> None:
        super().__init__(f"wait {seconds} s")
        self.seconds = seconds


class Slack:
    """The vendor `slack`."""

    name = "slack"

    def __init__(self, world: World) -> None:
        self._world = world
        self._channels = Channels(world.store)
        self._messages = Messages(world.store)
        self._buckets: dict[str, TokenBucket] = {}
        self._methods: dict[str, tuple[str | None, Method]] = {
            "api.test": (None, lambda arguments: {"args": arguments}),
            "auth.test": (None, self._auth_test),
            "chat.postMessage": ("chat:write", self._post_message),
            "chat.update": ("chat:write", self._update),
            "chat.getPermalink": (None, self._permalink),
            "conversations.create": ("channels:manage", self._create_channel),
            "conversations.history": ("channels:history", self._history),
            "conversations.info": ("channels:read", self._info),
            "conversations.join": ("channels:join", self._info),
            "conversations.list": ("channels:read", self._list),
            "conversations.replies": ("channels:history", self._replies),
            "reactions.add": ("reactions:write", self._react),
        }
        self.seed()

    def seed(self) -> None:
        """Gives an empty workspace its channels."""
        self._channels.seed()
        self._buckets.clear()

    def operation(self, call: Call) -> str:
        """The method's name."""
        return call.path.removeprefix("/api/")

    def answer(self, call: Call) -> Reply:
        """Slack answers 200 with `ok` false to everything but too many calls."""
        try:
            with self._world.store.change():
                return self._done(call)
        except SlackRefusal as refusal:
            body: dict[str, Any] = {"ok": False, "error": refusal.code, **refusal.further}
            if refusal.messages:
                body |= {"errors": refusal.messages, "response_metadata": {"messages": _marked(refusal.messages)}}
            return json_reply(200, body)
        except _TooFast as error:
            return self.rate_limited({"Retry-After": str(math.ceil(error.seconds))})

    def _done(self, call: Call) -> Reply:
        arguments = arguments_of(call)
        token = call.headers.get("authorization", "").removeprefix("Bearer ").strip() or arguments.pop("token", "")
        if not token:
            raise SlackRefusal("not_authed")
        if token != SLACK_BOT_TOKEN:
            raise SlackRefusal("invalid_auth")
        scope, method = self._methods.get(self.operation(call), (None, None))
        if method is None:
            raise SlackRefusal("unknown_method", req_method=self.operation(call))
        provided = ",".join(self._world.settings.slack_scopes)
        if scope is not None and scope not in self._world.settings.slack_scopes:
            raise SlackRefusal("missing_scope", needed=scope, provided=provided)
        headers = {"x-oauth-scopes": provided} | ({} if scope is None else {"x-accepted-oauth-scopes": scope})
        return json_reply(200, {"ok": True, **method(arguments)}, headers)

    def _auth_test(self, _arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": f"{self._world.http_url}/chat/",
            "team": "Sandbox",
            "user": "loop",
            "team_id": SLACK_TEAM_ID,
            "user_id": SLACK_BOT_USER_ID,
            "bot_id": SLACK_BOT_ID,
            "is_enterprise_install": False,
        }

    def _post_message(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._channels.require(arguments.get("channel"))["id"]
        text, blocks, metadata = checked_message(arguments)
        self._take_token(channel)
        row = self._messages.post(channel, text, blocks, metadata, arguments.get("thread_ts") or None)
        self._note("chat.postMessage", row, is_created=True)
        return {"channel": channel, "ts": row["ts"], "message": self._messages.shown(row, with_metadata=True)}

    def _take_token(self, channel: str) -> None:
        settings = self._world.settings
        if settings.slack_messages_per_second == 0:
            return
        bucket = self._buckets.setdefault(channel, TokenBucket())
        wait = bucket.take(settings.slack_messages_per_second, settings.slack_burst, self._world.clock())
        if wait:
            raise _TooFast(wait)

    def _update(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._channels.require_id(arguments.get("channel"))["id"]
        row = self._messages.require(channel, arguments.get("ts"))
        text, blocks, metadata = checked_message(arguments)
        self._messages.update(row, text, blocks, metadata)
        changed = self._messages.require(channel, row["ts"])
        self._note("chat.update", changed, is_created=False)
        shown = self._messages.shown(changed, with_metadata=True)
        return {"channel": channel, "ts": row["ts"], "text": text, "message": shown}

    def _note(self, operation: str, row: sqlite3.Row, *, is_created: bool) -> None:
        payload = json.loads(row["metadata"])["event_payload"] if row["metadata"] else {}
        key = payload.get("key")
        entity = payload.get("entity_id")
        self._world.effect(
            "slack",
            operation,
            f"{row['channel']}/{row['ts']}",
            key=None if key is None else str(key),
            entity=None if entity is None else str(entity),
            is_created=is_created,
            path=f"/chat/{row['channel']}/{row['ts']}",
        )

    def _permalink(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._channels.require_id(arguments.get("channel"))["id"]
        ts = self._messages.require(channel, arguments.get("message_ts"))["ts"]
        return {"channel": channel, "permalink": f"{self._world.http_url}/chat/{channel}/{ts}"}

    def _create_channel(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"channel": shown_channel(self._channels.create(str(arguments.get("name", ""))))}

    def _info(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"channel": shown_channel(self._channels.require_id(arguments.get("channel")))}

    def _list(self, arguments: dict[str, Any]) -> dict[str, Any]:
        limit = _limit(arguments, 100)
        rows = self._channels.page(_uncursor(arguments.get("cursor")), limit + 1)
        cursor = _cursor(rows[limit - 1]["id"]) if len(rows) > limit else ""
        shown = [shown_channel(row) for row in rows[:limit]]
        return {"channels": shown, "response_metadata": {"next_cursor": cursor}}

    def _history(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._channels.require_id(arguments.get("channel"))["id"]
        limit, before = _limit(arguments, 100), _uncursor(arguments.get("cursor"))
        window = _window(arguments)
        if before:
            window.latest, window.upper = before, "<"
        rows = self._messages.history(channel, window, limit + 1)
        return self._page(rows, limit, arguments)

    def _replies(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._channels.require_id(arguments.get("channel"))["id"]
        limit, after = _limit(arguments, 1000), _uncursor(arguments.get("cursor"))
        window = _window(arguments)
        if after:
            window.oldest, window.lower = after, ">"
        rows = self._messages.thread(channel, str(arguments.get("ts")), window, limit + 1)
        return self._page(rows[1:] if after else rows, limit, arguments)

    def _page(self, rows: list[sqlite3.Row], limit: int, arguments: dict[str, Any]) -> dict[str, Any]:
        with_metadata = _is_true(arguments.get("include_all_metadata"))
        page: dict[str, Any] = {
            "messages": [self._messages.shown(row, with_metadata=with_metadata) for row in rows[:limit]],
            "has_more": len(rows) > limit,
        }
        if len(rows) > limit:
            page["response_metadata"] = {"next_cursor": _cursor(rows[limit - 1]["ts"])}
        return page

    def _react(self, arguments: dict[str, Any]) -> dict[str, Any]:
        channel = self._channels.require_id(arguments.get("channel"))["id"]
        row = self._messages.require(channel, arguments.get("timestamp"))
        name = str(arguments.get("name", "")).strip(":")
        if not name:
            raise SlackRefusal("invalid_name")
        self._messages.react(row, name)
        self._note(f"reactions.add:{name}", row, is_created=False)
        return {}

    def rate_limited(self, headers: dict[str, str]) -> Reply:
        """429 with Retry-After. Source: https://docs.slack.dev/apis/web-api/rate-limits"""
        return json_reply(429, {"ok": False, "error": "ratelimited"}, headers)

    def refused(self, code: str) -> Reply:
        """200 with the error code."""
        if code == "missing_scope":
            provided = ",".join(self._world.settings.slack_scopes)
            return json_reply(200, {"ok": False, "error": code, "needed": "chat:write", "provided": provided})
        return json_reply(200, {"ok": False, "error": code})


def arguments_of(call: Call) -> dict[str, Any]:
    """A method's arguments, from query, form or JSON. Raises SlackRefusal: invalid_json."""
    arguments: dict[str, Any] = dict(call.query)
    kind = call.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "application/json" and call.body:
        try:
            given = json.loads(call.body)
        except ValueError:
            raise SlackRefusal("invalid_json") from None
        if not isinstance(given, dict):
            raise SlackRefusal("json_not_object")
        arguments |= given
    elif kind == "application/x-www-form-urlencoded":
        arguments |= dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    return arguments


def _window(arguments: dict[str, Any]) -> Window:
    oldest, latest = arguments.get("oldest"), arguments.get("latest")
    return Window(_padded(oldest), _padded(latest), is_inclusive=_is_true(arguments.get("inclusive")))


def _padded(ts: Any) -> str | None:
    """A timestamp in the form that compares as text; Slack also takes whole seconds."""
    if ts in (None, "", "0", 0):
        return None
    try:
        return f"{float(ts):017.6f}" if "." not in str(ts) else str(ts)
    except ValueError:
        raise SlackRefusal("invalid_ts_oldest") from None


def _is_true(value: Any) -> bool:
    return str(value).lower() in ("true", "1")


def _limit(arguments: dict[str, Any], default: int) -> int:
    try:
        limit = int(arguments.get("limit") or default)
    except ValueError:
        raise SlackRefusal("invalid_limit") from None
    if limit < 1:
        raise SlackRefusal("invalid_limit")
    return min(limit, _MAX_PAGE)


def _cursor(place: str) -> str:
    return base64.b64encode(f"next:{place}".encode()).decode()


def _uncursor(cursor: Any) -> str:
    if not cursor:
        return ""
    try:
        kind, _, place = base64.b64decode(str(cursor), validate=True).decode().partition(":")
    except ValueError:
        raise SlackRefusal("invalid_cursor") from None
    if kind != "next":
        raise SlackRefusal("invalid_cursor")
    return place


def _marked(messages: list[str]) -> list[str]:
    return [f"[ERROR] {message}" for message in messages]
