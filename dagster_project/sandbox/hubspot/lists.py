"""Lists (HubSpot now calls them segments): what the loop uses as campaigns.

Source: https://developers.hubspot.com/docs/guides/api/crm/lists/overview
"""

from __future__ import annotations

import sqlite3
from typing import Any

from dagster_project.sandbox.calls import Call, Reply, json_reply
from dagster_project.sandbox.hubspot.errors import HubSpotError, error_reply, invalid, not_found
from dagster_project.sandbox.hubspot.object_types import object_type
from dagster_project.sandbox.hubspot.objects import Records
from dagster_project.sandbox.store import now_text
from dagster_project.sandbox.world import World

_MAX_PAGE = 250
_EDITABLE = ("MANUAL", "SNAPSHOT")


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "listId": str(row["id"]),
        "name": row["name"],
        "objectTypeId": row["object_type_id"],
        "processingType": row["processing_type"],
        "processingStatus": "COMPLETE",
        "listVersion": 1,
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
        "filtersUpdatedAt": row["created_at"],
    }


def _by_id(world: World, list_id: str) -> sqlite3.Row:
    row = world.store.one("select * from hubspot_lists where id = ?", (list_id,)) if list_id.isdigit() else None
    if row is None:
        raise not_found(f"List does not exist with ID {list_id}.", subCategory="ILS.LIST_NOT_FOUND")
    return row


def create_list(call: Call, world: World) -> Reply:
    """POST /crm/v3/lists/"""
    asked = call.json()
    if not isinstance(asked, dict) or not all(
        isinstance(asked.get(name), str) and asked[name].strip() for name in ("name", "objectTypeId", "processingType")
    ):
        raise invalid("name, objectTypeId and processingType are required")
    if asked["processingType"] not in _EDITABLE:
        raise invalid(f"processingType {asked['processingType']} is not available here; use MANUAL or SNAPSHOT")
    type_id, name, moment = object_type(asked["objectTypeId"]).type_id, asked["name"].strip(), now_text()
    taken = world.store.one("select 1 from hubspot_lists where object_type_id = ? and name = ?", (type_id, name))
    if taken is not None:
        message = f"List with name '{name}' already exists. List names must be unique."
        raise HubSpotError(error_reply(400, "VALIDATION_ERROR", message, subCategory="ILS.DUPLICATE_LIST_NAMES"))
    cursor = world.store.run(
        "insert into hubspot_lists (name, object_type_id, processing_type, created_at, updated_at)"
        " values (?, ?, ?, ?, ?)",
        (name, type_id, asked["processingType"], moment, moment),
    )
    list_id = str(cursor.lastrowid)
    world.effect("hubspot", "lists.create", f"lists/{list_id}", path=f"/crm/lists/{list_id}")
    return json_reply(200, {"list": _shown(_by_id(world, list_id))})


def read_list(call: Call, world: World, list_id: str) -> Reply:
    """GET /crm/v3/lists/{listId}"""
    del call
    return json_reply(200, {"list": _shown(_by_id(world, list_id))})


def read_list_by_name(call: Call, world: World, type_name: str, name: str) -> Reply:
    """GET /crm/v3/lists/object-type-id/{objectTypeId}/name/{name}"""
    del call
    type_id = object_type(type_name).type_id
    row = world.store.one("select * from hubspot_lists where object_type_id = ? and name = ?", (type_id, name))
    if row is None:
        message = f"List does not exist with name {name} and object type ID {type_id}."
        raise not_found(message, subCategory="ILS.LIST_NOT_FOUND")
    return json_reply(200, {"list": _shown(row)})


def search_lists(call: Call, world: World) -> Reply:
    """POST /crm/v3/lists/search"""
    asked = call.json()
    count, offset = int(asked.get("count", 20)), int(asked.get("offset", 0))
    pattern = "%" + str(asked.get("query", "")).lower().replace("%", "\\%").replace("_", "\\_") + "%"
    rows = world.store.rows(
        "select * from hubspot_lists where lower(name) like ? escape '\\' order by id limit ? offset ?",
        (pattern, count + 1, offset),
    )
    shown = [
        _shown(row) | {"additionalProperties": {"hs_list_size": str(_size(world, row["id"]))}} for row in rows[:count]
    ]
    total = world.store.value("select count(*) from hubspot_lists where lower(name) like ? escape '\\'", (pattern,))
    return json_reply(
        200, {"lists": shown, "total": total, "offset": offset + len(shown), "hasMore": len(rows) > count}
    )


