"""A receiver for webhooks that keeps whatever it is sent, so that a test can see each delivery and its duplicates."""

from __future__ import annotations

import json

from dagster_project.sandbox.calls import Call, Reply, json_reply
from dagster_project.sandbox.store import now_text
from dagster_project.sandbox.world import World


class Hooks:
    """The vendor `hooks`: POST /hooks/{name}."""

    name = "hooks"

    def __init__(self, world: World) -> None:
        self._world = world

    def operation(self, call: Call) -> str:
        """The hook's name."""
        return call.path.strip("/")

    def answer(self, call: Call) -> Reply:
        """Keeps headers and body; verifies nothing. The answer counts how often this webhook-id came."""
        name = self.operation(call)
        if not name or "/" in name:
            return json_reply(404, {"error": "no such hook"})
        if call.method != "POST":
            return json_reply(405, {"error": "a hook takes POST"})
        webhook_id = call.headers.get("webhook-id")
        store = self._world.store
        earlier = 0
        if webhook_id is not None:
            earlier = store.value("select count(*) from hooks where name = ? and webhook_id = ?", (name, webhook_id))
        cursor = store.run(
            "insert into hooks (name, webhook_id, headers, body, received_at) values (?, ?, ?, ?, ?)",
            (name, webhook_id, json.dumps(dict(call.headers)), call.body, now_text()),
        )
        where = f"{name}/{cursor.lastrowid}"
        self._world.effect("hooks", name, where, key=webhook_id, path=f"/hooks/{name}/{cursor.lastrowid}")
        return json_reply(200, {"received": earlier + 1})

    def rate_limited(self, headers: dict[str, str]) -> Reply:
        """A plain 429."""
        return json_reply(429, {"error": "too many requests"}, headers)

    def refused(self, code: str) -> Reply:
        """A plain 400."""
        return json_reply(400, {"error": code})
