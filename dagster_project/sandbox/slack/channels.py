"""The channels of the sandbox's workspace, by id and by name."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import time
from typing import Any

from dagster_project.sandbox.slack.checks import SlackRefusal
from dagster_project.sandbox.store import Store

STARTING_CHANNELS = (
    "general",
    "alerts",
    "customer-onboarding",
    "customer-success",
    "onboarding",
    "operations",
    "ops-alerts",
    "procurement",
    "purchasing",
    "retention",
    "retention-urgent",
    "sales",
    "signals",
    "supply-chain",
)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")


class Channels:
    """Reads and makes channels; a name's id is the same in every sandbox, so that addresses keep their meaning."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def seed(self) -> None:
        """Makes the starting channels where they are not."""
        with self._store.change():
            for name in STARTING_CHANNELS:
                if self.by_name(name) is None:
                    self.create(name)

    def create(self, name: str) -> sqlite3.Row:
        """A new channel. Raises SlackRefusal: invalid_name_specials, name_taken."""
        if not _NAME.fullmatch(name):
            raise SlackRefusal("invalid_name_specials")
        if self.by_name(name) is not None:
            raise SlackRefusal("name_taken")
        channel_id = "C" + hashlib.sha256(name.encode()).hexdigest()[:10].upper()
        self._store.run(
            "insert into slack_channels (id, name, created) values (?, ?, ?)", (channel_id, name, int(time.time()))
        )
        return self.require_id(channel_id)

    def by_name(self, name: str) -> sqlite3.Row | None:
        """The channel of this name, or None."""
        return self._store.one("select * from slack_channels where name = ?", (name,))

    def require_id(self, channel_id: Any) -> sqlite3.Row:
        """The channel of this id. Raises SlackRefusal: channel_not_found, also for a name."""
        row = self._store.one("select * from slack_channels where id = ?", (str(channel_id),))
        if row is None:
            raise SlackRefusal("channel_not_found")
        return row

    def require(self, id_or_name: Any) -> sqlite3.Row:
        """The channel by its id or its name with or without #, as chat.postMessage takes it."""
        named = self.by_name(str(id_or_name or "").removeprefix("#"))
        return named if named is not None else self.require_id(id_or_name)

    def page(self, after: str, limit: int) -> list[sqlite3.Row]:
        """Channels in the order of their ids."""
        return self._store.rows("select * from slack_channels where id > ? order by id limit ?", (after, limit))


def shown_channel(row: sqlite3.Row) -> dict[str, Any]:
    """A channel as conversations.list shows it."""
    return {
        "id": row["id"],
        "name": row["name"],
        "name_normalized": row["name"],
        "is_channel": True,
        "is_group": False,
        "is_im": False,
        "is_private": False,
        "is_archived": False,
        "is_general": row["name"] == "general",
        "is_member": True,
        "created": row["created"],
        "creator": "U0ADMIN",
        "topic": {"value": row["topic"], "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
        "num_members": 2,
    }