def _size(world: World, list_id: int) -> int:
    return int(world.store.value("select count(*) from hubspot_members where list_id = ?", (list_id,)))


def _record_ids(call: Call) -> list[str]:
    asked = call.json()
    if not isinstance(asked, list):
        raise invalid("Invalid input JSON: an array of record ids was expected")
    return list(dict.fromkeys(str(record_id) for record_id in asked))


def add_members(call: Call, world: World, records: Records, list_id: str) -> Reply:
    """PUT /crm/v3/lists/{listId}/memberships/add: who is a member already is left out of the answer"""
    row, asked = _by_id(world, list_id), _record_ids(call)
    kind, moment = object_type(row["object_type_id"]), now_text()
    added, missing = [], []
    for record_id in asked:
        record = records.by_id(kind, record_id)
        if record is None:
            missing.append(record_id)
            continue
        cursor = world.store.run(
            "insert or ignore into hubspot_members values (?, ?, ?)", (row["id"], record.id, moment)
        )
        if cursor.rowcount:
            added.append(record_id)
            entity = record.properties.get("loop_entity_id")
            where = f"lists/{list_id}/{record_id}"
            world.effect("hubspot", "lists.add", where, entity=entity, path=f"/crm/lists/{list_id}")
    return json_reply(200, {"recordsIdsAdded": added, "recordIdsRemoved": [], "recordIdsMissing": missing})


def remove_members(call: Call, world: World, records: Records, list_id: str) -> Reply:
    """PUT /crm/v3/lists/{listId}/memberships/remove"""
    row, asked = _by_id(world, list_id), _record_ids(call)
    kind = object_type(row["object_type_id"])
    removed, missing = [], []
    for record_id in asked:
        record = records.by_id(kind, record_id)
        if record is None:
            missing.append(record_id)
            continue
        cursor = world.store.run(
            "delete from hubspot_members where list_id = ? and record_id = ?", (row["id"], record.id)
        )
        if cursor.rowcount:
            removed.append(record_id)
            entity = record.properties.get("loop_entity_id")
            where = f"lists/{list_id}/{record_id}"
            world.effect(
                "hubspot", "lists.remove", where, entity=entity, is_created=False, path=f"/crm/lists/{list_id}"
            )
    return json_reply(200, {"recordsIdsAdded": [], "recordIdsRemoved": removed, "recordIdsMissing": missing})


def list_members(call: Call, world: World, list_id: str) -> Reply:
    """GET /crm/v3/lists/{listId}/memberships"""
    row = _by_id(world, list_id)
    limit, after = min(int(call.query.get("limit", 100)), _MAX_PAGE), int(call.query.get("after") or 0)
    rows = world.store.rows(
        "select record_id, added_at from hubspot_members where list_id = ? and record_id > ?"
        " order by record_id limit ?",
        (row["id"], after, limit + 1),
    )
    answer: dict[str, Any] = {
        "results": [
            {"recordId": str(member["record_id"]), "membershipTimestamp": member["added_at"]} for member in rows[:limit]
        ],
        "total": _size(world, row["id"]),
    }
    if len(rows) > limit:
        answer["paging"] = {"next": {"after": str(rows[limit - 1]["record_id"])}}
    return json_reply(200, answer)


def lists_of_record(call: Call, world: World, type_name: str, record_id: str) -> Reply:
    """GET /crm/v3/lists/records/{objectTypeId}/{recordId}/memberships"""
    del call
    rows = world.store.rows(
        "select l.id, m.added_at from hubspot_members m join hubspot_lists l on l.id = m.list_id"
        " where m.record_id = ? and l.object_type_id = ? order by l.id",
        (record_id, object_type(type_name).type_id),
    )
    results = [
        {
            "listId": str(row["id"]),
            "listVersion": 1,
            "firstAddedTimestamp": row["added_at"],
            "lastAddedTimestamp": row["added_at"],
        }
        for row in rows
    ]
    return json_reply(200, {"results": results, "total": len(results)})
