"""A problem stands at the line that a person has to mend."""

from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from dagster_project.contracts.catalog import Problem
from dagster_project.contracts.playbook import Playbook
from dagster_project.contracts.validation import line_of, problems_of

TEXT = """\
name: nudge
description: Say it once.
steps:
  - name: tell
    role: chat
    operation: post_message
    opration: x
  - name: again
    role: chat
    operation: post_message
    needs: [agian]
"""


def test_an_unknown_key_stands_at_its_own_line() -> None:
    with pytest.raises(ValidationError) as caught:
        Playbook.model_validate(yaml.safe_load(TEXT))
    (problem,) = problems_of(caught.value, Playbook, "playbooks/nudge.yaml", TEXT, [])
    assert (problem.line, problem.key) == (7, "steps.0.opration")
    assert str(problem).startswith("playbooks/nudge.yaml:7: steps.0.opration: unknown key 'opration' -> did you mean")


def test_a_rule_about_several_keys_stands_at_the_one_it_names() -> None:
    text = TEXT.replace("    opration: x\n", "")
    with pytest.raises(ValidationError) as caught:
        Playbook.model_validate(yaml.safe_load(text))
    (problem,) = problems_of(caught.value, Playbook, "nudge.yaml", text, [])
    assert (problem.line, problem.key) == (10, "steps.again.needs")
    assert problem.message == "no step 'agian'; there are tell, again"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (["steps"], 3),
        (["steps", "again"], 8),
        (["steps", "again", "needs", 0], 11),
        (["steps", 1, "role"], 9),
        (["steps", "again", "missing"], 8),
        (["nothing"], 1),
        ([], 1),
        (["steps", 17], 3),
    ],
)
def test_the_deepest_part_that_exists_decides(path: list[str | int], line: int) -> None:
    assert line_of(TEXT, path) == line


@pytest.mark.parametrize("text", ["{", "a: b: c", "\t- x"])
def test_text_that_is_no_yaml_has_no_lines(text: str) -> None:
    assert line_of(text, ["a"]) is None


def test_an_empty_text_has_one_line() -> None:
    assert line_of("", ["a"]) == 1


def test_a_problem_reads_as_compilers_write_it() -> None:
    assert str(Problem(file="a.yml", message="gone")) == "a.yml: gone"
    assert str(Problem(file="a.yml", line=3, key="k", message="gone", remedy="add it")) == "a.yml:3: k: gone -> add it"
