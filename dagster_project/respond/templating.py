"""Renders what a playbook says into the arguments of one request, without ever evaluating what the data says.

Templates are the playbook's; values are the warehouse's. Values are inserted as they are, or escaped where the
destination shows markup; template syntax inside a value stays text. A missing field is an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

Escape = Callable[[str], str]

# A minus or plus that touches the braces is white-space control, not arithmetic.
_SINGLE_EXPRESSION = re.compile(r"^\s*\{\{[-+]?((?:(?!\}\}|\{\{).)*?)-?\}\}\s*$", re.DOTALL)
# `row.email`: names alone, none of them a word of the template language.
_PLAIN_PATH = re.compile(
    r"^\s*(?!(?:true|false|none|not|True|False|None)\b)([A-Za-z_]\w*(?:\.[A-Za-z]\w*)+)\s*$", re.ASCII
)
_ABSENT = object()


class RenderFailed(Exception):
    """A template that cannot be rendered for this case; the text names the field and what is missing."""


class Prepared(str):
    """Text whose inserted values were escaped already."""

    __slots__ = ()


def _hours_after(moment: datetime, hours: float) -> datetime:
    return moment + timedelta(hours=float(hours))


def _money(amount: Any, currency: str = "") -> str:
    return f"{float(amount):,.2f} {currency}".strip()


def _percent(share: Any) -> str:
    return f"{100 * float(share):.0f} %"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _as_is(text: str) -> str:
    return text


FILTERS: dict[str, Callable[..., Any]] = {
    "hours_after": _hours_after,
    "money": _money,
    "percent": _percent,
    "day": _day,
}


class _FieldsFirst(ImmutableSandboxedEnvironment):
    """`row.items` is the column of that name, not the mapping's method."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)


@lru_cache(maxsize=64)
def _environment(escape: Escape) -> ImmutableSandboxedEnvironment:
    def finalize(value: Any) -> Any:
        if value is None:
            return ""
        if isinstance(value, Prepared | Undefined):
            return value
        return escape(str(value))

    environment = _FieldsFirst(undefined=StrictUndefined, finalize=finalize, autoescape=False)
    environment.filters.update(FILTERS)
    environment.globals.clear()
    return environment


@lru_cache(maxsize=4096)
def _compiled(escape: Escape, text: str) -> Callable[[Mapping[str, Any]], Any]:
    environment = _environment(escape)
    single = _SINGLE_EXPRESSION.match(text)
    if single is None:
        template = environment.from_string(text)
        return lambda scope: Prepared(template.render(**scope))
    if (path := _PLAIN_PATH.match(single.group(1))) is not None:
        return _reading(tuple(path.group(1).split(".")), environment, escape)
    expression = environment.compile_expression(single.group(1), undefined_to_none=False)

    def evaluate(scope: Mapping[str, Any]) -> Any:
        value = expression(**scope)
        if isinstance(value, Undefined):
            str(value)  # raises with the name of what is missing
        return _escaped(value, escape)

    return evaluate


def _reading(path: tuple[str, ...], environment: ImmutableSandboxedEnvironment, escape: Escape) -> Callable[..., Any]:
    """What most templates are: one field, read as the environment reads it, without a rendering of its own."""

    def read(scope: Mapping[str, Any]) -> Any:
        value = scope.get(path[0], _ABSENT)
        if value is _ABSENT:
            value = environment.undefined(name=path[0])
        for name in path[1:]:
            value = environment.getattr(value, name)
        if isinstance(value, Undefined):
            str(value)  # raises with the name of what is missing
        return _escaped(value, escape)

    return read


def _escaped(value: Any, escape: Escape) -> Any:
    """The value with every text in it escaped, once."""
    if isinstance(value, str):
        return value if isinstance(value, Prepared) else Prepared(escape(value))
    if isinstance(value, Mapping):
        return {_escaped(key, escape): _escaped(one, escape) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(one, escape) for one in value]
    return value


def render_text(text: str, scope: Mapping[str, Any], escape: Escape = _as_is) -> Any:
    """One template: a single `{{ expression }}` keeps its value's type, anything else becomes text.

    Raises RenderFailed.
    """
    if "{" not in text:
        return Prepared(text)
    try:
        return _compiled(escape, text)(scope)
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise RenderFailed(f"{_shown(text)}: {error}") from error


