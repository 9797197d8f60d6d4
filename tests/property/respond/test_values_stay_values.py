"""Whatever text stands in the warehouse reaches a request as that text: nothing evaluates it, nothing loses it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dagster_project.respond.destinations.registry import discover
from dagster_project.respond.templating import RenderFailed, render_arguments

SYNTAX = [
    "{{ 7*7 }}",
    "{% raw %}",
    "{# x #}",
    "{{",
    "}}",
    "'",
    '"',
    "\\",
    "\n",
    "<!channel>",
    "<@U1>",
    "&amp;",
    "🦆",
    "\x00",
]
# What only some values can do.
DEMANDING = [
    "{{ row.x | percent }}",
    "{{ row.x | money }}",
    "{{ row.x | day }}",
    "{{ row.x.y }}",
    "{{ row.x[0] }}",
    "{{ row.x + 1 }}",
    "-{{ row.x }}-",
]
hostile = st.lists(st.sampled_from(SYNTAX) | st.text(max_size=6), max_size=6).map("".join)


def rendered(template: Any, value: Any, rich: bool = False, parameters: Any = None) -> Any:
    slack = discover()["slack"]

    def escape(text: str) -> str:
        return slack.escape("post_message", text)

    scope = {"row": {"x": value}, "parameters": parameters or {}, "members": [{"row": {"x": value}}] * 2}
    return render_arguments({"text": template}, scope, lambda _field: escape if rich else str)["text"]


@given(value=hostile)
def test_a_value_alone_is_itself(value: str) -> None:
    assert rendered("{{ row.x }}", value) == value


@given(value=hostile)
def test_a_value_inside_text_is_itself(value: str) -> None:
    assert rendered("Dear {{ row.x }}, bye", value) == f"Dear {value}, bye"
    assert rendered("{% for one in members %}{{ one.row.x }}|{% endfor %}", value) == f"{value}|" * 2


@given(value=hostile)
def test_a_value_inside_a_parameter_is_itself(value: str) -> None:
    assert rendered("<{{ parameters.p }}>", value, parameters={"p": "({{ row.x }})"}) == f"<({value})>"
    assert rendered("{{ parameters.p }}", value, parameters={"p": "{{ row.x }}"}) == value


@given(value=hostile)
def test_slack_never_sees_a_mention_or_link_that_a_value_made(value: str) -> None:
    for template in (
        "{{ row.x }}",
        "a {{ row.x }}",
        "{{ parameters.p }}",
        "{{ row.x ~ row.x }}",
        "{{ [row.x] | join }}",
    ):
        text = rendered(template, value, rich=True, parameters={"p": "see {{ row.x }}"})
        assert "<" not in text
        assert ">" not in text


@given(value=hostile)
def test_escaping_happens_once(value: str) -> None:
    once = discover()["slack"].escape("post_message", value)
    assert rendered("{{ row.x }}", value, rich=True) == once
    assert rendered("{{ parameters.p }}", value, rich=True, parameters={"p": "{{ row.x }}"}) == once
    assert rendered("a {{ parameters.p }}", value, rich=True, parameters={"p": "b {{ row.x }}"}) == f"a b {once}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | hostile,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile, inner, max_size=3),
    max_leaves=6,
)


@given(value=json_values)
def test_a_single_expression_gives_back_what_json_gave(value: Any) -> None:
    assert rendered("{{ row.x }}", value) == value
    assert json.dumps(rendered("{{ row.x }}", value)) == json.dumps(value)


@given(value=json_values, template=st.sampled_from(DEMANDING))
def test_what_a_template_cannot_do_with_a_value_is_an_error_of_that_case_alone(value: Any, template: str) -> None:
    try:
        rendered(template, value)
    except RenderFailed as error:
        assert str(error).startswith("text: ")
