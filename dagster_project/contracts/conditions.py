"""Rules as data: the small language of `when`, `hold_when` and routes, which can be checked before anything runs.

A condition maps a field (`severity`, `score`, `kind`, `row.contract`, `group.order_value` ...) to what it must be: a
value, a list of values, or comparisons. All of them must hold. Severities compare by rank, numbers as numbers. A bound
may be another field: `{above: {field: group.on_order}}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import (
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StrictBool,
    StrictFloat,
    StrictInt,
    model_validator,
)

from dagster_project.contracts.vocabulary import Severity

Finite = Annotated[StrictFloat, AllowInfNan(False)]  # the catalog is JSON, which has no other numbers
Scalar = StrictBool | StrictInt | Finite | str


class FieldReference(BaseModel):
    """A bound that is another field's value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str


def _number_or_severity(value: Any) -> Any:
    if isinstance(value, str) and value not in {s.value for s in Severity}:
        raise ValueError(
            f"{value!r} is text; a threshold is a number without quotes, or one of {', '.join(Severity)} for severity"
        )
    return value


Threshold = Annotated[StrictInt | Finite | Severity | FieldReference, BeforeValidator(_number_or_severity)]


class Comparison(BaseModel):
    """Comparisons of one field; several hold together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_least: Threshold | None = None
    above: Threshold | None = None
    at_most: Threshold | None = None
    below: Threshold | None = None
    is_not: Scalar | None = None
    none_of: tuple[Scalar, ...] | None = None
    is_null: StrictBool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Comparison:
        if not self.model_dump(exclude_none=True):
            raise ValueError("an empty comparison; write for example {at_least: 0.9}")
        return self


Matcher = Comparison | tuple[Scalar, ...] | Scalar | None
Conditions = dict[str, Matcher]


def resolve_path(path: str, scope: Mapping[str, Any]) -> Any:
    """The value at a dotted path in nested mappings; None where any part of it is missing."""
    value: Any = scope
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def holds(conditions: Mapping[str, Matcher], scope: Mapping[str, Any]) -> bool:
    """Whether every condition is true in the scope. A comparison with a missing value is false, never an error."""
    return all(_matches(matcher, resolve_path(path, scope), scope) for path, matcher in conditions.items())


def _matches(matcher: Matcher, value: Any, scope: Mapping[str, Any]) -> bool:
    if isinstance(matcher, Comparison):
        return _compares(matcher, value, scope)
    if isinstance(matcher, tuple):
        return any(_equals(one, value) for one in matcher)
    return _equals(matcher, value)


def _equals(expected: Scalar | None, value: Any) -> bool:
    if isinstance(expected, bool) or isinstance(value, bool) or expected is None or value is None:
        return expected is value
    if isinstance(expected, int | float):
        number = as_number(value)
        return number is not None and number == expected
    return str(value) == str(expected)


_ORDERINGS: dict[str, Callable[[float, float], bool]] = {
    "at_least": lambda value, bound: value >= bound,
    "above": lambda value, bound: value > bound,
    "at_most": lambda value, bound: value <= bound,
    "below": lambda value, bound: value < bound,
}


def _compares(comparison: Comparison, value: Any, scope: Mapping[str, Any]) -> bool:
    if comparison.is_null is not None and (value is None) != comparison.is_null:
        return False
    if comparison.is_not is not None and _equals(comparison.is_not, value):
        return False
    if comparison.none_of is not None and any(_equals(one, value) for one in comparison.none_of):
        return False
    return all(
        _orders(ordering, resolve_path(bound.field, scope) if isinstance(bound, FieldReference) else bound, value)
        for name, ordering in _ORDERINGS.items()
        if (bound := getattr(comparison, name)) is not None
    )


def _orders(ordering: Callable[[float, float], bool], bound: Any, value: Any) -> bool:
    if _is_severity(bound):
        return _is_severity(value) and ordering(Severity(value).rank, Severity(bound).rank)
    number, limit = as_number(value), as_number(bound)
    return number is not None and limit is not None and ordering(number, limit)


def _is_severity(value: Any) -> bool:
    return isinstance(value, str) and value in {severity.value for severity in Severity}


def as_number(value: Any) -> float | None:
    """Warehouses write decimals into JSON as numbers or as text; both are numbers here. Other text is not."""
    if isinstance(value, bool) or value is None or (isinstance(value, str) and "_" in value):
        return None  # Python would read 1_000 as a number; no warehouse writes one so
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
