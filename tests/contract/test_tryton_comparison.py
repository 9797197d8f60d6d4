"""The sandbox's Tryton answers as a real one does, but for differences that are listed here, each with its reason."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from contract_report import DIFFERENCES, ContractReport
from erp_under_test import real_erp, sandbox_erp
from tryton_calls import Compared, Stock, compared_calls, stocked
from tryton_company import Administrator
from tryton_server import TrytonServer

from dagster_project.sandbox.server import SandboxServer

# What the sandbox need not do as the real server does, and why nobody is misled by it.
WHY_IT_MAY_DIFFER = {
    "preferences": "the connector reads the company alone; the rest is for Tryton's own client",
    "read a product's list price": "kept per company there and left empty for a variant; the connector never reads it",
    "create with a party that is not there": "stricter: a real server on SQLite checks no foreign key",
    "create with a float for a price": "stricter: the connector sends decimals as decimals",
    "create a product with a price of six places": "both refuse it, the real server in the name of another record",
}


@pytest.fixture(scope="module")
def answers(tryton_server: TrytonServer) -> dict[str, tuple[Any, Any]]:
    """For each call the shape of the sandbox's answer and of the real server's."""
    real = real_erp(tryton_server).admin
    with SandboxServer() as server:
        sandbox = sandbox_erp(server).admin
        stocks = stocked(sandbox), stocked(real)
        return {call.name: (asked(sandbox, stocks[0], call), asked(real, stocks[1], call)) for call in compared_calls()}


def asked(admin: Administrator, stock: Stock, call: Compared) -> Any:
    parameters = call.parameters(stock)
    status, answer = admin.ask(call.method, *parameters, *([admin.context] if call.has_context else []))
    if status != 200:
        return {"status": status, "has a page": bool(answer["text"])}
    return {"error": shape_of_error(answer["error"])} if "error" in answer else {"result": shape(answer["result"])}


def shape_of_error(error: Any) -> Any:
    """A business error with its words, numbers masked; of a crash only that it is one, for its words are Python's."""
    if len(error) == 2 and error[1] == "":
        return "a crash: a text and an empty traceback"
    return json.loads(re.sub(r"\d+", "#", json.dumps(error, ensure_ascii=False)))


def shape(value: Any) -> Any:
    """Keys and types of a result."""
    if isinstance(value, dict):
        return value["__class__"] if "__class__" in value else {key: shape(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [json.loads(one) for one in sorted({json.dumps(shape(item)) for item in value})]
    return type(value).__name__


def told(shaped: Any) -> str:
    text = json.dumps(shaped, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:157]}..."


@pytest.mark.parametrize("name", [call.name for call in compared_calls()])
def test_the_sandbox_answers_as_the_real_server(
    name: str, answers: dict[str, tuple[Any, Any]], contract_report: ContractReport
) -> None:
    sandbox, real = answers[name]
    assert (sandbox != real) == (name in WHY_IT_MAY_DIFFER), f"sandbox: {sandbox}\nreal:    {real}"
    if sandbox != real:
        contract_report.row(DIFFERENCES, [name], [told(sandbox), told(real), WHY_IT_MAY_DIFFER[name]])


def test_every_listed_difference_is_about_a_call_that_is_made() -> None:
    assert set(WHY_IT_MAY_DIFFER) <= {call.name for call in compared_calls()}
