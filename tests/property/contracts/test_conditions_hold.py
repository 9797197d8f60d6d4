"""Conditions over values that nobody chose: never an error, and the answers that arithmetic gives."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from dagster_project.contracts.conditions import Conditions, as_number, holds
from dagster_project.contracts.vocabulary import Severity

CONDITIONS: TypeAdapter[Conditions] = TypeAdapter(Conditions)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([s.value for s in Severity]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
numbers = st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False, width=32)
thresholds: st.SearchStrategy[Any] = (
    numbers | st.sampled_from([s.value for s in Severity]) | st.just({"field": "other"})
)
scalars = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
comparisons = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("at_least", "above", "at_most", "below"), thresholds),
        "is_not": scalars,
        "none_of": st.lists(scalars, max_size=3),
        "is_null": st.booleans(),
    },
).filter(bool)
matchers = comparisons | st.lists(scalars, max_size=3) | scalars | st.none()


@given(matcher=matchers, value=anything, other=anything)
def test_a_condition_answers_yes_or_no_whatever_the_row_holds(matcher: Any, value: Any, other: Any) -> None:
    conditions = CONDITIONS.validate_python({"row.x": matcher})
    assert holds(conditions, {"row": {"x": value}, "other": other}) in (True, False)


@given(value=numbers, bound=numbers)
def test_comparisons_agree_with_arithmetic_for_numbers_and_their_text(value: float, bound: float) -> None:
    expected = {"at_least": value >= bound, "above": value > bound, "at_most": value <= bound, "below": value < bound}
    for name, answer in expected.items():
        conditions = CONDITIONS.validate_python({"x": {name: bound}})
        by_field = CONDITIONS.validate_python({"x": {name: {"field": "y"}}})
        assert holds(conditions, {"x": value}) is answer
        assert holds(conditions, {"x": str(value)}) is answer
        assert holds(by_field, {"x": value, "y": str(bound)}) is answer


@given(matcher=matchers)
def test_conditions_survive_the_catalog(matcher: Any) -> None:
    conditions = CONDITIONS.validate_python({"row.x": matcher})
    assert CONDITIONS.validate_json(CONDITIONS.dump_json(conditions)) == conditions


@given(value=anything)
def test_a_list_is_met_by_exactly_its_members(value: Any) -> None:
    conditions = CONDITIONS.validate_python({"x": [1, "b", False]})
    is_one = (
        value is False
        or (not isinstance(value, bool) and as_number(value) == 1)
        or (not isinstance(value, bool) and value is not None and str(value) == "b")
    )
    assert holds(conditions, {"x": value}) is is_one
