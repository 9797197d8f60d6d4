"""The sandbox's Tryton over real HTTP: sessions, domains, business errors, purchase orders, projects."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from dagster_project.sandbox import credentials
from dagster_project.sandbox.server import SandboxServer


def decimal(text: str) -> dict[str, str]:
    return {"__class__": "Decimal", "decimal": text}


def order_line(tryton: Any, product: int | None = None, **values: Any) -> dict[str, Any]:
    unit = tryton.find("product.uom", ["symbol", "=", "u"])
    given = {"type": "line", "unit": unit, "quantity": 2.0, "unit_price": decimal("3.5000")}
    return given | ({} if product is None else {"product": product}) | values


def supplier(tryton: Any, code: str = "SUP-1", name: str = "Northwind") -> int:
    return int(tryton("party.party.create", [{"name": name, "code": code}])[0])


def product(tryton: Any, code: str) -> int:
    unit = tryton.find("product.uom", ["symbol", "=", "u"])
    values = {"name": f"Widget {code}", "type": "goods", "default_uom": unit, "list_price": decimal("10")}
    template = tryton("product.template.create", [values | {"products": [["create", [{"suffix_code": code}]]]}])[0]
    return int(tryton.find("product.product", ["template", "=", template]))


def test_a_wrong_password_and_a_wrong_database_are_refused(sandbox: SandboxServer, tryton: Any) -> None:
    wrong = tryton.post("common.db.login", credentials.TRYTON_USER, {"password": "guess"})
    assert wrong.status_code == 401
    assert "could not verify" in wrong.text and "WWW-Authenticate" not in wrong.headers
    asking = tryton.post("common.db.login", credentials.TRYTON_USER, {}).json()
    assert asking["error"] == ["LoginException", ["password", "Password for admin", "password"]]
    body = {"id": 1, "method": "common.db.login", "params": ["admin", {"password": "x"}]}
    assert requests.post(f"{sandbox.address.http_url}/tryton/other/rpc/", json=body, timeout=10).status_code == 404


def test_the_server_tells_its_version_without_a_login(sandbox: SandboxServer) -> None:
    body = {"id": 7, "method": "common.server.version", "params": []}
    answer = requests.post(f"{sandbox.address.http_url}/tryton/rpc/", json=body, timeout=10)
    assert answer.json() == {"id": 7, "result": "8.2.1"}


def test_an_expired_session_is_refused_until_the_next_login(sandbox: SandboxServer, tryton: Any) -> None:
    assert sandbox.control.expire_tryton_sessions() >= 1
    refused = tryton.post("model.party.party.search", [], 0, 1, None, {})
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="Tryton"')
    tryton.login()
    assert tryton("party.party.search", [], 0, 1, None)
    assert tryton.post("common.db.logout").json()["result"] is None
    assert tryton.post("model.party.party.search", [], 0, 1, None, {}).status_code == 401


def test_an_idle_session_times_out(sandbox: SandboxServer, tryton: Any) -> None:
    sandbox.control.change_settings(tryton_session_timeout=1e-9)
    assert tryton.post("model.party.party.search", [], 0, 1, None, tryton.context).status_code == 401


def test_a_partys_code_is_unique(sandbox: SandboxServer, tryton: Any) -> None:
    supplier(tryton)
    error = tryton.error("party.party.create", [{"name": "Other", "code": "SUP-1"}])
    assert error == ["UserError", ["The code on party must be unique.", "", None]]
    assert len(tryton("party.party.search", [["code", "=", "SUP-1"]], 0, None, None)) == 1
    assert [effect.idempotency_key for effect in sandbox.effects("tryton")] == ["SUP-1"]


def test_a_purchases_reference_is_not_unique(sandbox: SandboxServer, tryton: Any) -> None:
    party = supplier(tryton)
    first, second = (tryton.draft_order("ref-1", party, order_line(tryton)) for _ in range(2))
    assert tryton("purchase.purchase.search", [["reference", "=", "ref-1"]], 0, None, None) == [first, second]
    (repeated,) = sandbox.control.effect_counts()["created_more_than_once"]
    assert (repeated["idempotency_key"], repeated["created"]) == ("ref-1", 2)


def test_an_order_is_read_with_its_lines_and_totals(tryton: Any) -> None:
    party, widget = supplier(tryton), product(tryton, "SKU-1")
    order = tryton.draft_order(
        "ref-1", party, order_line(tryton, widget, quantity=3.0), order_line(tryton, unit_price=decimal("0.3333"))
    )
    names = ["reference", "state", "untaxed_amount", "total_amount", "lines.product.code", "party.rec_name", "lines"]
    (row,) = tryton("purchase.purchase.read", [order], names)
    assert row["state"] == "draft"
    assert row["untaxed_amount"] == row["total_amount"] == decimal("11.17")
    assert row["party."] == {"id": party, "rec_name": "Northwind"}
    assert len(row["lines"]) == 2
    (line,) = tryton(
        "purchase.line.search_read",
        [["purchase.reference", "=", "ref-1"], ["product", "!=", None]],
        0,
        5,
        None,
        ["quantity", "unit_price", "product"],
    )
    assert (line["quantity"], line["unit_price"], line["product"]) == (3.0, decimal("3.5000"), widget)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"party": None}, 'A value is required for field "Party" in record "[ref-1]" of "Purchase".'),
        ({"party": 4711}, 'The value "4711" for field "Party" in "Purchase" does not exist.'),
        ({"currency": 4711}, 'The value "4711" for field "Currency" in "Purchase" does not exist.'),
        (
            {"lines": [["create", [{"type": "line"}]]]},
            'A value is required for field "Quantity" in record "0 @ [ref-1]" of "Purchase Line".',
        ),
        (
            {"reference": "a\nb"},
            'The value "a\nb" for field "Reference" in record "[a\nb]" of "Purchase"'
            " contains some invalid chars \"'\\n'\".",
        ),
        (
            {"invoice_method": "never"},
            'The value "never" for field "Invoice Method" in record "[ref-1]" of "Purchase"'
            " is not one of the allowed options.",
        ),
    ],
)
def test_what_the_order_lacks_is_named_and_nothing_is_kept(
    sandbox: SandboxServer, tryton: Any, values: dict[str, Any], message: str
) -> None:
    given = {"party": supplier(tryton), "reference": "ref-1"} | values
    assert tryton.error("purchase.purchase.create", [given]) == ["UserError", [message, "", None]]
    assert tryton("purchase.purchase.search", [], 0, None, None) == []
    assert [effect.operation for effect in sandbox.effects("tryton")] == ["party.party.create"]


def test_of_many_records_created_in_one_call_all_are_kept_or_none(tryton: Any) -> None:
    error = tryton.error("party.party.create", [{"name": "A", "code": "A"}, {"name": "B", "code": "A"}])
    assert error[0] == "UserError"
    assert tryton("party.party.search", [["code", "=", "A"]], 0, None, None) == []


def test_an_order_goes_through_its_states(tryton: Any) -> None:
    party = supplier(tryton)
    order, empty = tryton.draft_order("ref-1", party, order_line(tryton)), tryton.draft_order("ref-2", party)

    def refusal(button: str, one: int) -> str:
        return str(tryton.error(f"purchase.purchase.{button}", [one])[1][0])

    def state() -> str:
        return str(tryton("purchase.purchase.read", [order], ["state"])[0]["state"])

    assert tryton.error("purchase.purchase.delete", [order])[1][0].endswith("you must cancel it.")
    tryton("purchase.purchase.quote", [order])
    assert state() == "quotation"
    added = {"purchase": order, **order_line(tryton)}
    assert "not allowed to modify" in tryton.error("purchase.line.create", [added])[1][0]
    assert (
        refusal("confirm", order)
        == 'A value is required for field "Invoice Address" in record "1 [ref-1]" of "Purchase".'
    )
    tryton("purchase.purchase.draft", [order])
    address = tryton("party.address.create", [{"party": party}])[0]
    tryton("purchase.purchase.write", [order], {"invoice_address": address})
    tryton("purchase.purchase.quote", [order])
    assert "not allowed to modify" in tryton.error("purchase.purchase.write", [order], {"description": "x"})[1][0]
    tryton("purchase.purchase.confirm", [order])
    assert refusal("cancel", order) == 'You can not call "cancel" on "1 [ref-1]" of "Purchase".'
    assert refusal("quote", empty) == 'You can not call "quote" on "[ref-2]" of "Purchase".'
    assert refusal("cancel", 4711) == 'You can not call "cancel" on "4711" of "Purchase".'
    assert state() == "confirmed"
    tryton("purchase.purchase.draft", [order])
    tryton("purchase.purchase.cancel", [order])
    assert state() == "cancelled"
    tryton("purchase.purchase.delete", [order])
    assert tryton("purchase.line.search_count", []) == 0


def test_a_number_finer_than_its_unit_and_a_code_that_is_taken_are_refused(tryton: Any) -> None:
    party, widget = supplier(tryton), product(tryton, "SKU-1")
    line = order_line(tryton, widget, quantity=2.5)
    values = {"party": party, "reference": "ref-1", "lines": [["create", [line]]]}
    assert 'exceeds the limit of "(None, 0)"' in tryton.error("purchase.purchase.create", [values])[1][0]
    values["lines"] = [["create", [order_line(tryton, widget, unit_price=decimal("1.23456"))]]]
    assert 'exceeds the limit of "(None, 4)"' in tryton.error("purchase.purchase.create", [values])[1][0]
    template = tryton.find("product.template", ["name", "=", "Widget SKU-1"])
    variant = {"template": template, "suffix_code": "SKU-1"}
    assert tryton.error("product.product.create", [variant])[1][0] == "Code of active product must be unique."


def test_a_project_has_a_checklist_and_a_number_of_its_own(sandbox: SandboxServer, tryton: Any) -> None:
    company = tryton.context["company"]
    tasks = [{"name": name, "type": "task", "company": company, "sequence": place} for place, name in enumerate("BA")]
    values = {"name": "Onboard", "type": "project", "comment": "act-1", "company": company}
    project = tryton("project.work.create", [values | {"children": [["create", tasks]]}])[0]
    error = tryton.error("project.work.create", [values | {"number": "7"}])
    assert error[1][0] == 'You are not allowed to modify the field "Number" of "Project Work".'
    error = tryton.error("project.work.delete", [project])
    assert error[1][0] == 'The records could not be deleted because they are used by field "Parent" of "Project Work".'
    (row,) = tryton("project.work.read", [project], ["children.name", "status.name", "children", "number"])
    assert row["number"] == "1"
    assert [task["name"] for task in row["children."]] == ["B", "A"]
    assert row["status."]["name"] == "Open"
    done = tryton.find("project.work.status", ["name", "=", "Done"])
    tryton("project.work.write", [row["children"][0]], {"status": done, "progress": 1.0})
    assert tryton("project.work.search", [["parent", "=", project], ["status.name", "=", "Done"]], 0, None, None) == [
        row["children"][0]
    ]
    keyed = [effect for effect in sandbox.effects("tryton") if effect.idempotency_key]
    assert [(effect.operation, effect.idempotency_key) for effect in keyed] == [("project.work.create", "act-1")]
    assert keyed[0].url == f"{sandbox.address.http_url}/erp/projects/{project}"


def test_products_are_found_by_what_their_template_says(tryton: Any) -> None:
    widget = product(tryton, "SKU-1")
    assert tryton("product.product.search", [["name", "ilike", "%widget%"]], 0, None, None) == [widget]
    (row,) = tryton("product.product.read", [widget], ["code", "name", "rec_name", "list_price", "default_uom.symbol"])
    assert (row["code"], row["rec_name"]) == ("SKU-1", "[SKU-1] Widget SKU-1")
    assert (row["list_price"], row["default_uom."]["symbol"]) == (decimal("10"), "u")


def test_an_archived_record_is_found_only_when_asked_for(tryton: Any) -> None:
    party = supplier(tryton)
    tryton("party.party.write", [party], {"active": False})
    assert tryton("party.party.search", [["code", "=", "SUP-1"]], 0, None, None) == []
    assert tryton("party.party.search", [["code", "=", "SUP-1"], ["active", "in", [True, False]]], 0, None, None) == [
        party
    ]


def test_what_does_not_exist_is_a_user_error(tryton: Any) -> None:
    read = tryton.error("purchase.purchase.read", [4711], ["state"])
    assert read[1][0] == 'You are trying to read records "4711" of "Purchase" that don\'t exist.'
    assert tryton.error("party.party.write", [4711], {"name": "x"})[0] == "UserError"


@pytest.mark.parametrize(
    "call",
    [
        ("party.party.search", [["no_such", "=", 1]], 0, 1, None),
        ("party.party.create", [{"no_such": 1}]),
        ("no.such.search", [], 0, 1, None),
        ("product.template.create", [{"name": "x", "default_uom": 1, "list_price": 3.5}]),
    ],
)
def test_a_programming_error_answers_text_and_traceback(tryton: Any, call: tuple[Any, ...]) -> None:
    error = tryton.error(*call)
    assert error[0] != "UserError"
    assert len(error) == 2


def test_a_method_that_is_not_offered_is_forbidden(tryton: Any) -> None:
    assert tryton.post("model.party.party.__init__", tryton.context).status_code == 403
    assert tryton.post("model.party.party.search", []).status_code == 422


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"method": "x"}'])
def test_a_body_that_is_no_call_is_a_bad_request(sandbox: SandboxServer, body: bytes) -> None:
    url = f"{sandbox.address.http_url}/tryton/erp/rpc/"
    assert requests.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=10).status_code == 400
