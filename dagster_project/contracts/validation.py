"""Turns what a validator says into problems with file, line, key and remedy, all of them at once."""

from __future__ import annotations

import difflib
import types
from collections.abc import Sequence
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from dagster_project.contracts.catalog import Problem

Path = Sequence[str | int]


def problems_of(error: ValidationError, model: type[BaseModel], file: str, text: str, prefix: Path) -> list[Problem]:
    """One problem for each error, at its line.

    Parameters: the validator's error; the model that refused; the file's name and text; the path in the YAML at which
    the refused part stands.
    """
    problems: dict[tuple[str, str], Problem] = {}
    for one in error.errors():
        location = [part for part in one["loc"] if not _is_union_member(part)]
        key = ".".join(str(part) for part in location)
        problem = Problem(
            file=file,
            line=line_of(text, [*prefix, *location]),
            key=key,
            message=_message(one["type"], one["msg"], location),
            remedy=_remedy(one["type"], location, model),
        )
        problems.setdefault((key, problem.message), problem)
    return list(problems.values())


def _is_union_member(part: str | int) -> bool:
    """pydantic names the member of a union it tried (`Comparison`, `tuple[...]`) as if it were a key."""
    return isinstance(part, str) and (part[:1].isupper() or "[" in part or part in {"bool", "int", "float", "str"})


def _message(kind: str, message: str, location: list[str | int]) -> str:
    if kind == "extra_forbidden":
        return f"unknown key {str(location[-1])!r}"
    if kind == "missing":
        return f"the key {str(location[-1])!r} is missing"
    return message.removeprefix("Value error, ")


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
