"""The endpoints for one record, and search."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from dagster_project.sandbox.calls import Call, Reply, json_reply
from dagster_project.sandbox.hubspot.associations import Associations
from dagster_project.sandbox.hubspot.errors import invalid, not_found
from dagster_project.sandbox.hubspot.object_types import ObjectType, object_type
from dagster_project.sandbox.hubspot.objects import Record, Records, record_of
from dagster_project.sandbox.world import World

_COMPARISONS = {"EQ": "=", "NEQ": "is not", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
_NAME = re.compile(r"[a-z0-9_]+")
_MAX_PAGE = 200


def _found(records: Records, kind: ObjectType, record_id: str, id_property: str | None) -> Record:
    record = records.find(kind, record_id, id_property)
    if record is None:
        raise not_found()
    return record


def _asked(call: Call) -> list[str]:
    return [name for name in call.query.get("properties", "").split(",") if name]


def read_one(call: Call, records: Records, links: Associations, type_name: str, record_id: str) -> Reply:
    """GET /crm/objects/{version}/{type}/{id}?idProperty=&properties=&associations="""
    kind = object_type(type_name)
    record = _found(records, kind, record_id, call.query.get("idProperty"))
    shown = records.shown(record, _asked(call))
    others = [name for name in call.query.get("associations", "").split(",") if name]
    if others:
        found = {object_type(name).name: links.of(record, object_type(name)) for name in others}
        shown["associations"] = {
            name: {"results": [{"id": str(to_id), "type": f"{kind.name}_to_{name}"} for to_id, _ in pairs]}
            for name, pairs in found.items()
            if pairs
        }
    return json_reply(200, shown)


def create_one(call: Call, records: Records, links: Associations, type_name: str) -> Reply:
    """POST /crm/objects/{version}/{type}"""
    kind, body = object_type(type_name), call.json()
    if not isinstance(body, dict):
        raise invalid("Invalid input JSON: an object was expected")
    record = records.create(kind, body.get("properties", {}), operation="create", trace=body.get("objectWriteTraceId"))
    for link in body.get("associations") or []:
        for kind_of_link in link.get("types", []):
            links.add_by_type_id(record, str(link["to"]["id"]), int(kind_of_link["associationTypeId"]))
    return json_reply(201, records.shown(record))


def update_one(call: Call, records: Records, type_name: str, record_id: str) -> Reply:
    """PATCH /crm/objects/{version}/{type}/{id}?idProperty="""
    record = _found(records, object_type(type_name), record_id, call.query.get("idProperty"))
    body = call.json()
    values = body.get("properties", {}) if isinstance(body, dict) else body
    return json_reply(200, records.shown(records.update(record, values, operation="update")))


def archive_one(call: Call, records: Records, type_name: str, record_id: str) -> Reply:
    """DELETE /crm/objects/{version}/{type}/{id}"""
    del call
    record = records.find(object_type(type_name), record_id, None)
    if record is not None:
        records.archive(record)
    return Reply(204)


def search(call: Call, world: World, records: Records, type_name: str) -> Reply:
    """POST /crm/objects/{version}/{type}/search"""
    kind, body = object_type(type_name), call.json()
    if not isinstance(body, dict):
        raise invalid("Invalid input JSON: an object was expected")
    limit, after = int(body.get("limit", 10)), int(body.get("after") or 0)
    if not 0 < limit <= _MAX_PAGE:
        raise invalid(f"limit must be between 1 and {_MAX_PAGE}")
    condition, parameters = search_condition(kind, body.get("filterGroups") or [], records)
    indexed_until = datetime.now(UTC) - timedelta(seconds=world.settings.hubspot_search_lag)
    where = f"object_type = ? and not is_archived and updated_at <= ? and {condition}"
    values = [kind.name, indexed_until.isoformat(timespec="milliseconds").replace("+00:00", "Z"), *parameters]
    total = world.store.value(f"select count(*) from hubspot_objects where {where}", values)
    rows = world.store.rows(
        f"select * from hubspot_objects where {where} order by id limit ? offset ?", [*values, limit, after]
    )
    asked = list(body.get("properties") or [])
    answer: dict[str, Any] = {
        "total": total,
        "results": [records.shown(record_of(kind, row), asked) for row in rows],
    }
    if after + len(rows) < total:
        answer["paging"] = {"next": {"after": str(after + len(rows))}}
    return json_reply(200, answer)


def search_condition(kind: ObjectType, groups: list[dict[str, Any]], records: Records) -> tuple[str, list[Any]]:
    """SQL for filter groups: filters of a group all hold, of the groups one. Raises HubSpotError (400)."""
    alternatives, parameters = [], []
    for group in groups:
        parts = []
        for item in group.get("filters", []):
            part, values = _filter_condition(kind, item, records)
            parts.append(part)
            parameters += values
        alternatives.append(f"({' and '.join(parts) or '1'})")
    return f"({' or '.join(alternatives) or '1'})", parameters


def _filter_condition(kind: ObjectType, item: dict[str, Any], records: Records) -> tuple[str, list[Any]]:
    name, operator = str(item.get("propertyName")), item.get("operator")
    rules = records.catalog.rules(kind).get(name)
    if rules is None or not _NAME.fullmatch(name):
        raise invalid(f"There was a problem with the request: property {name} does not exist")
    column = "cast(id as text)" if name == "hs_object_id" else f"json_extract(properties, '$.{name}')"
    if rules.kind == "number" and operator not in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        column = f"cast({column} as real)"
    if operator in _COMPARISONS:
        return f"{column} {_COMPARISONS[operator]} ?", [_operand(rules.kind, item.get("value"))]
    if operator in ("IN", "NOT_IN"):
        values = [_operand(rules.kind, value) for value in item.get("values") or []]
        marks = ", ".join("?" * len(values))
        return f"{column} {'not in' if operator == 'NOT_IN' else 'in'} ({marks})", values
    if operator == "BETWEEN":
        return f"{column} between ? and ?", [_operand(rules.kind, item.get(end)) for end in ("value", "highValue")]
    if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        return f"{column} is {'not ' if operator == 'HAS_PROPERTY' else ''}null", []
    if operator in ("CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"):
        negation = "not " if operator == "NOT_CONTAINS_TOKEN" else ""
        pattern = str(item.get("value", "")).lower().replace("*", "%")
        return f"lower({column}) {negation}like ?", [f"%{pattern}%"]
    raise invalid(f"There was a problem with the request: unknown operator {operator}")


def _operand(kind: str, value: Any) -> Any:
    if kind != "number":
        return "" if value is None else str(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise invalid(f"There was a problem with the request: {value} is no number") from None
