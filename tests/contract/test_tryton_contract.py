"""The Tryton connector against the sandbox and against a real server: one suite, the same answers."""

from __future__ import annotations

import asyncio
import threading
from decimal import Decimal
from typing import Any

import pytest
from contract_report import TRYTON, ContractReport
from erp_under_test import ORDER, PROJECT, Erp, order_request, project_request
from lossy_proxy import Exchange, LossyProxy, Treatment, loses_the_reply_of, lossy_proxy

from dagster_project.contracts.destination import Outcome, Request
from dagster_project.respond.destinations.tryton import Tryton

CREATE = "model.purchase.purchase.create"


@pytest.fixture(autouse=True)
def row_of_the_report(request: pytest.FixtureRequest, contract_report: ContractReport) -> Any:
    """Every test here is a row; its column is the counterpart it ran against."""
    column = request.node.callspec.params["erp"]
    yield
    title = request.node.originalname.removeprefix("test_").replace("_", " ")
    variant = {name: value for name, value in request.node.callspec.params.items() if name != "erp"}
    contract_report.cell(TRYTON, " ".join([title, *map(str, variant.values())]), column, "yes")


def judged(outcome: Outcome) -> tuple[str, str, str]:
    return str(outcome.verdict), str(outcome.reason), outcome.scope


def test_an_order_is_made_and_a_repeat_finds_it(erp: Erp) -> None:
    first, second = (erp.deliver(ORDER, order_request("order-1")) for _ in range(2))
    assert judged(first) == judged(second) == ("delivered", "", "action"), first.detail
    (order,) = erp.orders("order-1")
    assert first.external_id == second.external_id == str(order["id"])
    assert (order["state"], len(order["lines"])) == ("draft", 1)
    assert first.result == second.result
    assert Decimal(first.result["total"]) == Decimal("42.00")


def test_an_order_carries_what_was_asked(erp: Erp) -> None:
    line = {"product_code": "SKU-7", "product_name": "Seven", "quantity": "7", "unit_price": "1.23456"}
    asked = order_request("order-2", lines=[line], currency="EUR", description="Reorder")
    outcome = erp.deliver(ORDER, asked)
    names = ("reference", "description", "party.code", "party.name", "currency.code", "lines.quantity")
    (order,) = erp.admin.read("purchase.purchase", [int(outcome.external_id or 0)], *names, "lines.unit_price")
    assert (order["reference"], order["description"]) == ("order-2", "Reorder")
    assert (order["party."]["code"], order["party."]["name"]) == ("SUP-1", "Supplier One")
    assert order["currency."]["code"] == "EUR"
    (row,) = order["lines."]
    assert row["quantity"] == 7.0
    assert Decimal(row["unit_price"]["decimal"]) == Decimal("1.2346")


def test_text_of_every_kind_arrives_as_it_was(erp: Erp) -> None:
    text = "Größe \"5\" <b>'x'</b> {{ 7 * 7 }} ${HOME} \\ 🛒 日本語"
    line = {"product_code": "SKU-ü/1", "product_name": text, "quantity": "1", "unit_price": "0"}
    outcome = erp.deliver(ORDER, order_request("key 🔑", lines=[line], description=text, supplier_name=text))
    assert outcome.verdict == "delivered", outcome.detail
    (order,) = erp.admin.read("purchase.purchase", [int(outcome.external_id or 0)], "description", "reference")
    assert (order["description"], order["reference"]) == (text, "key 🔑")


def test_a_project_is_made_with_its_tasks_and_a_repeat_finds_it(erp: Erp) -> None:
    first, second = (erp.deliver(PROJECT, project_request("project-1")) for _ in range(2))
    assert judged(first) == judged(second) == ("delivered", "", "action"), first.detail
    (project,) = erp.projects("project-1")
    assert first.external_id == second.external_id == str(project["id"])
    assert first.result["tasks"] == second.result["tasks"] == "2"
    tasks = erp.admin.read("project.work", project["children"], "name", "type", "sequence")
    assert [task["name"] for task in sorted(tasks, key=lambda task: task["sequence"])] == ["Kick-off", "Import"]


