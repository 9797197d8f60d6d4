"""The sandbox's HubSpot over real HTTP: what its documentation says of batches, keys, lists, links and limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from dagster_project.sandbox.server import SandboxServer

DUE = "2026-11-25T10:00:00Z"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer pat-wrong"}])
def test_a_missing_or_wrong_token_is_refused_in_hubspots_words(sandbox: SandboxServer, headers: dict[str, str]) -> None:
    url = f"{sandbox.address.http_url}/hubspot/crm/v3/owners"
    answer = requests.get(url, headers=headers, timeout=10)
    assert answer.status_code == 401
    assert answer.json()["category"] == "INVALID_AUTHENTICATION"
    assert "pat-wrong" not in answer.text


@pytest.mark.parametrize("path", ["/crm/objects/2026-03/contacts", "/crm/v3/objects/contacts", "/crm/v3/objects/0-1"])
def test_an_upsert_creates_once_and_then_updates(sandbox: SandboxServer, hubspot: Any, path: str) -> None:
    first = {"idProperty": "loop_entity_id", "id": "C1", "properties": {"email": "a@example.com", "firstname": "Ann"}}
    second = {"idProperty": "loop_entity_id", "id": "C1", "properties": {"firstname": "Anne"}}
    made = hubspot("POST", f"{path}/batch/upsert", {"inputs": [first]}).json()["results"][0]
    changed = hubspot("POST", f"{path}/batch/upsert", {"inputs": [second]}).json()["results"][0]
    assert (made["new"], changed["new"], changed["id"]) == (True, False, made["id"])
    assert changed["properties"]["email"] == "a@example.com"
    assert changed["properties"]["loop_entity_id"] == "C1"
    assert [(effect.entity, effect.is_created) for effect in sandbox.effects("hubspot")] == [
        ("C1", True),
        ("C1", False),
    ]


@pytest.mark.parametrize(
    ("kind", "key", "message"),
    [
        ("companies", "domain", "Unable to perform update/upsert by non-unique 0-2 property domain"),
        ("tasks", "hs_task_subject", "Unable to perform update/upsert by non-unique 0-27 property hs_task_subject"),
        ("contacts", "no_such", 'Property "no_such" does not exist for object type 0-1'),
    ],
)
def test_an_upsert_needs_a_unique_property(hubspot: Any, kind: str, key: str, message: str) -> None:
    answer = hubspot.upsert(kind, key, {"id": "x", "properties": {}})
    assert (answer.status_code, answer.json()["category"], answer.json()["message"]) == (
        400,
        "VALIDATION_ERROR",
        message,
    )


def test_a_property_made_unique_can_key_an_upsert(hubspot: Any) -> None:
    definition = {
        "name": "erp_id",
        "label": "ERP id",
        "type": "string",
        "fieldType": "text",
        "groupName": "companyinformation",
        "hasUniqueValue": True,
    }
    assert hubspot("GET", "/crm/v3/properties/companies/erp_id").status_code == 404
    assert hubspot("POST", "/crm/v3/properties/companies", definition).status_code == 201
    assert hubspot("POST", "/crm/properties/2026-03/companies", definition).status_code == 409
    assert hubspot("GET", "/crm/v3/properties/companies/erp_id").json()["hasUniqueValue"] is True
    assert hubspot.upsert("companies", "erp_id", {"id": "7", "properties": {"name": "Globex"}}).status_code == 200
    found = hubspot("GET", "/crm/v3/objects/companies/7?idProperty=erp_id&properties=erp_id").json()
    assert (found["properties"]["erp_id"], found["properties"]["name"]) == ("7", "Globex")


def test_a_batch_takes_a_hundred_inputs_and_refuses_one_more(sandbox: SandboxServer, hubspot: Any) -> None:
    inputs = [{"id": f"C{number}", "properties": {}} for number in range(101)]
    refused = hubspot.upsert("contacts", "loop_entity_id", *inputs)
    assert (refused.status_code, sandbox.effects()) == (400, [])
    assert len(hubspot.upsert("contacts", "loop_entity_id", *inputs[:100]).json()["results"]) == 100


def test_a_batch_with_one_id_twice_is_refused_whole(sandbox: SandboxServer, hubspot: Any) -> None:
    answer = hubspot.upsert("contacts", "loop_entity_id", *({"id": key, "properties": {}} for key in ("A", "B", "A")))
    assert answer.status_code == 400
    assert answer.json()["message"] == "Duplicate IDs found in batch input: [A]. IDs must be unique"
    assert answer.json()["context"] == {"ids": ["A"]}
    assert sandbox.effects() == []


def test_without_trace_ids_one_bad_input_refuses_the_batch_and_keeps_nothing(
    sandbox: SandboxServer, hubspot: Any
) -> None:
    good = {"id": "T1", "properties": {"hs_timestamp": DUE, "hs_task_priority": "HIGH"}}
    bad = {"id": "T2", "properties": {"hs_timestamp": DUE, "hs_task_priority": "SOON"}}
    answer = hubspot.upsert("tasks", "loop_key", good, bad)
    assert answer.status_code == 400
    assert "SOON was not one of the allowed options" in answer.json()["message"]
    assert sandbox.effects() == []
    assert hubspot("GET", "/crm/v3/objects/tasks/T1?idProperty=loop_key").status_code == 404


def test_with_trace_ids_the_bad_input_fails_alone(sandbox: SandboxServer, hubspot: Any) -> None:
    good = {"id": "T1", "objectWriteTraceId": "trace-1", "properties": {"hs_timestamp": DUE}}
    bad = {"id": "T2", "objectWriteTraceId": "trace-2", "properties": {"hs_timestamp": DUE, "unknown": "x"}}
    answer = hubspot.upsert("tasks", "loop_key", good, bad)
    assert answer.status_code == 207
    assert [result["objectWriteTraceId"] for result in answer.json()["results"]] == ["trace-1"]
    (error,) = answer.json()["errors"]
    assert (error["category"], error["context"]["objectWriteTraceId"]) == ("VALIDATION_ERROR", ["trace-2"])
    assert [effect.idempotency_key for effect in sandbox.effects("hubspot")] == ["trace-1"]


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"no_such": "x"}, "PROPERTY_DOESNT_EXIST"),
        ({"hs_object_id": "1"}, "READ_ONLY_VALUE"),
        ({"hs_timestamp": "tomorrow"}, "INVALID_DATE"),
        ({"hubspot_owner_id": "999"}, "INVALID_OWNER_ID"),
        ({"hs_task_status": "OPEN"}, "INVALID_OPTION"),
    ],
)
def test_values_are_checked_one_by_one(hubspot: Any, properties: dict[str, str], code: str) -> None:
    body = {"properties": {"hs_timestamp": DUE, **properties}}
    answer = hubspot("POST", "/crm/v3/objects/tasks", body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == code
    problems = json.loads(answer.json()["message"].removeprefix("Property values were not valid: "))
    assert problems[0]["error"] == code


def test_a_task_needs_its_due_date(hubspot: Any) -> None:
    answer = hubspot("POST", "/crm/v3/objects/tasks", {"properties": {"hs_task_subject": "Call"}})
    assert (answer.status_code, "[hs_timestamp]" in answer.json()["message"]) == (400, True)


def test_an_address_belongs_to_one_contact(hubspot: Any) -> None:
    contact = hubspot.contact("C1", email="Ann@example.com")
    answer = hubspot.upsert("contacts", "loop_entity_id", {"id": "C2", "properties": {"email": "ann@example.com"}})
    assert (answer.status_code, answer.json()["category"]) == (409, "CONFLICT")
    assert answer.json()["message"] == f"Contact already exists. Existing ID: {contact}"


def test_a_freed_unique_value_can_be_taken_again(hubspot: Any) -> None:
    first = hubspot.contact("C1", email="ann@example.com")
    assert hubspot("PATCH", f"/crm/v3/objects/contacts/{first}", {"properties": {"email": "b@example.com"}}).ok
    hubspot.contact("C2", email="ann@example.com")
    assert hubspot("DELETE", f"/crm/v3/objects/contacts/{first}").status_code == 204
    assert hubspot("GET", f"/crm/v3/objects/contacts/{first}").status_code == 404
    assert hubspot.contact("C1", email="b@example.com") != first


def test_batch_update_and_read_name_what_is_missing(hubspot: Any) -> None:
    contact = hubspot.contact("C1", firstname="Ann")
    inputs = [{"id": contact, "properties": {"city": "Leith"}}, {"id": "4711", "properties": {"city": "Leith"}}]
    updated = hubspot("POST", "/crm/v3/objects/contacts/batch/update", {"inputs": inputs})
    assert updated.status_code == 207
    assert updated.json()["results"][0]["properties"]["city"] == "Leith"
    assert updated.json()["errors"][0]["context"]["ids"] == ["4711"]
    body = {"idProperty": "loop_entity_id", "properties": ["city"], "inputs": [{"id": "C1"}, {"id": "C9"}]}
    read = hubspot("POST", "/crm/objects/2026-03/contacts/batch/read", body)
    assert (read.status_code, read.json()["errors"][0]["context"]["ids"]) == (207, ["C9"])
    assert read.json()["results"][0]["properties"]["city"] == "Leith"
    assert "loop_entity_id" not in read.json()["results"][0]["properties"]


def test_search_filters_sorts_out_and_pages(hubspot: Any) -> None:
    for number in range(5):
        hubspot.contact(f"C{number}", city="Leith" if number % 2 else "Cork", firstname=f"N{number}")
    body = {
        "filterGroups": [
            {"filters": [{"propertyName": "city", "operator": "EQ", "value": "Leith"}]},
            {"filters": [{"propertyName": "loop_entity_id", "operator": "IN", "values": ["C0"]}]},
        ],
        "properties": ["loop_entity_id"],
        "limit": 2,
    }
    first = hubspot("POST", "/crm/v3/objects/contacts/search", body)
    assert first.json()["total"] == 3
    assert "X-HubSpot-RateLimit-Remaining" not in first.headers
    rest = hubspot("POST", "/crm/v3/objects/contacts/search", body | {"after": first.json()["paging"]["next"]["after"]})
    found = [result["properties"]["loop_entity_id"] for page in (first, rest) for result in page.json()["results"]]
    assert found == ["C0", "C1", "C3"]
    unknown = {"filterGroups": [{"filters": [{"propertyName": "x'; --", "operator": "EQ", "value": "1"}]}]}
    assert hubspot("POST", "/crm/v3/objects/contacts/search", unknown).status_code == 400


def test_search_may_lag_behind_writes_as_hubspots_does(sandbox: SandboxServer, hubspot: Any) -> None:
    sandbox.control.change_settings(hubspot_search_lag=3600)
    hubspot.contact("C1")
    assert hubspot("POST", "/crm/v3/objects/contacts/search", {}).json()["total"] == 0
    assert hubspot("GET", "/crm/v3/objects/contacts/C1?idProperty=loop_entity_id").status_code == 200


def test_a_campaign_is_a_list_and_adding_is_idempotent(sandbox: SandboxServer, hubspot: Any) -> None:
    asked = {"name": "Win back", "objectTypeId": "0-1", "processingType": "MANUAL"}
    contact = hubspot.contact("C1")
    made = hubspot("POST", "/crm/v3/lists/", asked).json()["list"]
    again = hubspot("POST", "/crm/v3/lists/", asked)
    assert (again.status_code, again.json()["subCategory"]) == (400, "ILS.DUPLICATE_LIST_NAMES")
    found = hubspot("GET", "/crm/lists/2026-03/object-type-id/0-1/name/Win%20back").json()["list"]
    assert found["listId"] == made["listId"]
    missing = hubspot("GET", "/crm/v3/lists/object-type-id/0-1/name/Nothing")
    assert (missing.status_code, missing.json()["subCategory"]) == (404, "ILS.LIST_NOT_FOUND")

    members = f"/crm/v3/lists/{made['listId']}/memberships"
    assert hubspot("PUT", f"{members}/add", [contact, "99"]).json() == {
        "recordsIdsAdded": [contact],
        "recordIdsRemoved": [],
        "recordIdsMissing": ["99"],
    }
    assert hubspot("PUT", f"{members}/add", [contact]).json()["recordsIdsAdded"] == []
    assert [row["recordId"] for row in hubspot("GET", members).json()["results"]] == [contact]
    of_record = hubspot("GET", f"/crm/v3/lists/records/0-1/{contact}/memberships").json()["results"]
    assert [row["listId"] for row in of_record] == [made["listId"]]
    searched = hubspot("POST", "/crm/v3/lists/search", {"query": "win"}).json()
    assert [row["additionalProperties"]["hs_list_size"] for row in searched["lists"]] == ["1"]
    added = [effect for effect in sandbox.effects("hubspot") if effect.operation == "lists.add"]
    assert [(effect.entity, effect.record) for effect in added] == [("C1", f"lists/{made['listId']}/{contact}")]
    assert hubspot("PUT", f"{members}/remove", [contact]).json()["recordIdsRemoved"] == [contact]
    assert hubspot("GET", members).json()["total"] == 0


@pytest.mark.parametrize("area", ["/crm/v4/associations", "/crm/associations/2026-03"])
def test_default_associations_join_both_ways(hubspot: Any, area: str) -> None:
    contact = hubspot.contact("C1")
    task = hubspot.upsert("tasks", "loop_key", {"id": "T1", "properties": {"hs_timestamp": DUE}}).json()["results"][0][
        "id"
    ]
    inputs = [{"from": {"id": task}, "to": {"id": contact}}, {"from": {"id": task}, "to": {"id": "999"}}]
    answer = hubspot("POST", f"{area}/tasks/contacts/batch/associate/default", {"inputs": inputs})
    assert answer.status_code == 207
    assert answer.json()["results"][0]["associationSpec"]["associationTypeId"] == 204
    assert answer.json()["errors"][0]["context"] == {"fromObjectId": [task], "toObjectId": ["999"]}
    back = hubspot("GET", f"/crm/v4/objects/contacts/{contact}/associations/tasks").json()["results"]
    assert [(row["toObjectId"], row["associationTypes"][0]["typeId"]) for row in back] == [(int(task), 203)]
    shown = hubspot("GET", f"/crm/v3/objects/tasks/{task}?associations=contacts").json()
    assert [row["id"] for row in shown["associations"]["contacts"]["results"]] == [contact]


def test_associations_by_type_id_and_one_by_one(hubspot: Any) -> None:
    contact = hubspot.contact("C1")
    company = hubspot.upsert("companies", "loop_entity_id", {"id": "A1", "properties": {}}).json()["results"][0]["id"]
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}]
    inputs = [{"from": {"id": contact}, "to": {"id": company}, "types": types}]
    assert (
        hubspot("POST", "/crm/v4/associations/contacts/companies/batch/create", {"inputs": inputs}).status_code == 201
    )
    again = hubspot("PUT", f"/crm/v4/objects/contacts/{contact}/associations/default/companies/{company}")
    assert again.status_code == 200
    assert len(hubspot("GET", f"/crm/v4/objects/contacts/{contact}/associations/companies").json()["results"]) == 1
    body = {
        "properties": {"hs_timestamp": DUE},
        "associations": [{"to": {"id": contact}, "types": [{"associationTypeId": 204}]}],
    }
    task = hubspot("POST", "/crm/v3/objects/tasks", body).json()["id"]
    assert hubspot("GET", f"/crm/v4/objects/tasks/{task}/associations/contacts").json()["results"]


def test_an_owner_exists_when_asked_for_at_an_example_address(sandbox: SandboxServer, hubspot: Any) -> None:
    (owner,) = hubspot("GET", "/crm/v3/owners?email=Jo.Smith@example.com").json()["results"]
    assert (owner["email"], owner["firstName"], owner["lastName"]) == ("jo.smith@example.com", "Jo", "Smith")
    assert hubspot("GET", "/crm/v3/owners?email=jo@elsewhere.io").json()["results"] == []
    added = sandbox.control.add_owner("jo@elsewhere.io")
    assert hubspot("GET", "/crm/owners/2026-03?email=jo@elsewhere.io").json()["results"][0]["id"] == added
    assert hubspot("GET", f"/crm/v3/owners/{added}").json()["email"] == "jo@elsewhere.io"


def test_too_many_calls_get_hubspots_429_and_leave_nothing(sandbox: SandboxServer, hubspot: Any) -> None:
    sandbox.control.change_settings(hubspot_calls_per_ten_seconds=3)
    last = [hubspot("GET", "/crm/v3/owners") for _ in range(3)][-1]
    assert last.headers["X-HubSpot-RateLimit-Max"] == "3"
    assert last.headers["X-HubSpot-RateLimit-Remaining"] == "0"
    refused = hubspot.upsert("contacts", "loop_entity_id", {"id": "C1", "properties": {}})
    assert refused.status_code == 429
    assert refused.json()["policyName"] == "TEN_SECONDLY_ROLLING"
    assert refused.json()["errorType"] == "RATE_LIMIT"
    assert sandbox.effects() == []


def test_search_has_a_limit_of_its_own(sandbox: SandboxServer, hubspot: Any) -> None:
    sandbox.control.change_settings(hubspot_searches_per_second=1)
    answers = [hubspot("POST", "/crm/v3/objects/contacts/search", {}) for _ in range(8)]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["policyName"] == "SECONDLY"


def test_a_missing_scope_is_named(sandbox: SandboxServer, hubspot: Any) -> None:
    sandbox.control.change_settings(hubspot_scopes_missing=["crm.objects.contacts.write"])
    refused = hubspot.upsert("contacts", "loop_entity_id", {"id": "C1", "properties": {}})
    assert (refused.status_code, refused.json()["category"]) == (403, "MISSING_SCOPES")
    assert refused.json()["errors"][0]["context"] == {"requiredGranularScopes": ["crm.objects.contacts.write"]}
    assert hubspot("POST", "/crm/v3/objects/contacts/batch/read", {"inputs": [{"id": "1"}]}).status_code == 207


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/crm/v3/nothing", 404),
        ("DELETE", "/crm/v3/owners", 405),
        ("POST", "/crm/v3/objects/spaceships/batch/upsert", 400),
    ],
)
def test_what_is_not_there_is_refused(hubspot: Any, method: str, path: str, status: int) -> None:
    answer = hubspot(method, path, {"inputs": [{"id": "1", "idProperty": "x"}]})
    assert (answer.status_code, answer.json()["status"]) == (status, "error")


def test_a_body_that_is_no_json_is_refused(hubspot: Any, sandbox: SandboxServer) -> None:
    url = f"{sandbox.address.http_url}/hubspot/crm/v3/objects/contacts/batch/upsert"
    headers = {"Authorization": "Bearer pat-sandbox-00000000-0000-0000-0000-000000000000"}
    assert requests.post(url, data=b"{", headers=headers, timeout=10).json()["category"] == "VALIDATION_ERROR"
