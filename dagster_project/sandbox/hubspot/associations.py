"""Links between records: default labels of the associations API, written in both directions as HubSpot does."""

from __future__ import annotations

from typing import Any

from dagster_project.sandbox.calls import Call, Reply, json_reply
from dagster_project.sandbox.hubspot.batches import batch_inputs, batch_reply
from dagster_project.sandbox.hubspot.errors import invalid, not_found
from dagster_project.sandbox.hubspot.object_types import DEFAULT_ASSOCIATIONS, ObjectType, object_type
from dagster_project.sandbox.hubspot.objects import Record, Records
from dagster_project.sandbox.world import World

MAX_ASSOCIATIONS = 2000
_INVERSE = {
    type_id: DEFAULT_ASSOCIATIONS[to_name, from_name] for (from_name, to_name), type_id in DEFAULT_ASSOCIATIONS.items()
}


class Associations:
    """Reads and writes links."""

    def __init__(self, world: World, records: Records) -> None:
        self._world = world
        self._store = world.store
        self._records = records

    def of(self, record: Record, other: ObjectType) -> list[tuple[int, int]]:
        """The ids that a record is linked to, each with its association type."""
        rows = self._store.rows(
            "select to_id, type_id from hubspot_associations"
            " where from_type = ? and from_id = ? and to_type = ? order by to_id",
            (record.kind.name, record.id, other.name),
        )
        return [(row["to_id"], row["type_id"]) for row in rows]

    def add(self, start: Record, end: Record, type_id: int) -> None:
        """Links two records; an existing link stays as it is."""
        pairs = ((start, end, type_id), (end, start, _INVERSE.get(type_id, type_id)))
        added = 0
        for one, other, kind in pairs:
            cursor = self._store.run(
                "insert or ignore into hubspot_associations values (?, ?, ?, ?, ?)",
                (one.kind.name, one.id, other.kind.name, other.id, kind),
            )
            added += cursor.rowcount
        if added:
            self._world.effect(
                "hubspot",
                "associations.create",
                f"{start.kind.name}/{start.id}-{end.kind.name}/{end.id}",
                entity=end.properties.get("loop_entity_id"),
                path=start.page,
            )

    def add_by_type_id(self, start: Record, end_id: str, type_id: int) -> None:
        """Links to a record whose type follows from the association type. Raises HubSpotError (400, 404)."""
        pair = next((pair for pair, known in DEFAULT_ASSOCIATIONS.items() if known == type_id), None)
        if pair is None or pair[0] != start.kind.name:
            raise invalid(f"Invalid association type {type_id} for {start.kind.name}")
        end = self._records.by_id(object_type(pair[1]), end_id)
        if end is None:
            raise not_found()
        self.add(start, end, type_id)


def _default_type(start: ObjectType, end: ObjectType) -> int:
    try:
        return DEFAULT_ASSOCIATIONS[start.name, end.name]
    except KeyError:
        raise invalid(f"No default association type between {start.name} and {end.name}") from None


def _ends(item: dict[str, Any]) -> tuple[str, str]:
    try:
        return str(item["from"]["id"]), str(item["to"]["id"])
    except (KeyError, TypeError):
        raise invalid("Every input needs from.id and to.id") from None


def _missing_ends(start_id: str, end_id: str) -> dict[str, Any]:
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": f"One or more of the objects in the association {start_id} -> {end_id} do not exist",
        "context": {"fromObjectId": [start_id], "toObjectId": [end_id]},
    }


def batch_associate_default(call: Call, records: Records, links: Associations, start_name: str, end_name: str) -> Reply:
    """POST /crm/v4/associations/{from}/{to}/batch/associate/default"""
    start, end = object_type(start_name), object_type(end_name)
    type_id = _default_type(start, end)
    spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}
    results, errors = [], []
    for item in batch_inputs(call, limit=MAX_ASSOCIATIONS):
        start_id, end_id = _ends(item)
        one, other = records.by_id(start, start_id), records.by_id(end, end_id)
        if one is None or other is None:
            errors.append(_missing_ends(start_id, end_id))
            continue
        links.add(one, other, type_id)
        results.append({"from": {"id": start_id}, "to": {"id": end_id}, "associationSpec": spec})
    return batch_reply(200, results, errors)


def batch_create_labelled(call: Call, records: Records, links: Associations, start_name: str, end_name: str) -> Reply:
    """POST /crm/v4/associations/{from}/{to}/batch/create; only HubSpot's own default types are known here"""
    start, end = object_type(start_name), object_type(end_name)
    allowed = {DEFAULT_ASSOCIATIONS.get((start.name, end.name))}
    results, errors = [], []
    for item in batch_inputs(call, limit=MAX_ASSOCIATIONS):
        start_id, end_id = _ends(item)
        type_ids = [int(kind["associationTypeId"]) for kind in item.get("types") or []]
        if not type_ids or not set(type_ids) <= allowed:
            raise invalid(f"Invalid association types {type_ids} between {start.name} and {end.name}")
        one, other = records.by_id(start, start_id), records.by_id(end, end_id)
        if one is None or other is None:
            errors.append(_missing_ends(start_id, end_id))
            continue
        links.add(one, other, type_ids[0])
        results.append(
            {
                "fromObjectTypeId": start.type_id,
                "fromObjectId": int(start_id),
                "toObjectTypeId": end.type_id,
                "toObjectId": int(end_id),
                "labels": [],
            }
        )
    return batch_reply(201, results, errors)


def associate_default(
    call: Call, records: Records, links: Associations, start_name: str, start_id: str, end_name: str, end_id: str
) -> Reply:
    """PUT /crm/v4/objects/{from}/{id}/associations/default/{to}/{id}"""
    del call
    start, end = object_type(start_name), object_type(end_name)
    type_id = _default_type(start, end)
    one, other = records.by_id(start, start_id), records.by_id(end, end_id)
    if one is None or other is None:
        raise not_found()
    links.add(one, other, type_id)
    spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}
    return batch_reply(200, [{"from": {"id": start_id}, "to": {"id": end_id}, "associationSpec": spec}], [])


def list_associations(
    call: Call, records: Records, links: Associations, start_name: str, start_id: str, end_name: str
) -> Reply:
    """GET /crm/v4/objects/{from}/{id}/associations/{to}"""
    del call
    record = records.by_id(object_type(start_name), start_id)
    if record is None:
        raise not_found()
    results = [
        {
            "toObjectId": to_id,
            "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": type_id, "label": None}],
        }
        for to_id, type_id in links.of(record, object_type(end_name))
    ]
    return json_reply(200, {"results": results})