def _shown(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else flat[:77] + "..."


class Parameters(Mapping[str, Any]):
    """A playbook's parameters; one whose text holds template fields is rendered when a template asks for it."""

    def __init__(self, values: Mapping[str, Any], scope: Mapping[str, Any], escape: Escape) -> None:
        self._values, self._scope, self._escape = values, scope, escape

    def __getitem__(self, name: str) -> Any:
        return self._rendered(self._values[name])

    def _rendered(self, value: Any) -> Any:
        if isinstance(value, str):
            return render_text(value, self._scope, self._escape)
        if isinstance(value, Mapping):
            return {key: self._rendered(one) for key, one in value.items()}
        return [self._rendered(one) for one in value] if isinstance(value, list | tuple) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def render_arguments(
    template: Any, scope: Mapping[str, Any], escape_of: Callable[[str], Escape], field: str = ""
) -> Any:
    """Renders nested arguments.

    Parameters: the `with` part of a step; the scope, with the raw parameters under `parameters`; which escaping a
    top-level argument field needs; the field that is being rendered ("" at the top). A mapping
    `{for_each: members, use: ...}` becomes a list, one item a member.
    Raises RenderFailed, whose text begins with the field's path.
    """
    if isinstance(template, str):
        escape = escape_of(field.partition(".")[0])
        try:
            value = render_text(template, _with_parameters(scope, escape), escape) if "{" in template else template
        except RenderFailed as error:
            raise RenderFailed(f"{field}: {error}") from error
        return _unmarked(value)
    if isinstance(template, Mapping):
        if set(template) == {"for_each", "use"}:
            members: Sequence[Mapping[str, Any]] = scope.get(template["for_each"], ())
            return [render_arguments(template["use"], {**scope, **member}, escape_of, field) for member in members]
        return {
            key: render_arguments(value, scope, escape_of, f"{field}.{key}" if field else str(key))
            for key, value in template.items()
        }
    if isinstance(template, list | tuple):
        return [render_arguments(value, scope, escape_of, field) for value in template]
    return template


def _with_parameters(scope: Mapping[str, Any], escape: Escape) -> Mapping[str, Any]:
    parameters = scope.get("parameters")
    return {**scope, "parameters": Parameters(parameters, scope, escape)} if parameters else scope


def _unmarked(value: Any) -> Any:
    """The value without the marks that say what was escaped already."""
    if isinstance(value, Prepared):
        return str(value)
    if isinstance(value, Mapping):
        return {_unmarked(key): _unmarked(one) for key, one in value.items()}
    return [_unmarked(one) for one in value] if isinstance(value, list | tuple) else value


def fields_used(text: str) -> Iterator[tuple[str, ...]]:
    """The dotted paths that a template reads, as tuples of names: `{{ row.name }}` gives ("row", "name").

    Raises RenderFailed where the template is not well formed, or names a filter or test that there is not.
    """
    tree = _parsed(text)
    try:
        free = meta.find_undeclared_variables(tree)  # a loop's own variable is not a field
    except TemplateError as error:
        raise RenderFailed(f"{_shown(text)}: {error.message}") from error
    inner = {id(node.node) for node in tree.find_all(nodes.Getattr)}
    inner |= {id(node.node) for node in tree.find_all(nodes.Getitem)}
    for node in tree.find_all((nodes.Getattr, nodes.Getitem, nodes.Name)):
        if id(node) not in inner and (path := _path_of(node)) and path[0] in free:
            yield path


def check_compiles(text: str) -> None:
    """Raises RenderFailed where a template could never be rendered: an unknown test, a stray word, a broken tag."""
    try:
        _compiled(_as_is, text)
    except TemplateError as error:
        raise RenderFailed(f"{_shown(text)}: {error.message}") from error


def _parsed(text: str) -> nodes.Template:
    try:
        return _environment(_as_is).parse(text)
    except TemplateError as error:
        raise RenderFailed(f"{_shown(text)}: {error.message}") from error


def filters_unknown(text: str) -> list[str]:
    """The filters that a template names and that there are not. Raises RenderFailed where it is not well formed."""
    tree = _parsed(text)
    known = _environment(_as_is).filters
    return [node.name for node in tree.find_all(nodes.Filter) if node.name not in known]


def _path_of(node: nodes.Node) -> tuple[str, ...]:
    """The names that lead to a node: `row.name` and `row['name']` alike; empty where it does not begin with a name."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if not isinstance(node, nodes.Getattr | nodes.Getitem):
        return ()
    path = _path_of(node.node)
    if isinstance(node, nodes.Getattr):
        return (*path, node.attr) if path else ()
    return (*path, str(node.arg.value)) if path and isinstance(node.arg, nodes.Const) else path