def test_what_is_ordered_and_not_received_is_looked_up(erp: Erp) -> None:
    line = {"product_code": "SKU-L", "product_name": "Looked up", "unit_price": "2"}
    for key, quantity in (("look-1", "3"), ("look-2", "4")):
        erp.deliver(ORDER, order_request(key, lines=[{**line, "quantity": quantity}]))
    found = looked_up(erp, ["SKU-L", "SKU-NONE"])
    assert found["SKU-L"]["quantity"] == "7"
    assert found["SKU-NONE"] == {"quantity": "0", "references": []}
    assert len(found["SKU-L"]["references"]) == 2


def looked_up(erp: Erp, codes: list[str]) -> Any:
    async def once() -> Any:
        destination = Tryton.open(erp.connection())
        try:
            return await destination.look_up("open_purchase_lines", codes)
        finally:
            await destination.close()

    return asyncio.run(once())


def test_whether_it_happened_can_be_asked(erp: Erp) -> None:
    async def asked(request: Request) -> Outcome | None:
        destination = Tryton.open(erp.connection())
        try:
            return await destination.reconcile(ORDER, request)
        finally:
            await destination.close()

    erp.deliver(ORDER, order_request("asked-1"))
    there, absent = (asyncio.run(asked(order_request(key))) for key in ("asked-1", "asked-2"))
    assert there is not None and judged(there)[0] == "delivered"
    assert absent is not None and judged(absent) == ("retry", "not_found", "action")


def test_of_several_orders_with_one_key_the_lowest_is_kept(erp: Erp) -> None:
    first = erp.deliver(ORDER, order_request("twice-1"))
    copies = [erp.copy_of_order("twice-1") for _ in range(2)]
    outcome = erp.deliver(ORDER, order_request("twice-1"))
    assert outcome.external_id == first.external_id
    assert erp.living_orders("twice-1") == [int(first.external_id or 0)]
    assert outcome.result["duplicates_removed"] == "2"
    assert all(str(copy) in outcome.detail for copy in copies)


def test_a_duplicate_that_someone_moved_on_is_told_and_left(erp: Erp) -> None:
    first = erp.deliver(ORDER, order_request("moved-1"))
    copy = erp.copy_of_order("moved-1")
    erp.admin.button("purchase.purchase", "quote", copy)
    outcome = erp.deliver(ORDER, order_request("moved-1"))
    assert (outcome.verdict, outcome.external_id) == ("delivered", first.external_id)
    assert f"order {copy} has the same key and could not be removed: it is quotation" in outcome.detail
    assert erp.living_orders("moved-1") == [int(first.external_id or 0), copy]


def test_an_order_that_someone_cancelled_is_not_made_again(erp: Erp) -> None:
    first = erp.deliver(ORDER, order_request("cancelled-1"))
    erp.admin.button("purchase.purchase", "cancel", int(first.external_id or 0))
    outcome = erp.deliver(ORDER, order_request("cancelled-1"))
    assert (outcome.verdict, outcome.external_id) == ("delivered", first.external_id)
    assert "cancelled" in outcome.detail
    assert len(erp.orders("cancelled-1")) == 1


def test_a_duplicate_project_is_deleted_unless_someone_has_begun(erp: Erp) -> None:
    first = erp.deliver(PROJECT, project_request("twice-2"))
    (project,) = erp.projects("twice-2")
    company = erp.admin.context["company"]
    values = {"name": project["name"], "type": "project", "company": company, "comment": "twice-2"}
    task = {"name": "Kick-off", "type": "task", "company": company, "sequence": 0}
    idle = erp.admin.create("project.work", **values, children=[["create", [task]]])
    begun = erp.admin.create("project.work", **values)
    done = erp.admin.search("project.work.status", [["types", "in", "project"], ["progress", "=", 1.0]])
    erp.admin.call("model.project.work.write", [begun], {"progress": 1.0, "status": done[0]}, erp.admin.context)
    outcome = erp.deliver(PROJECT, project_request("twice-2"))
    assert outcome.external_id == first.external_id, outcome.detail
    assert [one["id"] for one in erp.projects("twice-2")] == [project["id"], begun]
    assert f"removed 1 duplicate project(s): {idle}" in outcome.detail
    assert f"project {begun} has the same key and could not be removed: it is begun" in outcome.detail


