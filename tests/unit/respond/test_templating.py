"""Templates are the playbook's; values are the warehouse's and never evaluated."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from dagster_project.respond.templating import (
    RenderFailed,
    check_compiles,
    fields_used,
    filters_unknown,
    render_arguments,
    render_text,
)

SCOPE: dict[str, Any] = {
    "row": {
        "name": "Ada <b>&",
        "score": 0.91,
        "none": None,
        "items": "the column",
        "values": 3,
        "tags": ["<a>", "b"],
        "struct": {"<k>": "<v>"},
        "price": Decimal("3.50"),
    },
    "event": {"id": "e1", "emitted_at": datetime(2026, 11, 24, 8, tzinfo=UTC)},
}


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def rendered(template: Any, rich: tuple[str, ...] = (), **scope: Any) -> Any:
    return render_arguments(template, {**SCOPE, **scope}, lambda field: escape if field in rich else str)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ row.score }}", 0.91),
        ("{{row.score}}", 0.91),
        ("  {{ row.values }}\n", 3),
        ("{{- row.values }}", 3),
        ("{{ row.values -}}", 3),
        ("{{- row.values -}}", 3),
        ("{{ -row.values }}", -3),
        ("{{ row.price }}", Decimal("3.50")),
        ("{{ row.tags }}", ["<a>", "b"]),
        ("{{ row.none }}", None),
        ("{{ row.values > 2 }}", True),
        ("{{ row.items }}", "the column"),
        ("{{ row['items'] }}", "the column"),
        ("{{ event.emitted_at | hours_after(4) }}", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ("plain", "plain"),
        ("{not a template}", "{not a template}"),
        ("", ""),
    ],
)
def test_a_single_expression_keeps_the_type_of_its_value(template: str, value: Any) -> None:
    found = rendered({"x": template})["x"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ row.name }} {{ row.score }}", "Ada <b>& 0.91"),
        ("[{{ row.none }}]", "[]"),
        ("{{ row.none or 'nobody' }}", "nobody"),
        ("{{ row.score | percent }}", "91 %"),
        ("{{ 1234.5 | money('EUR') }}", "1,234.50 EUR"),
        ("{{ 1234.5 | money }}", "1,234.50"),
        ("on {{ event.emitted_at | day }}", "on 2026-11-24"),
        ("{% if row.score > 0.9 %}yes{% else %}no{% endif %}", "yes"),
        ("{% for tag in row.tags %}{{ loop.index }}{{ tag }} {% endfor %}", "1<a> 2b "),
        ("of {{ row.items }}", "of the column"),
    ],
)
def test_anything_else_becomes_text(template: str, text: str) -> None:
    assert rendered({"x": template}) == {"x": text}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("<i>{{ row.name }}</i>", "<i>Ada &lt;b>&amp;</i>"),
        ("{{ row.name }}", "Ada &lt;b>&amp;"),
        ("{{ row.name ~ row.name }}", "Ada &lt;b>&amp;Ada &lt;b>&amp;"),
        ("{{ row.name | upper }}", "ADA &lt;B>&amp;"),
        ("{% for tag in row.tags %}{{ tag }}{% endfor %}", "&lt;a>b"),
        ("{{ row.tags | join(', ') }}", "&lt;a>, b"),
        ("{{ row.tags }}", ["&lt;a>", "b"]),
        ("{{ row.struct }}", {"&lt;k>": "&lt;v>"}),
        ("tags {{ row.tags }}", "tags ['&lt;a>', 'b']"),
    ],
)
def test_values_are_escaped_in_rich_text_once_and_the_playbooks_own_markup_is_kept(template: str, text: Any) -> None:
    assert rendered({"text": template}, rich=("text",)) == {"text": text}


def test_only_rich_text_is_escaped_whatever_lies_inside_it() -> None:
    template = {"title": "{{ row.name }}", "fields": {"Who": "{{ row.name }}", "List": ["{{ row.name }}"]}}
    assert rendered(template, rich=("fields",)) == {
        "title": "Ada <b>&",
        "fields": {"Who": "Ada &lt;b>&amp;", "List": ["Ada &lt;b>&amp;"]},
    }


def test_parameters_are_rendered_where_they_are_used_and_escaped_once() -> None:
    parameters = {"greeting": "<b>{{ row.name }}</b>", "number": 7, "plain": "<b>"}
    template = {
        "text": "{{ parameters.greeting }}!",
        "title": "{{ parameters.greeting }}",
        "n": "{{ parameters.number }}",
    }
    assert rendered(template, rich=("text",), parameters=parameters) == {
        "text": "<b>Ada &lt;b>&amp;</b>!",
        "title": "<b>Ada <b>&</b>",
        "n": 7,
    }


def test_parameters_that_are_lists_are_rendered_item_by_item() -> None:
    parameters = {"checklist": ["Call {{ row.name }}", "Train"], "map": {"Who": "{{ row.name }}"}}
    template = {"tasks": "{{ parameters.checklist }}", "text": "{{ parameters.map }}"}
    assert rendered(template, rich=("text",), parameters=parameters) == {
        "tasks": ["Call Ada <b>&", "Train"],
        "text": {"Who": "Ada &lt;b>&amp;"},
    }


def test_a_parameter_that_nobody_asks_for_is_not_rendered() -> None:
    assert rendered({"x": "{{ row.score }}"}, parameters={"broken": "{{ row.missing }}"}) == {"x": 0.91}


def test_a_parameter_may_be_named_as_a_method_is() -> None:
    assert rendered({"x": "{{ parameters.items }}"}, parameters={"items": "bolts"}) == {"x": "bolts"}


def test_for_each_makes_one_item_of_every_member() -> None:
    members = [{"row": {"name": "a", "n": 1}}, {"row": {"name": "<b>", "n": 2}}]
    template = {"lines": {"for_each": "members", "use": {"code": "{{ row.name }}", "n": "{{ row.n }}"}}}
    assert rendered(template, rich=("lines",), members=members) == {
        "lines": [{"code": "a", "n": 1}, {"code": "&lt;b>", "n": 2}]
    }


@pytest.mark.parametrize("value", [3, None, True, 1.5])
def test_what_is_no_text_stays_as_it_is(value: Any) -> None:
    assert rendered({"x": value, "y": [value]}) == {"x": value, "y": [value]}


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("{{ row.nmae }}", "nmae"),
        ("Hello {{ row.nmae }}", "nmae"),
        ("{{ rwo.name }}", "rwo"),
        ("{{ parameters.chanel }}", "chanel"),
        ("{{ row['nmae'] }}", "nmae"),
        ("{{ row.none | day }}", "NoneType"),
        ("{{ 'x' | money }}", "could not convert"),
        ("{{ event.emitted_at | hours_after(1e30) }}", "hours_after"),
        ("{{ 1 / 0 }}", "division"),
        ("{{ row.name.nothing() }}", "nothing"),
    ],
)
def test_what_cannot_be_rendered_says_which_field_and_what_is_missing(template: str, named: str) -> None:
    with pytest.raises(RenderFailed, match=r"^fields\.Owner: ") as caught:
        rendered({"fields": {"Owner": template}}, parameters={})
    assert named in str(caught.value)


def test_an_error_shows_the_beginning_of_a_long_template() -> None:
    with pytest.raises(RenderFailed) as caught:
        render_text("{{ row.missing }}" + "x" * 1000, SCOPE)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "template",
    [
        "{{ row.name.__class__ }}",
        "{{ row.name.__class__.__mro__ }}",
        "{{ row['__class__'] }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ row.__class__.__init__.__globals__ }}",
        "{{ row | attr('__class__') }}",
        "{{ row.tags.append('x') }}",
        "{{ row.struct.update({}) }}",
        "{{ '{0.__class__}'.format(row) }}",
        "{{ range(10) }}",
        "{{ lipsum() }}",
        "{{ cycler('a') }}",
        "{% include 'other' %}",
        "{% import 'other' as other %}",
        "{% set row.name = 1 %}",
    ],
)
def test_the_sandbox_lets_no_template_out(template: str) -> None:
    with pytest.raises(RenderFailed):
        rendered({"x": template})
    assert SCOPE["row"]["tags"] == ["<a>", "b"]


@pytest.mark.parametrize(
    ("template", "paths"),
    [
        ("{{ row.name }}", {("row", "name")}),
        ("{{ row['name'] }}", {("row", "name")}),
        ("{{ steps.a.result.channel }}", {("steps", "a", "result", "channel")}),
        ("{{ row.a or row.b }} {{ event.id }}", {("row", "a"), ("row", "b"), ("event", "id")}),
        ("{{ row.value | money(row.currency) }}", {("row", "value"), ("row", "currency")}),
        ("{% for one in members %}{{ one.row.x }}{{ loop.index }}{% endfor %}", {("members",)}),
        ("{% for one in row.tags %}{{ one }}{{ row.name }}{% endfor %}", {("row", "tags"), ("row", "name")}),
        ("{% set who = row.name %}{{ who }}", {("row", "name")}),
        ("{{ row[row.key] }}", {("row",), ("row", "key")}),
        ("{{ row.name.upper() }}", {("row", "name", "upper")}),
        ("{{ range(3) }}", {("range",)}),
        ("no template", set()),
    ],
)
def test_the_fields_that_a_template_reads(template: str, paths: set[tuple[str, ...]]) -> None:
    assert set(fields_used(template)) == paths


@pytest.mark.parametrize("template", ["{{ row.name", "{% if %}", "{{ row. }}", "{% for x in %}{% endfor %}", "{{ }}"])
def test_what_is_no_template_is_refused_before_it_is_rendered(template: str) -> None:
    with pytest.raises(RenderFailed):
        list(fields_used(template))


@pytest.mark.parametrize("template", ["{{ row.x is nonsense }}", "{{ row.x row.y }}", "a {% break %}"])
def test_what_could_never_be_rendered_is_refused_before_it_is_rendered(template: str) -> None:
    with pytest.raises(RenderFailed):
        check_compiles(template)


def test_unknown_filters_are_named() -> None:
    assert filters_unknown("{{ row.x | moeny }} {{ row.y | percent }} {{ row.z | upper }}") == ["moeny"]
