"""The chat as its users see it: channels, messages, threads."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dagster_project.sandbox.pages.rendering import missing, page
from dagster_project.sandbox.world import World

_SHOWN_MESSAGES = 50


@dataclass(frozen=True)
class Said:
    """One message ready to be shown."""

    ts: str
    text: str
    blocks: list[Any]
    is_edited: bool
    reactions: list[str]
    key: str


class Chat:
    """The chat's pages."""

    def __init__(self, world: World) -> None:
        self._store = world.store

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/chat", self.channel),
            Route("/chat/{channel}", self.channel),
            Route("/chat/{channel}/{ts}", self.thread),
        ]

    def _channels(self) -> list[sqlite3.Row]:
        return self._store.rows(
            "select c.*, count(m.ts) as messages, max(m.ts) as last_ts from slack_channels c"
            " left join slack_messages m on m.channel = c.id group by c.id"
            " order by max(m.ts) is null, max(m.ts) desc, c.name"
        )

    def _said(self, row: sqlite3.Row) -> Said:
        reactions = self._store.rows(
            "select name from slack_reactions where channel = ? and ts = ?", (row["channel"], row["ts"])
        )
        payload = json.loads(row["metadata"])["event_payload"] if row["metadata"] else {}
        return Said(
            row["ts"],
            row["text"],
            json.loads(row["blocks"]) if row["blocks"] else [],
            row["edited_ts"] is not None,
            [name for (name,) in reactions],
            str(payload.get("key", "")),
        )

    def _replies(self, channel: str, ts: str) -> list[Said]:
        rows = self._store.rows(
            "select * from slack_messages where channel = ? and thread_ts = ? order by ts", (channel, ts)
        )
        return [self._said(row) for row in rows]

    async def channel(self, request: Request) -> Response:
        """One channel, by default the one that was written to last: its newest messages with their threads."""
        channels, asked = self._channels(), request.path_params.get("channel")
        if asked is None:
            current = max(channels, key=lambda row: row["last_ts"] or "", default=None)
        else:
            current = next((row for row in channels if asked in (row["id"], row["name"])), None)
        if current is None:
            return missing(f"channel {asked}")
        before = request.query_params.get("before", "9999999999")
        rows = self._store.rows(
            "select * from slack_messages where channel = ? and thread_ts is null and ts < ? order by ts desc limit ?",
            (current["id"], before, _SHOWN_MESSAGES + 1),
        )
        shown = [(self._said(row), self._replies(row["channel"], row["ts"])) for row in rows[:_SHOWN_MESSAGES]]
        earlier = shown[-1][0].ts if len(rows) > _SHOWN_MESSAGES else None
        return page(
            "chat_channel.html",
            area="chat",
            channels=channels,
            current=current,
            threads=list(reversed(shown)),
            earlier=earlier,
        )

    async def thread(self, request: Request) -> Response:
        """The thread that a message belongs to, the message marked."""
        channel, ts = request.path_params["channel"], request.path_params["ts"]
        row = self._store.one("select * from slack_messages where channel = ? and ts = ?", (channel, ts))
        if row is None:
            return missing(f"message {ts} in channel {channel}")
        root = row["thread_ts"] or row["ts"]
        first = self._store.one("select * from slack_messages where channel = ? and ts = ?", (channel, root))
        channels = self._channels()
        current = next(item for item in channels if item["id"] == channel)
        messages = [self._said(first if first is not None else row), *self._replies(channel, root)]
        return page("chat_thread.html", area="chat", channels=channels, current=current, messages=messages, marked=ts)
