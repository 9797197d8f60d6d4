"""Whatever a person writes in YAML becomes a spec or problems: nothing that is written there ends a compile."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from unit.contracts.spec_samples import playbook, signal, step, told_of_playbook, told_of_signal

from dagster_project.contracts.playbook import Playbook, Step
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.validation import line_of
from dagster_project.respond.playbook_files import read_playbooks

words = st.sampled_from([*SignalSpec.model_fields, *Playbook.model_fields, *Step.model_fields, "with", "hours", "Owner",
                         "str", "tuple[x]", "at_least", "field", "0.9", "{{ row.x }}", ""])  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | words | st.text(max_size=5) | st.dates() | st.datetimes()
)
contents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.integers(0, 3), inner, max_size=4),
    max_leaves=12,
)


@given(key=words, value=contents)
def test_a_signal_with_one_key_gone_wrong(key: str, value: Any) -> None:
    assert all(isinstance(told, str) for told in told_of_signal(signal(**{key: value})))


@given(key=words, value=contents)
def test_a_playbook_with_one_key_gone_wrong(key: str, value: Any) -> None:
    assert all(isinstance(told, str) for told in told_of_playbook({**playbook(), key: value}))
    assert all(isinstance(told, str) for told in told_of_playbook(playbook({**step(), key: value})))


@given(value=contents)
def test_anything_else_in_place_of_either(value: Any) -> None:
    assert all(isinstance(told, str) for told in [*told_of_signal(value), *told_of_playbook(value)])


@given(content=st.binary(max_size=60) | contents.map(lambda value: yaml.safe_dump(value).encode()))
def test_a_file_of_anything_is_a_playbook_or_problems(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "odd.yaml").write_bytes(content)
        found = read_playbooks(Path(folder))
    assert set(found.playbooks) | set(found.problems) == {"odd"}
    assert all(found.problems.values())


@given(text=st.text(max_size=40), path=st.lists(words | st.integers(0, 3), max_size=3))
def test_a_line_can_be_asked_of_any_text(text: str, path: list[str | int]) -> None:
    line = line_of(text, path)
    assert (
        line is None
        or 1
        <= line
        <= text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029") + 1
    )
