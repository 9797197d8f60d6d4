"""The batch endpoints: at most 100 inputs, no id twice, and a multi-status answer for what failed."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from dagster_project.sandbox.calls import Call, Reply, json_reply
from dagster_project.sandbox.hubspot.errors import HubSpotError, invalid, invalid_json
from dagster_project.sandbox.hubspot.object_types import ObjectType, object_type
from dagster_project.sandbox.hubspot.objects import Record, Records
from dagster_project.sandbox.store import now_text

MAX_INPUTS = 100


def batch_inputs(call: Call, *, limit: int = MAX_INPUTS) -> list[dict[str, Any]]:
    """The inputs of a batch. Raises HubSpotError (400) for none, too many, or another shape."""
    body = call.json()
    inputs = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(inputs, list) or not all(isinstance(item, dict) for item in inputs):
        raise invalid_json()
    if not inputs:
        raise invalid("The batch input must contain at least one input")
    if len(inputs) > limit:
        raise invalid(f"The maximum number of inputs supported in a batch request is {limit}")
    return inputs


def refuse_duplicates(ids: list[str]) -> None:
    """Refuses the whole batch when an id comes twice."""
    repeated = [value for value, count in Counter(ids).items() if count > 1]
    if repeated:
        listed = ", ".join(repeated)
        message = f"Duplicate IDs found in batch input: [{listed}]. IDs must be unique"
        raise invalid(message, context={"ids": repeated})


def batch_reply(status: int, results: list[dict[str, Any]], errors: list[dict[str, Any]]) -> Reply:
    """A batch answer; one with errors is a 207."""
    moment = now_text()
    body: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": moment, "completedAt": moment}
    if errors:
        body |= {"numErrors": len(errors), "errors": errors}
    return json_reply(207 if errors else status, body)


def _input_error(error: HubSpotError, trace: str, item_id: str) -> dict[str, Any]:
    body = json.loads(error.reply.body)
    return {
        "status": "error",
        "category": body["category"],
        "message": body["message"],
        "context": {"objectWriteTraceId": [trace], "ids": [item_id]},
    }


def _missing(kind: ObjectType, ids: list[str]) -> dict[str, Any]:
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": f"Could not get some {kind.singular} objects, they may be deleted or not exist."
        " Check that ids are valid.",
        "context": {"ids": ids},
    }


def batch_upsert(call: Call, records: Records, type_name: str) -> Reply:
    """POST /crm/objects/{version}/{type}/batch/upsert

    An input that carries an objectWriteTraceId fails alone (207); without one its failure refuses the whole batch.
    Results come back existing records first, not in the order of the inputs: HubSpot promises none.
    """
    kind, inputs = object_type(type_name), batch_inputs(call)
    identities = [_upsert_identity(item) for item in inputs]
    for name in {name for name, _ in identities}:
        records.catalog.require_unique(kind, name)
    refuse_duplicates([value for _, value in identities])
    created: list[dict[str, Any]] = []
    updated: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for item, (name, value) in zip(inputs, identities, strict=True):
        trace = item.get("objectWriteTraceId")
        try:
            record, is_new = _upsert(records, kind, name, value, item.get("properties", {}), trace)
        except HubSpotError as error:
            if trace is None:
                raise
            errors.append(_input_error(error, trace, value))
            continue
        shown = records.shown(record) | {"new": is_new} | ({} if trace is None else {"objectWriteTraceId": trace})
        (created if is_new else updated).append(shown)
    return batch_reply(200, updated + created, errors)


def _upsert_identity(item: dict[str, Any]) -> tuple[str, str]:
    name, value = item.get("idProperty"), item.get("id")
    if not isinstance(name, str) or not name:
        raise invalid("idProperty is required for upsert")
    if value is None or str(value) == "":
        raise invalid("id is required for every input")
    return name, str(value)


def _upsert(
    records: Records, kind: ObjectType, name: str, value: str, properties: Any, trace: str | None
) -> tuple[Record, bool]:
    found = records.by_unique(kind, name, value)
    if found is not None:
        return records.update(found, properties, operation="upsert", trace=trace), False
    values = {**properties, name: value} if isinstance(properties, dict) else properties
    return records.create(kind, values, operation="upsert", trace=trace), True


def batch_update(call: Call, records: Records, type_name: str) -> Reply:
    """POST /crm/objects/{version}/{type}/batch/update"""
    kind, inputs = object_type(type_name), batch_inputs(call)
    refuse_duplicates([str(item.get("id")) for item in inputs])
    results, errors, missing = [], [], []
    for item in inputs:
        item_id, trace = str(item.get("id")), item.get("objectWriteTraceId")
        record = records.find(kind, item_id, item.get("idProperty"))
        if record is None:
            missing.append(item_id)
            continue
        try:
            changed = records.update(record, item.get("properties", {}), operation="update", trace=trace)
        except HubSpotError as error:
            if trace is None:
                raise
            errors.append(_input_error(error, trace, item_id))
            continue
        results.append(records.shown(changed))
    if missing:
        errors.append(_missing(kind, missing))
    return batch_reply(200, results, errors)


def batch_create(call: Call, records: Records, type_name: str) -> Reply:
    """POST /crm/objects/{version}/{type}/batch/create"""
    kind, inputs = object_type(type_name), batch_inputs(call)
    results, errors = [], []
    for item in inputs:
        trace = item.get("objectWriteTraceId")
        try:
            record = records.create(kind, item.get("properties", {}), operation="create", trace=trace)
        except HubSpotError as error:
            if trace is None:
                raise
            errors.append(_input_error(error, trace, trace))
            continue
        results.append(records.shown(record))
    return batch_reply(201, results, errors)


def batch_read(call: Call, records: Records, type_name: str) -> Reply:
    """POST /crm/objects/{version}/{type}/batch/read"""
    kind, inputs = object_type(type_name), batch_inputs(call)
    body = call.json()
    id_property, asked = body.get("idProperty"), list(body.get("properties") or [])
    results, missing = [], []
    for item_id in dict.fromkeys(str(item.get("id")) for item in inputs):
        record = records.find(kind, item_id, id_property)
        if record is None:
            missing.append(item_id)
        else:
            results.append(records.shown(record, asked))
    return batch_reply(200, results, [_missing(kind, missing)] if missing else [])
