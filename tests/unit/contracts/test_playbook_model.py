"""How a playbook has to hang together before it is held against any signal."""

# ruff: noqa: E501 - one case a line reads as the table that it is

from __future__ import annotations

from typing import Any

import pytest
from unit.contracts.spec_samples import playbook, step, told_of_playbook

from dagster_project.contracts.playbook import Playbook, PlaybookVersion


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (playbook(step("a"), step("a")), "steps: the name 'a' stands twice"),
        (playbook(step("a", needs=["a"])), "steps.a.needs: circular, a -> a"),
        (playbook(step("a", needs=["c"]), step("b", needs=["a"]), step("c", needs=["b"])), "circular, a -> c -> b -> a"),
        (playbook(step("a", needs=["b"]), step("b")), "steps.a.needs: 'b' stands after it; move it before this step"),
        (playbook(step("a", needs=["bee"])), "steps.a.needs: no step 'bee'; there are a"),
        (playbook(step("a", follows="bee")), "steps.a.follows: no step 'bee'; there are a"),
        (playbook(steps=[]), "steps: Tuple should have at least 1 item"),
        (playbook(step(on="opened")), "steps.0.on: a list is needed"),
        (playbook(step(on=["opend"])), "steps.0.on.0: Input should be 'opened', 'escalated' or 'resolved'"),
        (playbook(step(opration="x")), "steps.0.opration: unknown key 'opration' -> did you mean 'operation'?"),
        (playbook(step(arguments={})), ""),
        (playbook(step(when={"score": {"at_least": "0.9"}})), "steps.0.when.score.at_least: '0.9' is text"),
        (playbook(step(when={"score": {"atleast": 1}})), "did you mean 'at_least'?"),
        (playbook(step(when={"severity": {"at_least": "hihg"}})), "one of low, medium, high, critical"),
        (playbook(step(when={"score": {}})), "an empty comparison; write for example {at_least: 0.9}"),
        (playbook(step(hold_when={"group.value": {"above": 1}})), "steps.0.hold_when: a list is needed"),
        (playbook(routes={"to": [{"when": {"severity": "high"}, "use": 1}]}), "routes.to: the last rule must have no `when`"),
        (playbook(routes={"to": []}), "routes.to: the last rule must have no `when`"),
        (playbook(enrich={"row": {"ledger": "tell"}}), "enrich: 'row' is a word of its own"),
        (playbook(enrich={"plan": {"model": "plans"}}), "give either `model` with its `key`"),
        (playbook(enrich={"plan": {"model": "m", "key": "k", "ledger": "tell"}}), "give either `model` with its `key`"),
        (playbook(parameters={"p": {"default": 1}}), "parameters.p.description: the key 'description' is missing"),
        (playbook(Description="x"), "unknown key 'Description' -> did you mean 'description'?"),
        (playbook(name=None), "name: a text is needed"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_problem_that_says_where_and_what(content: dict[str, Any], told: str) -> None:
    problems = told_of_playbook(content)
    assert len(problems) == (1 if told else 0), problems
    assert told in "".join(problems)


@pytest.mark.parametrize(
    "content", [None, [], "text", 3, True, {}, {"steps": None}, {"steps": [None]}, {"steps": {"a": 1}}]
)
def test_what_is_no_playbook_is_a_problem_and_no_crash(content: Any) -> None:
    assert told_of_playbook(content)


def version(**changes: Any) -> PlaybookVersion:
    content = playbook(step(when={"score": {"above": 1}}, **{"with": {"text": "x"}}), **changes)
    return PlaybookVersion(signal="s", playbook=Playbook.model_validate(content), parameters={"b": 1, "a": [1]})


def test_equal_content_has_equal_hashes_and_survives_json() -> None:
    again = PlaybookVersion.model_validate_json(version().model_dump_json(by_alias=True))
    assert again == version()
    assert again.content_hash() == version().content_hash()


@pytest.mark.parametrize(
    "changed",
    [
        version(description="other"),
        version().model_copy(update={"parameters": {"a": [2], "b": 1}}),
        version().model_copy(update={"signal": "t"}),
        version(routes={"to": [{"use": 1}]}),
    ],
)
def test_any_change_of_content_changes_the_hash(changed: PlaybookVersion) -> None:
    assert changed.content_hash() != version().content_hash()
