"""Turns what a validator says into problems with file, line, key and remedy, all of them at once."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable, Sequence
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dagster_project.contracts.catalog import Problem

Path = Sequence[str | int]


def problems_of(error: ValidationError, model: type[BaseModel], file: str, text: str, prefix: Path) -> list[Problem]:
    """One problem for each error, at its line.

    Parameters: the validator's error; the model that refused; the file's name and text; the path in the YAML at which
    the refused part stands.
    """
    problems: dict[tuple[str, str], Problem] = {}
    for location, found in _by_place(error).items():
        errors = sorted(found, key=lambda one: one["type"] in _FORM_MISMATCHES)
        kind, place, message = errors[0]["type"], list(location), _message(errors, location)
        if named := _NAMED_PLACE.match(message) if kind == "value_error" else None:
            place, message = [*place, *named[1].split(".")], named[2]
        key = ".".join(str(part) for part in place)
        problem = Problem(
            file=file,
            line=line_of(text, [*prefix, *place]),
            key=key,
            message=message,
            remedy=_remedy(kind, list(location), model),
        )
        problems.setdefault((key, problem.message), problem)
    return list(problems.values())


# A rule about several keys says in front which one is meant: "steps.assign_task.needs: circular, ..."
_NAMED_PLACE = re.compile(r"^([a-z_]+(?:\.\w+)*): (.*)$", re.DOTALL)
_FORM_MISMATCHES = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "bool_type": "true or false",
    "int_type": "a number",
    "float_type": "a number",
    "string_type": "a text",
}


def _by_place(error: ValidationError) -> dict[tuple[str | int, ...], list[ErrorDetails]]:
    """The errors by where they stand, without those that only follow from others.

    Where several forms are allowed, the validator complains once for each form; and a list whose items were refused
    also counts as too short. What a person has to mend is the complaint that lies deepest.
    """
    places: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for one in error.errors():
        places.setdefault(_place(one), []).append(one)
    return {place: errors for place, errors in places.items() if not _only_follows(place, errors, places)}


def _only_follows(
    place: tuple[str | int, ...], errors: Sequence[ErrorDetails], places: Iterable[tuple[str | int, ...]]
) -> bool:
    has_deeper = any(len(other) > len(place) and other[: len(place)] == place for other in places)
    return has_deeper and all(one["type"] in _FORM_MISMATCHES or one["type"] == "too_short" for one in errors)


def _place(one: ErrorDetails) -> tuple[str | int, ...]:
    """Where an error stands in the YAML; the last part of an unknown or missing key is a key however it looks."""
    parts = one["loc"]
    is_key = one["type"] in ("extra_forbidden", "missing")
    kept = [part for part in parts[:-1] if not _is_union_member(part)]
    if parts and (is_key or not _is_union_member(parts[-1])):
        kept.append(parts[-1])
    return tuple(kept)


def _is_union_member(part: str | int) -> bool:
    """pydantic names the member of a union it tried (`Comparison`, `tuple[...]`) as if it were a key."""
    return isinstance(part, str) and (part[:1].isupper() or "[" in part or part in {"bool", "int", "float", "str"})


def _message(errors: Sequence[ErrorDetails], location: Path) -> str:
    told = [one for one in errors if one["type"] not in _FORM_MISMATCHES]
    if not told:
        forms = dict.fromkeys(_FORM_MISMATCHES[one["type"]] for one in errors)
        return f"{' or '.join(forms)} is needed"
    if told[0]["type"] == "extra_forbidden":
        return f"unknown key {str(location[-1])!r}"
    if told[0]["type"] == "missing":
        return f"the key {str(location[-1])!r} is missing"
    return told[0]["msg"].removeprefix("Value error, ")


def _remedy(kind: str, location: list[str | int], model: type[BaseModel]) -> str:
    if kind != "extra_forbidden":
        return ""
    allowed = _allowed_keys(model, location[:-1])
    close = difflib.get_close_matches(str(location[-1]), allowed, n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + "allowed: " + ", ".join(allowed)


def _allowed_keys(model: type[BaseModel], location: Path) -> list[str]:
    current: Any = model
    for part in location:
        current = _inner(current, part)
        if current is None:
            return []
    if isinstance(current, type) and issubclass(current, BaseModel):
        return [field.alias or name for name, field in current.model_fields.items()]
    return []


def _inner(kind: Any, part: str | int) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if part in (name, field.alias):
                return _model_in(field.annotation)
    return kind  # an index into a list or a key of a mapping: _model_in has already gone inside


def _model_in(annotation: Any) -> Any:
    """The model inside Optional, list, tuple and dict annotations; None where there is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType, list, tuple, dict) or get_args(annotation):
        for argument in get_args(annotation):
            if (found := _model_in(argument)) is not None:
                return found
    return None


def line_of(text: str, path: Path) -> int | None:
    """The line (from 1) at which the deepest existing part of the path stands; None where the YAML cannot be read."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None
    line = 1
    for part in path:
        key_line, node = _child(node, part)
        if node is None:
            break
        line = key_line
    return line


def _child(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode):
        if isinstance(part, int) and part < len(node.value):
            return node.value[part].start_mark.line + 1, node.value[part]
        for item in node.value:  # a list of named things: models, columns, steps
            line, name = _child(item, "name")
            if isinstance(name, yaml.ScalarNode) and name.value == part:
                return line, item
    return 1, None
