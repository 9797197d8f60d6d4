"""Tryton: duplicates are settled, races are survived, and errors inside a 200 are read for what they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from fault_server import Call, Fault, answers, answers_json, serving
from vendor_kits import HTTP_KITS, connection_to

from dagster_project.contracts.destination import LookupFailed, Outcome, Request, Verdict
from dagster_project.respond.destinations.tryton import Tryton, open_quantity

Script = Callable[[Call], Fault]


def result(value: Any) -> Fault:
    return answers_json({"id": 0, "result": value})


def error(*parts: Any) -> Fault:
    return answers_json({"id": 0, "error": list(parts)})


class TrytonWith:
    """A healthy Tryton in which some methods answer otherwise; remembers what was asked."""

    def __init__(self, **chosen: Callable[[Sequence[Any]], Fault]) -> None:
        self._chosen = {name.replace("__", "."): answer for name, answer in chosen.items()}
        self._healthy = HTTP_KITS["tryton"].healthy()
        self.asked: list[tuple[str, list[Any]]] = []

    def __call__(self, call: Call) -> Fault:
        method, params = call.json["method"], call.json["params"]
        self.asked.append((method, params))
        chosen = self._chosen.get(method.removeprefix("model."))
        return self._healthy(call) if chosen is None else chosen(params)

    def of(self, method: str) -> list[list[Any]]:
        return [params for asked, params in self.asked if asked == f"model.{method}"]


def deliver(script: Script, operation: str = "create_purchase_order", call_deadline: float = 5.0) -> Outcome:
    async def scenario() -> Outcome:
        async with serving(script) as server:
            destination = Tryton.open(connection_to("tryton", server.url, call_deadline))
            try:
                (outcome,) = await destination.deliver(operation, [request(operation)])
                return outcome
            finally:
                await destination.close()

    return asyncio.run(scenario())


def request(operation: str) -> Request:
    sample = HTTP_KITS["tryton"].samples[operation]
    return Request("key-1", Tryton.operations[operation].arguments.model_validate(sample))


def orders(**states: str) -> Callable[[Sequence[Any]], Fault]:
    """The purchases that a read gives: order_7="draft" and so on."""
    known = {int(name.removeprefix("order_")): state for name, state in states.items()}
    return lambda params: result([{"id": one, "state": known[one]} for one in reversed(params[0])])


def test_the_lowest_of_several_is_kept_and_other_drafts_are_cancelled() -> None:
    tryton = TrytonWith(
        purchase__purchase__search=lambda _params: result([7, 9, 8]),
        purchase__purchase__read=orders(order_7="draft", order_8="draft", order_9="draft"),
        purchase__purchase__cancel=lambda _params: result(None),
    )
    outcome = deliver(tryton)
    assert (outcome.verdict, outcome.external_id) == (Verdict.DELIVERED, "7")
    assert [params[0] for params in tryton.of("purchase.purchase.cancel")] == [[8], [9]]
    assert outcome.result["duplicates_removed"] == "2" and "8, 9" in outcome.detail
    assert tryton.of("purchase.purchase.create") == []


def test_an_order_that_someone_already_moved_on_is_reported_and_left() -> None:
    tryton = TrytonWith(
        purchase__purchase__search=lambda _params: result([7, 8]),
        purchase__purchase__read=orders(order_7="draft", order_8="confirmed"),
    )
    outcome = deliver(tryton)
    assert outcome.external_id == "7"
    assert "order 8" in outcome.detail and "confirmed" in outcome.detail
    assert tryton.of("purchase.purchase.cancel") == []


def test_a_cancelled_order_is_passed_over_and_never_made_again() -> None:
    reads = orders(order_6="cancelled", order_7="draft")
    outcome = deliver(
        TrytonWith(purchase__purchase__search=lambda _params: result([6, 7]), purchase__purchase__read=reads)
    )
    assert (outcome.external_id, outcome.detail) == ("7", "")
    alone = TrytonWith(
        purchase__purchase__search=lambda _params: result([6]), purchase__purchase__read=orders(order_6="cancelled")
    )
    outcome = deliver(alone)
    assert (outcome.verdict, outcome.external_id) == (Verdict.DELIVERED, "6")
    assert "cancelled" in outcome.detail
    assert alone.of("purchase.purchase.create") == []


def test_a_duplicate_that_another_process_cancelled_first() -> None:
    states = {7: "draft", 8: "draft"}

    def cancel(params: Sequence[Any]) -> Fault:
        states[params[0][0]] = "cancelled"
        return error("UserError", ['You can not call "cancel"', "", None])

    outcome = deliver(
        TrytonWith(
            purchase__purchase__search=lambda _params: result([7, 8]),
            purchase__purchase__read=lambda params: result([{"id": one, "state": states[one]} for one in params[0]]),
            purchase__purchase__cancel=cancel,
        )
    )
    assert outcome.result["duplicates_removed"] == "1"


def test_a_failure_after_the_create_never_says_that_nothing_was_done() -> None:
    for failing in (error("UserError", ["no access", "", None]), answers(500), answers(429)):
        outcome = deliver(TrytonWith(purchase__purchase__read=lambda _params, failing=failing: failing))
        assert outcome.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("said", "verdict", "reason", "scope"),
    [
        (["UserError", ["The party is not valid", "Look at its code", None]], "rejected", "refused", "action"),
        (["UserWarning", ["w-1", "Really?", ""]], "rejected", "refused", "action"),
        (["ConcurrencyException", "modified"], "retry", "conflict", "action"),
        (["RateLimitException", ""], "retry", "rate_limited", "destination"),
        (["LoginException", ["otp", "One-time code", "char"]], "retry", "unauthorized", "destination"),
        (["'some_field'", "Traceback (most recent call last) ..."], "unknown", "server_error", "action"),
        ([], "unknown", "server_error", "action"),
        ("a text", "unknown", "server_error", "action"),
    ],
)
def test_errors_inside_a_200(said: Any, verdict: str, reason: str, scope: str) -> None:
    refusing = answers_json({"id": 0, "error": said})
    outcome = deliver(TrytonWith(purchase__purchase__create=lambda _params: refusing))
    assert (outcome.verdict, outcome.reason, outcome.scope) == (verdict, reason, scope)
    assert "Traceback" not in outcome.detail


def test_a_party_that_another_process_makes_at_the_same_moment_is_found() -> None:
    searches = 0

    def search(_params: Sequence[Any]) -> Fault:
        nonlocal searches
        searches += 1
        return result([] if searches == 1 else [44])

    tryton = TrytonWith(
        party__party__search=search,
        party__party__create=lambda _params: error("UserError", ["The code on party must be unique.", "", None]),
    )
    assert deliver(tryton).verdict is Verdict.DELIVERED
    assert tryton.of("purchase.purchase.create")[0][0][0]["party"] == 44


def test_a_duplicate_project_is_deleted_unless_someone_works_on_it() -> None:
    def search(params: Sequence[Any]) -> Fault:
        parents = [clause[2] for clause in params[0] if clause[0] == "parent"]
        return result([parents[0] * 10]) if parents else result([3, 4, 5])

    tryton = TrytonWith(
        project__work__search=search,
        project__work__read=lambda params: result(
            [{"id": one, "progress": 0.5 if one == 50 else None} for one in params[0]]
        ),
        project__work__delete=lambda _params: result(None),
    )
    outcome = deliver(tryton, "create_onboarding_project")
    assert (outcome.external_id, outcome.result["duplicates_removed"]) == ("3", "1")
    assert [params[0] for params in tryton.of("project.work.delete")] == [[40, 4]]
    assert "project 5" in outcome.detail and "begun" in outcome.detail


def test_a_number_that_was_drawn_twice_is_tried_again_later() -> None:
    refusal = error("UserError", ["The number on work must be unique.", "", None])
    tryton = TrytonWith(project__work__create=lambda _params: refusal)
    outcome = deliver(tryton, "create_onboarding_project")
    assert (outcome.verdict, outcome.reason, outcome.scope) == ("retry", "conflict", "action")
    assert all(params[-1]["language"] == "en" for params in tryton.of("project.work.create"))


def test_preparing_and_creating_share_one_deadline() -> None:
    async def slow(_call: Call, wire: Any) -> None:
        await asyncio.sleep(0.25)  # a server that takes its time, twice: more than the calls share
        await wire.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n" + json.dumps({"id": 0, "result": [1]}).encode()
        )

    tryton = TrytonWith(party__party__search=lambda _params: slow, currency__currency__search=lambda _params: slow)
    outcome = deliver(tryton, call_deadline=0.4)
    assert (outcome.verdict, outcome.reason) == ("retry", "timed_out")
    assert tryton.of("purchase.purchase.create") == []


def test_a_user_without_a_company_pauses_the_destination() -> None:
    outcome = deliver(TrytonWith(res__user__get_preferences=lambda _params: result({"company": None})))
    assert (outcome.verdict, outcome.reason, outcome.scope) == ("retry", "misconfigured", "destination")


def test_a_lookup_that_fails_says_so() -> None:
    async def scenario() -> None:
        async with serving(lambda _call: answers(500, b"broken")) as server:
            destination = Tryton.open(connection_to("tryton", server.url, 5.0))
            try:
                await destination.look_up("open_purchase_lines", ["SKU-1"])
            finally:
                await destination.close()

    with pytest.raises(LookupFailed, match="stays waiting"):
        asyncio.run(scenario())


@pytest.mark.parametrize(("share", "left"), [(None, "12"), (0, "12"), (0.25, "9"), (1, "0"), (1.5, "0")])
def test_what_has_come_in_is_no_longer_open(share: float | None, left: str) -> None:
    assert open_quantity(12.0, share) == float(left)