def test_six_connectors_at_once_leave_one_order(erp: Erp) -> None:
    async def race() -> list[Outcome]:
        destinations = [Tryton.open(erp.connection()) for _ in range(6)]
        try:
            answers = await asyncio.gather(*(d.deliver(ORDER, [order_request("race-1")]) for d in destinations))
        finally:
            for destination in destinations:
                await destination.close()
        return [outcome for (outcome,) in answers]

    outcomes = asyncio.run(race())
    last = erp.deliver(ORDER, order_request("race-1"))
    assert {outcome.verdict for outcome in outcomes} <= {"delivered", "retry", "unknown"}
    assert last.verdict == "delivered", last.detail
    assert erp.living_orders("race-1") == [int(last.external_id or 0)]


def test_an_expired_session_is_renewed(erp: Erp) -> None:
    async def scenario() -> tuple[Outcome, Outcome]:
        destination = Tryton.open(erp.connection())
        try:
            (first,) = await destination.deliver(ORDER, [order_request("session-1")])
            await asyncio.to_thread(erp.expire_sessions)
            (second,) = await destination.deliver(ORDER, [order_request("session-1")])
        finally:
            await destination.close()
        return first, second

    first, second = asyncio.run(scenario())
    assert (second.verdict, second.external_id) == ("delivered", first.external_id), second.detail


def test_a_wrong_password_pauses_the_destination(erp: Erp) -> None:
    outcome = erp.deliver(ORDER, order_request("password-1"), password="wr0ng-s3cret")
    assert judged(outcome) == ("retry", "unauthorized", "destination"), outcome.detail
    assert "wr0ng-s3cret" not in repr(outcome)
    assert erp.orders("password-1") == []


def test_a_wrong_password_is_tried_once_however_many_calls_there_are(erp: Erp) -> None:
    async def crowd(address: str) -> list[Outcome]:
        destination = Tryton.open(erp.connection(base_url=address, user="crowd", password="wr0ng-s3cret"))
        try:
            calls = (destination.deliver(ORDER, [order_request(f"crowd-{i}")]) for i in range(8))
            return [outcome for (outcome,) in await asyncio.gather(*calls)]
        finally:
            await destination.close()

    with lossy_proxy(erp.url) as proxy:
        outcomes = asyncio.run(crowd(proxy.address_for("only")))
        assert [exchange.method for exchange in proxy.exchanges] == ["common.db.login"]
    assert {judged(outcome) for outcome in outcomes} == {("retry", "unauthorized", "destination")}


def test_a_wrong_user_pauses_the_destination(erp: Erp) -> None:
    outcome = erp.deliver(ORDER, order_request("user-1"), user="nobody")
    assert judged(outcome) == ("retry", "unauthorized", "destination"), outcome.detail


def test_a_wrong_database_waits_for_the_settings(erp: Erp) -> None:
    outcome = erp.deliver(ORDER, order_request("database-1"), database="nope")
    assert judged(outcome) == ("retry", "misconfigured", "destination"), outcome.detail


def test_an_unknown_currency_is_rejected(erp: Erp) -> None:
    outcome = erp.deliver(ORDER, order_request("currency-1", currency="XTS"))
    assert judged(outcome) == ("rejected", "not_found", "action")
    assert "XTS" in outcome.detail
    assert erp.orders("currency-1") == []


