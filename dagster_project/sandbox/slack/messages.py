"""Messages, threads and reactions as they lie in the file and as the API shows them."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from dagster_project.sandbox.credentials import SLACK_APP_ID, SLACK_BOT_ID, SLACK_BOT_USER_ID, SLACK_TEAM_ID
from dagster_project.sandbox.slack.checks import SlackRefusal
from dagster_project.sandbox.store import Store


class Messages:
    """Reads and writes messages; timestamps are unique in the whole workspace and only grow."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last_micros = 0

    def next_ts(self) -> str:
        """A new message's ts: seconds since 1970 with microseconds."""
        self._last_micros = max(time.time_ns() // 1000, self._last_micros + 1)
        seconds, micros = divmod(self._last_micros, 1_000_000)
        return f"{seconds}.{micros:06d}"

    def post(
        self,
        channel: str,
        text: str,
        blocks: list[Any] | None,
        metadata: dict[str, Any] | None,
        thread_ts: str | None,
    ) -> sqlite3.Row:
        """Writes a message; a reply to a reply goes to the thread's first message."""
        if thread_ts is not None:
            parent = self._store.one("select * from slack_messages where channel = ? and ts = ?", (channel, thread_ts))
            if parent is None:
                raise SlackRefusal("thread_not_found")
            thread_ts = parent["thread_ts"] or parent["ts"]
        ts = self.next_ts()
        self._store.run(
            "insert into slack_messages values (?, ?, ?, ?, ?, ?, null)",
            (channel, ts, thread_ts, text, _json(blocks), _json(metadata)),
        )
        return self.require(channel, ts)

    def require(self, channel: str, ts: Any) -> sqlite3.Row:
        """The message. Raises SlackRefusal: message_not_found."""
        row = self._store.one("select * from slack_messages where channel = ? and ts = ?", (channel, str(ts)))
        if row is None:
            raise SlackRefusal("message_not_found")
        return row

    def update(self, row: sqlite3.Row, text: str, blocks: list[Any] | None, metadata: dict[str, Any] | None) -> None:
        """Replaces text and blocks; metadata only where new is given."""
        kept = row["metadata"] if metadata is None else _json(metadata)
        self._store.run(
            "update slack_messages set text = ?, blocks = ?, metadata = ?, edited_ts = ? where channel = ? and ts = ?",
            (text, _json(blocks), kept, self.next_ts(), row["channel"], row["ts"]),
        )

    def react(self, row: sqlite3.Row, name: str) -> None:
        """Adds a reaction. Raises SlackRefusal: already_reacted."""
        cursor = self._store.run(
            "insert or ignore into slack_reactions values (?, ?, ?)", (row["channel"], row["ts"], name)
        )
        if cursor.rowcount == 0:
            raise SlackRefusal("already_reacted")

    def history(self, channel: str, window: Window, limit: int) -> list[sqlite3.Row]:
        """Top-level messages of a channel, newest first."""
        return self._store.rows(
            "select * from slack_messages where channel = ? and thread_ts is null"
            f" and ts {window.lower} ? and ts {window.upper} ? order by ts desc limit ?",
            (channel, window.oldest, window.latest, limit),
        )

    def thread(self, channel: str, ts: str, window: Window, limit: int) -> list[sqlite3.Row]:
        """A thread: its first message, then the replies, oldest first."""
        first = self._store.one("select * from slack_messages where channel = ? and ts = ?", (channel, ts))
        if first is None:
            raise SlackRefusal("thread_not_found")
        root = first["thread_ts"] or first["ts"]
        replies = self._store.rows(
            "select * from slack_messages where channel = ? and thread_ts = ?"
            f" and ts {window.lower} ? and ts {window.upper} ? order by ts limit ?",
            (channel, root, window.oldest, window.latest, limit),
        )
        return [self.require(channel, root), *replies]

    def shown(self, row: sqlite3.Row, *, with_metadata: bool) -> dict[str, Any]:
        """A message as the API shows it."""
        message: dict[str, Any] = {
            "type": "message",
            "user": SLACK_BOT_USER_ID,
            "bot_id": SLACK_BOT_ID,
            "app_id": SLACK_APP_ID,
            "team": SLACK_TEAM_ID,
            "text": row["text"],
            "ts": row["ts"],
        }
        if row["blocks"] is not None:
            message["blocks"] = json.loads(row["blocks"])
        if row["metadata"] is not None and with_metadata:
            message["metadata"] = json.loads(row["metadata"])
        if row["edited_ts"] is not None:
            message["edited"] = {"user": SLACK_BOT_USER_ID, "ts": row["edited_ts"]}
        message |= self._thread_facts(row) | self._reactions(row)
        return message

    def _thread_facts(self, row: sqlite3.Row) -> dict[str, Any]:
        if row["thread_ts"] is not None:
            return {"thread_ts": row["thread_ts"], "parent_user_id": SLACK_BOT_USER_ID}
        facts = self._store.one(
            "select count(*) as replies, max(ts) as latest from slack_messages where channel = ? and thread_ts = ?",
            (row["channel"], row["ts"]),
        )
        if facts is None or facts["replies"] == 0:
            return {}
        return {
            "thread_ts": row["ts"],
            "reply_count": facts["replies"],
            "reply_users_count": 1,
            "reply_users": [SLACK_BOT_USER_ID],
            "latest_reply": facts["latest"],
        }

    def _reactions(self, row: sqlite3.Row) -> dict[str, Any]:
        names = self._store.rows(
            "select name from slack_reactions where channel = ? and ts = ? order by name", (row["channel"], row["ts"])
        )
        if not names:
            return {}
        return {"reactions": [{"name": name, "users": [SLACK_BOT_USER_ID], "count": 1} for (name,) in names]}


class Window:
    """A span of timestamps; its ends belong to it only when `is_inclusive`."""

    def __init__(self, oldest: str | None, latest: str | None, *, is_inclusive: bool) -> None:
        self.oldest = oldest or "0"
        self.latest = latest or "9999999999.999999"
        self.lower, self.upper = (">=", "<=") if is_inclusive else (">", "<")


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
