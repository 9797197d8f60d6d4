"""Owners: the people that records and tasks are assigned to."""

from __future__ import annotations

import sqlite3
from typing import Any

from dagster_project.sandbox.calls import Call, Reply, json_reply
from dagster_project.sandbox.hubspot.errors import not_found
from dagster_project.sandbox.store import Store, now_text
from dagster_project.sandbox.world import World


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "email": row["email"],
        "type": "PERSON",
        "firstName": row["first_name"],
        "lastName": row["last_name"],
        "userId": row["id"] + 1000,
        "userIdIncludingInactive": row["id"] + 1000,
        "createdAt": row["created_at"],
        "updatedAt": row["created_at"],
        "archived": False,
    }


def add_owner(store: Store, email: str) -> sqlite3.Row:
    """The owner with this address, made with a name guessed from it where there is none."""
    address = email.strip().lower()
    first, _, last = address.split("@")[0].replace("_", ".").replace("-", ".").partition(".")
    store.run(
        "insert or ignore into hubspot_owners (email, first_name, last_name, created_at) values (?, ?, ?, ?)",
        (address, first.capitalize(), last.replace(".", " ").title(), now_text()),
    )
    row = store.one("select * from hubspot_owners where email = ?", (address,))
    assert row is not None  # just inserted
    return row


def list_owners(call: Call, world: World) -> Reply:
    """GET /crm/v3/owners?email=&limit=&after="""
    email = call.query.get("email")
    if email is not None:
        domain = email.rpartition("@")[2].lower()
        if "@" in email and domain in world.settings.hubspot_owner_domains:
            add_owner(world.store, email)
        rows = world.store.rows("select * from hubspot_owners where email = ?", (email.strip().lower(),))
        return json_reply(200, {"results": [_shown(row) for row in rows]})
    limit, after = min(int(call.query.get("limit", 100)), 500), int(call.query.get("after") or 0)
    rows = world.store.rows("select * from hubspot_owners where id > ? order by id limit ?", (after, limit + 1))
    answer: dict[str, Any] = {"results": [_shown(row) for row in rows[:limit]]}
    if len(rows) > limit:
        answer["paging"] = {"next": {"after": str(rows[limit - 1]["id"])}}
    return json_reply(200, answer)


def read_owner(call: Call, world: World, owner_id: str) -> Reply:
    """GET /crm/v3/owners/{ownerId}"""
    del call
    row = world.store.one("select * from hubspot_owners where id = ?", (owner_id,))
    if row is None:
        raise not_found(f"Owner with id {owner_id} not found")
    return json_reply(200, _shown(row))
