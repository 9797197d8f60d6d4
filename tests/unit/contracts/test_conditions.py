"""The small language of `when`, `hold_when` and routes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from dagster_project.contracts.conditions import Conditions, as_number, holds, resolve_path
from dagster_project.contracts.vocabulary import Severity

CONDITIONS: TypeAdapter[Conditions] = TypeAdapter(Conditions)


def met(conditions: dict[str, Any], **scope: Any) -> bool:
    return holds(CONDITIONS.validate_python(conditions), scope)


@pytest.mark.parametrize(
    ("matcher", "value", "expected"),
    [
        ({"at_least": 5}, 5, True),
        ({"at_least": 5}, 4.999, False),
        ({"above": 5}, 5, False),
        ({"above": 5}, 5.001, True),
        ({"at_most": 5}, 5, True),
        ({"at_most": 5}, 5.001, False),
        ({"below": 5}, 5, False),
        ({"below": 5}, 4, True),
        ({"above": 0, "below": 1}, 0.5, True),
        ({"above": 0, "below": 1}, 1.5, False),
        ({"is_not": "EUR"}, "USD", True),
        ({"is_not": "EUR"}, "EUR", False),
        ({"none_of": ["a", "b"]}, "c", True),
        ({"none_of": ["a", "b"]}, "b", False),
        ({"is_null": True}, None, True),
        ({"is_null": True}, "", False),
        ({"is_null": False}, 0, True),
        ({"is_null": False}, None, False),
        (["a", "b"], "b", True),
        (["a", "b"], "c", False),
        (3, 3.0, True),
        ("Month-to-month", "Month-to-month", True),
        (None, None, True),
        (None, 0, False),
    ],
)
def test_every_form_of_a_condition(matcher: Any, value: Any, expected: bool) -> None:
    assert met({"value": matcher}, value=value) is expected


@pytest.mark.parametrize("comparison", ["at_least", "above", "at_most", "below"])
@pytest.mark.parametrize("value", [None, "", "many", [], [1], {}, {"a": 1}, True, float("nan")])
def test_what_is_no_number_is_never_beyond_a_bound(comparison: str, value: Any) -> None:
    assert met({"value": {comparison: 5}}, value=value) is False
    assert met({"value": {comparison: "high"}}, value=value) is False


@pytest.mark.parametrize("bound", [None, [], [3], {"a": 1}, "many"])
def test_a_bound_that_is_no_number_is_never_met(bound: Any) -> None:
    assert met({"value": {"above": {"field": "limit"}}}, value=7, limit=bound) is False


@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("bound", list(Severity))
def test_severities_compare_by_rank_not_by_alphabet(severity: Severity, bound: Severity) -> None:
    assert met({"s": {"at_least": bound.value}}, s=severity.value) is (severity.rank >= bound.rank)
    assert met({"s": {"above": bound.value}}, s=severity.value) is (severity.rank > bound.rank)
    assert met({"s": {"below": bound.value}}, s=severity.value) is (severity.rank < bound.rank)


def test_numbers_that_warehouses_write_as_text_are_numbers() -> None:
    assert met({"row.value": {"above": 5000}}, row={"value": "5000.01"})
    assert not met({"row.value": {"above": 5000}}, row={"value": "5000.00"})
    assert met({"row.value": 7}, row={"value": "7.00"})
    assert met({"row.value": {"at_most": 7}}, row={"value": Decimal("7.00")})


def test_booleans_are_not_numbers_and_not_words() -> None:
    assert met({"flag": True}, flag=True)
    assert not met({"flag": True}, flag=1)
    assert not met({"flag": 1}, flag=True)
    assert not met({"flag": "True"}, flag=True)


def test_a_bound_may_be_another_field() -> None:
    comparison = {"group.in_erp": {"above": {"field": "group.known"}}}
    assert met(comparison, group={"in_erp": 3, "known": "2"})
    assert not met(comparison, group={"in_erp": 3, "known": 3})
    assert not met(comparison, group={"in_erp": 3})


def test_all_conditions_have_to_hold_and_none_at_all_always_holds() -> None:
    both = {"severity": "high", "row.contract": ["Month-to-month"]}
    assert met(both, severity="high", row={"contract": "Month-to-month"})
    assert not met(both, severity="high", row={"contract": "Two year"})
    assert met({})


@pytest.mark.parametrize("path", ["a.b.c", "missing", "a.missing.c", "a.text.length"])
def test_a_path_into_nothing_is_none(path: str) -> None:
    assert resolve_path(path, {"a": {"text": "x"}}) is None


@pytest.mark.parametrize("value", [10**400, "1_000", "0x10", "ten", None, True, object(), "", " "])
def test_what_is_not_a_number(value: Any) -> None:
    assert as_number(value) is None


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({"score": {"at_least": "0.9"}}, "is text; a threshold is a number without quotes"),
        ({"severity": {"at_least": "hihg"}}, "low, medium, high, critical"),
        ({"score": {}}, "an empty comparison"),
        ({"score": {"above": float("inf")}}, "finite number"),
        ({"score": [float("nan")]}, "finite number"),
        ({"score": {"atleast": 1}}, "Extra inputs are not permitted"),
        ({"score": {"above": {"feild": "row.x"}}}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_not_a_condition_is_refused(conditions: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CONDITIONS.validate_python(conditions)