def test_a_business_error_inside_a_200_is_rejected_with_its_words(erp: Erp) -> None:
    line = {"product_code": "SKU-1", "product_name": "Red widget", "quantity": "12.5", "unit_price": "3.50"}
    outcome = erp.deliver(ORDER, order_request("refused-1", lines=[line]))
    assert judged(outcome) == ("rejected", "refused", "action"), outcome.detail
    assert "12.5" in outcome.detail and "Traceback" not in outcome.detail
    assert erp.orders("refused-1") == []


def delivered_through(erp: Erp, proxy: LossyProxy, request: Request, **changed: Any) -> Outcome:
    return erp.deliver(ORDER, request, base_url=proxy.address_for("only"), **changed)


def test_a_lost_reply_to_the_create_is_unknown_and_found_later(erp: Erp) -> None:
    with lossy_proxy(erp.url) as proxy:
        proxy.rule = loses_the_reply_of(CREATE, 1)
        lost = delivered_through(erp, proxy, order_request("lost-1"))
        assert judged(lost) == ("unknown", "reply_lost", "action"), lost.detail
        (order,) = erp.orders("lost-1")
        found = delivered_through(erp, proxy, order_request("lost-1"))
    assert (found.verdict, found.external_id) == ("delivered", str(order["id"])), found.detail
    assert len(erp.orders("lost-1")) == 1


def test_a_lost_request_is_unknown_and_made_later(erp: Erp) -> None:
    def rule(exchange: Exchange) -> Treatment | None:
        return Treatment(loses_request=True) if (exchange.method, exchange.number) == (CREATE, 1) else None

    with lossy_proxy(erp.url) as proxy:
        proxy.rule = rule
        lost = delivered_through(erp, proxy, order_request("lost-2"))
        assert judged(lost) == ("unknown", "reply_lost", "action"), lost.detail
        assert erp.orders("lost-2") == []
        assert delivered_through(erp, proxy, order_request("lost-2")).verdict == "delivered"
    assert len(erp.orders("lost-2")) == 1


def test_a_500_although_it_was_made_is_unknown_and_found_later(erp: Erp) -> None:
    def rule(exchange: Exchange) -> Treatment | None:
        return Treatment(status_instead=500) if (exchange.method, exchange.number) == (CREATE, 1) else None

    with lossy_proxy(erp.url) as proxy:
        proxy.rule = rule
        failed = delivered_through(erp, proxy, order_request("made-1"))
        assert judged(failed) == ("unknown", "server_error", "action"), failed.detail
        (order,) = erp.orders("made-1")
        found = delivered_through(erp, proxy, order_request("made-1"))
    assert (found.verdict, found.external_id) == ("delivered", str(order["id"]))
    assert len(erp.orders("made-1")) == 1


def test_a_reply_beyond_the_deadline_is_unknown_and_found_later(erp: Erp) -> None:
    let_go = threading.Event()

    def rule(exchange: Exchange) -> Treatment | None:
        held = (exchange.method, exchange.number) == (CREATE, 1)
        return Treatment(before_the_reply=lambda: (let_go.wait(60), None)[1]) if held else None

    with lossy_proxy(erp.url) as proxy:
        proxy.rule = rule
        late = delivered_through(erp, proxy, order_request("late-1"), call_deadline=3.0)
        let_go.set()
        assert judged(late) == ("unknown", "timed_out", "action"), late.detail
        assert delivered_through(erp, proxy, order_request("late-1")).verdict == "delivered"
    assert len(erp.orders("late-1")) == 1


@pytest.mark.parametrize("method", ["common.db.login", "model.purchase.purchase.search", "model.party.party.create"])
def test_a_lost_reply_before_the_create_is_known_not_done(erp: Erp, method: str) -> None:
    key = f"before-{method}"
    new_supplier = {"supplier_code": key, "supplier_name": "New"}
    with lossy_proxy(erp.url) as proxy:
        proxy.rule = loses_the_reply_of(method, 1)
        lost = delivered_through(erp, proxy, order_request(key, **new_supplier))
        assert judged(lost) == ("retry", "reply_lost", "action"), lost.detail
        assert erp.orders(key) == []
        assert delivered_through(erp, proxy, order_request(key, **new_supplier)).verdict == "delivered"
    assert len(erp.admin.search("party.party", [["code", "=", key]])) == 1


