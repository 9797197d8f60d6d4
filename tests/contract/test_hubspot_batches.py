"""HubSpot batches: every row gets its own outcome, whatever its neighbours do and however the answer is ordered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from fault_server import Call, Fault, answers_json, serving
from vendor_kits import HTTP_KITS, connection_to

from dagster_project.contracts.destination import Outcome, Request, Verdict
from dagster_project.respond.destinations.hubspot import HubSpot

UPSERT = "/contacts/batch/upsert"


def run(
    script: Callable[[Call], Fault], operation: str, arguments: Sequence[dict[str, Any]]
) -> tuple[list[Outcome], list[Call]]:
    kind = HubSpot.operations[operation].arguments
    requests = [Request(f"key-{i}", kind.model_validate(one)) for i, one in enumerate(arguments)]

    async def scenario() -> tuple[list[Outcome], list[Call]]:
        async with serving(script) as server:
            destination = HubSpot.open(connection_to("hubspot", server.url, 5.0))
            try:
                return list(await destination.deliver(operation, requests)), server.calls
            finally:
                await destination.close()

    return asyncio.run(scenario())


def instead_of(path: str, chosen: Callable[[Call], Fault]) -> Callable[[Call], Fault]:
    healthy = HTTP_KITS["hubspot"].healthy()
    return lambda call: chosen(call) if call.path.endswith(path) else healthy(call)


def contacts(count: int) -> list[dict[str, Any]]:
    return [{"entity_id": f"c-{i}", "email": f"c{i}@example.com", "campaign": "Win back"} for i in range(count)]


def refuses_poison(*poison: str) -> Callable[[Call], Fault]:
    def chosen(call: Call) -> Fault:
        if any(one["id"] in poison for one in call.json["inputs"]):
            return answers_json({"message": "a property is not valid", "category": "VALIDATION_ERROR"}, 400)
        return HTTP_KITS["hubspot"].healthy()(call)

    return chosen


@pytest.mark.parametrize("poison", [("c-0",), ("c-99",), ("c-13", "c-14", "c-77")])
def test_a_poison_row_rejects_nobody_else(poison: tuple[str, ...]) -> None:
    outcomes, calls = run(instead_of(UPSERT, refuses_poison(*poison)), "add_to_campaign", contacts(100))
    rejected = {f"c-{i}" for i, outcome in enumerate(outcomes) if outcome.verdict is Verdict.REJECTED}
    assert rejected == set(poison)
    assert sum(outcome.verdict is Verdict.DELIVERED for outcome in outcomes) == 100 - len(poison)
    assert sum(call.path.endswith(UPSERT) for call in calls) <= 2 * len(poison) * 8


def test_a_limit_in_the_middle_of_the_search_for_the_poison_row_ends_it() -> None:
    seen = 0

    def chosen(_call: Call) -> Fault:
        nonlocal seen
        seen += 1
        return answers_json({"message": "no"}, 400 if seen == 1 else 429)

    outcomes, _ = run(instead_of(UPSERT, chosen), "upsert_contact", [{"entity_id": f"c-{i}"} for i in range(8)])
    assert seen == 2
    assert {(outcome.verdict, outcome.scope) for outcome in outcomes} == {("retry", "destination")}


def test_two_requests_for_one_record_each_get_its_outcome() -> None:
    first, second = contacts(1)[0], {**contacts(1)[0], "campaign": "Other", "phone": "1"}
    outcomes, calls = run(HTTP_KITS["hubspot"].healthy(), "add_to_campaign", [first, second])
    assert [outcome.verdict for outcome in outcomes] == [Verdict.DELIVERED] * 2
    assert outcomes[0].external_id == outcomes[1].external_id
    (upsert,) = [call for call in calls if call.path.endswith(UPSERT)]
    assert [one["properties"]["phone"] for one in upsert.json["inputs"]] == ["1"]
    assert sum(call.path.endswith("/memberships/add") for call in calls) == 2


def test_rows_missing_from_an_answer_and_rows_with_errors() -> None:
    rows = [
        {"id": "92", "properties": {"loop_entity_id": "c-2"}},
        {"id": "90", "properties": {"loop_entity_id": "c-0"}},
    ]
    error = {"category": "CONFLICT", "message": "the e-mail belongs to another", "context": {"ids": ["c-1"]}}
    answer = answers_json({"results": rows, "errors": [error], "numErrors": 1}, 207)
    outcomes, _ = run(
        instead_of(UPSERT, lambda _call: answer), "upsert_contact", [{"entity_id": f"c-{i}"} for i in range(4)]
    )
    assert [(str(outcome.verdict), str(outcome.reason), outcome.external_id) for outcome in outcomes] == [
        ("delivered", "", "90"),
        ("rejected", "conflict", None),
        ("delivered", "", "92"),
        ("unknown", "missing_from_reply", None),
    ]


@pytest.mark.parametrize("rows", [[{"id": None}, 7, None, {"properties": 3}], [{"id": "1"}], "none", {"a": 1}])
def test_an_answer_of_another_shape_is_never_taken_for_a_success(rows: Any) -> None:
    script = instead_of(UPSERT, lambda _call: answers_json({"results": rows}))
    outcomes, _ = run(script, "upsert_contact", [{"entity_id": "c-0"}])
    assert outcomes[0].verdict is Verdict.UNKNOWN


def test_a_contact_that_did_not_join_the_list_is_not_delivered() -> None:
    script = instead_of("/memberships/add", lambda _call: answers_json({"recordIdsMissing": ["90"]}))
    outcomes, _ = run(script, "add_to_campaign", contacts(2))
    assert [outcome.verdict for outcome in outcomes] == [Verdict.RETRY, Verdict.DELIVERED]


def test_a_dynamic_list_takes_nobody() -> None:
    listed = answers_json({"list": {"listId": "3", "processingType": "DYNAMIC"}})
    outcomes, _ = run(instead_of("/name/Win%20back", lambda _call: listed), "add_to_campaign", contacts(2))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.REJECTED}
    assert "dynamic" in outcomes[0].detail


def test_a_property_that_is_not_unique_pauses_the_destination() -> None:
    script = instead_of(
        "/loop_entity_id", lambda _call: answers_json({"name": "loop_entity_id", "hasUniqueValue": False})
    )
    outcomes, calls = run(script, "upsert_contact", [{"entity_id": "c-0"}])
    assert (outcomes[0].reason, outcomes[0].scope) == ("misconfigured", "destination")
    assert len(calls) == 1


def task(**changed: Any) -> dict[str, Any]:
    return {**HTTP_KITS["hubspot"].samples["assign_task"], **changed}


def test_an_unknown_owner_or_contact_refuses_its_own_task_only() -> None:
    def reads(call: Call) -> Fault:
        rows = [{"id": "90", "properties": {"loop_entity_id": "c-1"}}]
        return answers_json({"results": rows}, 207) if "read" in call.path else answers_json({})

    tasks = [task(), task(owner_email="nobody@example.com"), task(contact_entity_id="c-9"), task(owner_email="")]
    outcomes, calls = run(instead_of("/contacts/batch/read", reads), "assign_task", tasks)
    assert [str(outcome.verdict) for outcome in outcomes] == ["delivered", "rejected", "rejected", "delivered"]
    assert "nobody@example.com" in outcomes[1].detail and "'c-9'" in outcomes[2].detail
    (made,) = [call.json["inputs"] for call in calls if call.path.endswith("/tasks/batch/upsert")]
    assert [one["id"] for one in made] == ["key-0", "key-3"]
    assert "hubspot_owner_id" not in made[1]["properties"]


def test_a_task_whose_link_fails_is_sent_again() -> None:
    script = instead_of("/batch/associate/default", lambda _call: answers_json({"message": "oops"}, 500))
    outcomes, _ = run(script, "assign_task", [task(), task(contact_entity_id="")])
    assert [outcome.verdict for outcome in outcomes] == [Verdict.UNKNOWN, Verdict.DELIVERED]


def test_older_paths_under_version_3() -> None:
    async def scenario() -> list[str]:
        async with serving(HTTP_KITS["hubspot"].healthy()) as server:
            settings = {**connection_to("hubspot", server.url, 5.0).model_dump(), "api_version": "v3"}
            destination = HubSpot.open(HubSpot.connection_type.model_validate(settings))
            kind = destination.operations["upsert_contact"].arguments
            await destination.deliver("upsert_contact", [Request("k", kind.model_validate({"entity_id": "c-1"}))])
            await destination.close()
            return [call.path for call in server.calls]

    assert asyncio.run(scenario()) == [
        "/crm/v3/properties/contacts/loop_entity_id",
        "/crm/v3/objects/contacts/batch/upsert",
    ]
