"""What only a real Tryton can show: rights by group, and a user who is locked out after wrong passwords."""

from __future__ import annotations

import pytest
from erp_under_test import ORDER, PROJECT, Erp, order_request, project_request, real_erp
from tryton_server import TrytonServer

SECRET = "Long-enough-f0r-tryton"
NEEDED_FOR_ORDERS = ("Purchase", "Product Administration")
NEEDED_FOR_ALL = (*NEEDED_FOR_ORDERS, "Project Administration")


@pytest.fixture(scope="module")
def erp(tryton_server: TrytonServer) -> Erp:
    return real_erp(tryton_server)


def user_with(erp: Erp, login: str, *groups: str) -> dict[str, str]:
    """Makes a user of these groups alone; gives the settings that sign in as it."""
    admin = erp.admin
    ids = admin.search("res.group", [["name", "in", list(groups)]])
    assert len(ids) == len(groups)
    company = admin.context["company"]
    own = {"company": company, "companies": [["add", [company]]], "groups": [["add", ids]]}
    admin.create("res.user", name=login, login=login, password=SECRET, **own)
    return {"user": login, "password": SECRET}


def test_three_groups_are_all_that_the_user_needs(erp: Erp) -> None:
    user = user_with(erp, "loop-all", *NEEDED_FOR_ALL)
    order = erp.deliver(ORDER, order_request("rights-1", supplier_code="SUP-R1", lines=[line("SKU-R1")]), **user)
    project = erp.deliver(PROJECT, project_request("rights-2", party_code="CUST-R2"), **user)
    assert (order.verdict, project.verdict) == ("delivered", "delivered"), (order.detail, project.detail)
    copy = erp.copy_of_order("rights-1")
    again = erp.deliver(ORDER, order_request("rights-1"), **user)
    assert f"removed 1 duplicate order(s): {copy}" in again.detail


@pytest.mark.parametrize("missing", NEEDED_FOR_ORDERS)
def test_a_missing_right_makes_the_destination_wait_instead_of_killing_the_action(erp: Erp, missing: str) -> None:
    key = f"rights-without-{missing}"
    user = user_with(erp, key, *(group for group in NEEDED_FOR_ORDERS if group != missing))
    outcome = erp.deliver(ORDER, order_request(key, supplier_code=key, lines=[line(key)]), **user)
    assert (outcome.verdict, outcome.reason, outcome.scope) == ("retry", "unauthorized", "destination"), outcome.detail
    assert "lacks a right" in outcome.detail
    assert erp.orders(key) == []


def test_a_user_without_rights_to_projects_makes_no_project(erp: Erp) -> None:
    user = user_with(erp, "loop-orders", *NEEDED_FOR_ORDERS)
    outcome = erp.deliver(PROJECT, project_request("rights-3", party_code="CUST-R3"), **user)
    assert (outcome.verdict, outcome.reason, outcome.scope) == ("retry", "unauthorized", "destination"), outcome.detail
    assert erp.projects("rights-3") == []


@pytest.mark.long  # trytond answers each wrong password more slowly than the one before
def test_a_user_who_is_locked_out_waits_and_is_no_failure(erp: Erp) -> None:
    """trytond counts wrong passwords for some minutes; then it refuses the right one too."""
    user = user_with(erp, "loop-locked", *NEEDED_FOR_ALL)
    reasons = [
        erp.deliver(ORDER, order_request("rights-4"), user=user["user"], password="wrong").reason for _ in range(7)
    ]
    assert reasons[0] == "unauthorized" and reasons[-1] == "rate_limited"
    outcome = erp.deliver(ORDER, order_request("rights-4"), **user)
    assert (outcome.verdict, outcome.reason, outcome.scope) == ("retry", "rate_limited", "destination"), outcome.detail
    assert erp.orders("rights-4") == []


def line(code: str) -> dict[str, str]:
    return {"product_code": code, "product_name": "New", "quantity": "1", "unit_price": "2"}