def test_each_reply_lost_in_turn_leaves_one_order(erp: Erp) -> None:
    with lossy_proxy(erp.url) as proxy:
        delivered_through(erp, proxy, order_request("turn-0"))
        methods = [exchange.method for exchange in proxy.exchanges]
        proxy.exchanges.clear()
        for turn in range(1, len(methods) + 1):
            key, seen = f"turn-{turn}", len(proxy.exchanges)
            proxy.rule = lambda _exchange, last=seen + turn: Treatment(loses_reply=len(proxy.exchanges) == last)
            outcome = delivered_through(erp, proxy, order_request(key))
            assert outcome.verdict in ("unknown", "retry"), (turn, outcome)
            proxy.rule = lambda _exchange: None
            assert delivered_through(erp, proxy, order_request(key)).verdict == "delivered"
            assert len(erp.orders(key)) == 1


def test_a_user_without_a_company_waits_for_the_settings(erp: Erp) -> None:
    admin = erp.admin
    company = admin.context["company"]
    admin.call("model.res.user.write", [admin.user_id], {"company": None}, admin.context)
    try:
        outcome = erp.deliver(ORDER, order_request("lone-1"))
    finally:
        admin.call("model.res.user.write", [admin.user_id], {"company": company}, admin.context)
    assert judged(outcome) == ("retry", "misconfigured", "destination"), outcome.detail


def test_a_person_can_quote_and_confirm_the_order_as_it_is(erp: Erp) -> None:
    order = int(erp.deliver(ORDER, order_request("confirm-1")).external_id or 0)
    for button in ("quote", "confirm"):
        erp.admin.button("purchase.purchase", button, order)
    assert erp.orders("confirm-1")[0]["state"] in ("confirmed", "processing")
    again = erp.deliver(ORDER, order_request("confirm-1"))
    assert (again.verdict, again.external_id, again.detail) == ("delivered", str(order), "")


def test_names_with_tabs_and_line_breaks_arrive_on_one_line(erp: Erp) -> None:
    line = {"product_code": "SKU-T", "product_name": "Two\nlines\tand a tab", "quantity": "1", "unit_price": "1"}
    outcome = erp.deliver(ORDER, order_request("lines-1", lines=[line], description="First\r\nsecond"))
    assert outcome.verdict == "delivered", outcome.detail
    (order,) = erp.admin.read(
        "purchase.purchase", [int(outcome.external_id or 0)], "description", "lines.product.rec_name"
    )
    assert order["description"] == "First second"
    assert order["lines."][0]["product."]["rec_name"] == "[SKU-T] Two lines and a tab"


def test_a_product_that_another_process_makes_at_the_same_moment_is_used(erp: Erp) -> None:
    async def race() -> list[Outcome]:
        line = {"product_code": "SKU-RACE", "product_name": "Raced", "quantity": "1", "unit_price": "1"}
        requests = [order_request(f"product-{i}", lines=[line], supplier_code="SUP-RACE") for i in range(4)]
        destinations = [Tryton.open(erp.connection()) for _ in requests]
        try:
            pairs = zip(destinations, requests, strict=True)
            answers = await asyncio.gather(*(one.deliver(ORDER, [request]) for one, request in pairs))
        finally:
            for destination in destinations:
                await destination.close()
        return [outcome for (outcome,) in answers]

    outcomes = asyncio.run(race())
    assert {str(outcome.verdict) for outcome in outcomes} == {"delivered"}, [o.detail for o in outcomes]
    assert len(erp.admin.search("product.product", [["code", "=", "SKU-RACE"]])) == 1
    assert len(erp.admin.search("party.party", [["code", "=", "SUP-RACE"]])) == 1
