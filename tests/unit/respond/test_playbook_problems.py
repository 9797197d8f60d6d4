"""Every mistake in a playbook is refused before anything is sent, with the line, the key and what to do."""

# ruff: noqa: E501 - one case a line reads as the table that it is

from __future__ import annotations

from pathlib import Path

import pytest
from unit.contracts.planted_project import problems_of_playbook
from unit.contracts.spec_samples import PLAYBOOK_YAML

HEAD = """\
name: nudge
description: Say it.
parameters:
  greeting: {description: How it begins, default: "Dear {{ row.reason }}"}
  nested: {description: Names another, default: "{{ parameters.greeting }}"}
  tasks: {description: A list, default: ["{{ row.nmae }}"]}
enrich:
  plan: {model: customer_plans, key: customer_id}
  lines: {role: erp, lookup: open_purchase_lines}
  before: {ledger: first}
routes:
  to:
    - {when: {severity: critical}, use: "#now"}
    - {use: "#later"}
steps:
  - name: first
    role: chat
    operation: post_message
    with: {channel: "{{ route.to }}", text: "{{ event.reason }} {{ plan.plan }} {{ lines.quantity }} {{ before.open }}"}
"""


def with_step(*lines: str) -> str:
    return HEAD + "".join(f"{line}\n" for line in ("  - name: second", *(f"    {line}" for line in lines)))


CHAT = ("role: chat", "operation: post_message")
POST = (*CHAT, 'with: {channel: "#c", text: hello}')


def saying(text: str, *more: str) -> str:
    return with_step(*CHAT, *more, f"with: {{channel: '#c', text: '{text}'}}")


def test_the_playbook_without_a_mistake_may_be_used(tmp_path: Path) -> None:
    assert problems_of_playbook(tmp_path, with_step(*POST)) == ()


@pytest.mark.parametrize(
    ("text", "line", "key", "told"),
    [
        # what it may refer to
        (with_step("role: chta", "operation: post_message"), 21, "steps.second.role", "no destination is bound to the role 'chta' -> bound roles: chat, crm, erp"),
        (with_step("role: chat", "operation: post_mesage"), 22, "steps.second.operation", "no operation 'post_mesage' -> slack offers: post_message"),
        (with_step(*CHAT, 'with: {channel: "#c", txt: x, text: y}'), 23, "steps.second.with.txt", "post_message has no argument 'txt' -> arguments: "),
        (with_step(*CHAT, 'with: {text: y}'), 23, "steps.second.with", "post_message needs the argument 'channel'"),
        (HEAD.replace("model: customer_plans", "model: customer_plan"), 8, "enrich.plan.model", "there is no dbt model 'customer_plan'"),
        (HEAD.replace("key: customer_id", "key: customer"), 8, "enrich.plan.key", "customer_plans has no column 'customer' -> columns: "),
        (HEAD.replace("lookup: open_purchase_lines", "lookup: open_lines"), 9, "enrich.lines.lookup", "tryton has no lookup 'open_lines' -> lookups: open_purchase_lines"),
        (HEAD.replace("role: erp", "role: warehouse"), 9, "enrich.lines.role", "no destination is bound to the role 'warehouse'"),
        (HEAD.replace("ledger: first", "ledger: frist"), 10, "enrich.before.ledger", "there is no step 'frist'"),
        (HEAD.replace("ledger: first}", "ledger: first, by: row.nmae}"), 10, "enrich.before.by", "unknown field 'row.nmae' -> row has: entity_id"),
        # fields of templates
        (saying("{{ row.nmae }}"), 23, "steps.second.with.text", "unknown field 'row.nmae' -> row has: entity_id, severity"),
        (saying('{{ row["nmae"] }}'.replace('"', "''")), 23, "steps.second.with.text", "unknown field 'row.nmae'"),
        (saying("{{ event.nmae }}"), 23, "steps.second.with.text", "unknown field 'event.nmae' -> event has: id, signal"),
        (saying("{{ plan.nmae }}"), 23, "steps.second.with.text", "unknown field 'plan.nmae' -> plan has: customer_id"),
        (saying("{{ before.last }}"), 23, "steps.second.with.text", "unknown field 'before.last' -> before has: open, delivered"),
        (saying("{{ route.too }}"), 23, "steps.second.with.text", "unknown field 'route.too' -> route has: to"),
        (saying("{{ parameters.greting }}"), 23, "steps.second.with.text", "unknown field 'parameters.greting' -> parameters has: greeting"),
        (saying("{{ rwo.reason }}"), 23, "steps.second.with.text", "unknown field 'rwo.reason' -> it may begin with: "),
        (saying("{{ steps.first.url }}"), 23, "steps.second.with.text", "unknown field 'steps.first.url' -> steps has: nothing"),
        (saying("{{ steps.first.urll }}", "needs: [first]"), 24, "steps.second.with.text", "unknown field 'steps.first.urll' -> a step has: external_id, url, result"),
        (saying("{{ group.count }}"), 23, "steps.second.with.text", "unknown field 'group.count'"),
        (saying("{{ group.cuont }}", "group_by: row.reason"), 24, "steps.second.with.text", "unknown field 'group.cuont' -> group has: count"),
        (saying("{{ group.plan.nmae }}", "group_by: row.reason"), 24, "steps.second.with.text", "unknown field 'plan.nmae'"),
        (saying("{% for one in members %}{% endfor %}"), 23, "steps.second.with.text", "unknown field 'members'"),
        (saying("{{ parameters.nested }}"), 23, "steps.second.with.text", "unknown field 'parameters.greeting'"),
        (saying("{{ parameters.tasks }}"), 23, "steps.second.with.text", "unknown field 'row.nmae'"),
        (saying("{{ row.reason"), 23, "steps.second.with.text", "not a template"),
        (saying("{{ row.reason | moeny }}"), 23, "steps.second.with.text", "no filter 'moeny' -> of our own: hours_after, money"),
        (saying("{{ row.reason is nonsense }}"), 23, "steps.second.with.text", "not a template"),
        (saying("{{ range(3) }}"), 23, "steps.second.with.text", "unknown field 'range'"),
        (HEAD.replace('"#later"', '"{{ row.nmae }}"'), 14, "routes.to.1.use", "unknown field 'row.nmae'"),
        (HEAD.replace('"#later"', '"{{ route.to }}"'), 14, "routes.to.1.use", "unknown field 'route.to'"),
        # conditions
        (with_step(*POST, "when: {row.nmae: x}"), 24, "steps.second.when.row.nmae", "unknown field 'row.nmae'"),
        (with_step(*POST, "when: {plan.plan: x}"), 24, "steps.second.when.plan.plan", "unknown field 'plan.plan'"),
        (with_step(*POST, "when: {score: {above: {field: row.nmae}}}"), 24, "steps.second.when.score", "unknown field 'row.nmae'"),
        (with_step(*POST, "group_by: row.reason", "hold_when: [{group.vlaue: {above: 5}}]"), 25, "steps.second.hold_when.0.group.vlaue", "unknown field 'group.vlaue'"),
        (with_step(*POST, "group_by: row.reason", "hold_when: [{group.count: {above: {field: group.cuont}}}]"), 25, "steps.second.hold_when.0.group.count", "unknown field 'group.cuont'"),
        (with_step(*POST, "hold_when: [{group.count: {above: 5}}]"), 24, "steps.second.hold_when.0.group.count", "unknown field 'group.count'"),
        (with_step(*POST, "group_by: row.nmae"), 24, "steps.second.group_by", "unknown field 'row.nmae'"),
        (with_step(*POST, "group_by: plan.plan"), 24, "steps.second.group_by", "unknown field 'plan.plan' -> it may begin with: event, row"),
        (HEAD.replace("when: {severity: critical}", "when: {sevrity: critical}"), 13, "routes.to.0.when.sevrity", "unknown field 'sevrity'"),
        # how steps hang together
        (with_step(*POST, "on: [escalated]", "needs: [first]"), 25, "steps.second.needs", "'first' does not act on escalated -> a need is a step for the same kinds of event"),
        (with_step("role: crm", "operation: assign_task", "is_at_least_once: true", "with: {subject: s, due_at: d, owner_email: o, body: b}"), 23, "steps.second.is_at_least_once", "only an unkeyed operation needs it"),
        (with_step("role: erp", "operation: create_onboarding_project", "with: {name: n, party_code: p, party_name: p, tasks: {for_each: members, use: x}}"), 23, "steps.second.with.tasks.for_each", "the step has no `group_by`, so it has no members"),
        (with_step("role: erp", "operation: create_onboarding_project", "group_by: row.reason", "with: {name: n, party_code: p, party_name: p, tasks: {for_each: memebers, use: x}}"), 24, "steps.second.with.tasks.for_each", "not a loop -> write {for_each: members, use: ...}"),
        # secrets
        (with_step(*CHAT, 'with: {channel: "#c", text: x, fields: {Api_Token: sesame}}'), 23, "steps.second.with.fields.Api_Token", "looks like a secret -> put it into the environment"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_problem_at_its_line(tmp_path: Path, text: str, line: int, key: str, told: str) -> None:
    problems = problems_of_playbook(tmp_path, text)
    assert len(problems) == 1, [str(p) for p in problems]
    (problem,) = problems
    assert (problem.file, problem.key, problem.line) == ("playbooks/nudge.yaml", key, line)
    assert told in str(problem)
    assert "sesame" not in str(problem)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = HEAD.replace("key: customer_id", "key: customer").replace('"#later"', '"{{ row.nmae }}"')
    text += "  - name: second\n    role: chta\n    operation: x\n  - name: third\n    role: chat\n    operation: y\n"
    keys = {problem.key for problem in problems_of_playbook(tmp_path, text)}
    assert keys == {"enrich.plan.key", "routes.to.1.use", "steps.second.role", "steps.third.operation"}


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        (PLAYBOOK_YAML.encode().replace(b"Say", b"S\xe4y"), None, "not UTF-8: invalid continuation byte at byte 26 -> save it as UTF-8"),
        (PLAYBOOK_YAML.replace("steps:", "steps: ["), 4, "not YAML"),
        ("name: {a: b: c}", 1, "not YAML"),
        ("", None, "a mapping of keys to values is needed"),
        ("- a\n- b\n", None, "a mapping of keys to values is needed"),
        (PLAYBOOK_YAML.replace("name: nudge", "name: nudge_twice"), 1, "'nudge_twice' stands in nudge.yaml -> give both one name"),
        (PLAYBOOK_YAML.replace("operation:", "opration:"), 6, "did you mean 'operation'?"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_playbook_says_so(tmp_path: Path, content: str | bytes, line: int | None, told: str) -> None:
    problems = problems_of_playbook(tmp_path, content)
    assert told in " ".join(str(p) for p in problems)
    assert problems[0].file == "playbooks/nudge.yaml"
    if line is not None:
        assert line in {p.line for p in problems}


@pytest.mark.parametrize(
    ("parameters", "key", "told"),
    [
        ({"greting": "x"}, "parameters.greting", "the playbook 'nudge' has no parameter 'greting' -> there are: greeting"),
        ({"greeting": "{{ row.nmae }}"}, "parameters.greeting", "unknown field 'row.nmae'"),
        ({"greeting": "{{ row.reason"}, "parameters.greeting", "not a template"),
    ],
)  # fmt: skip
def test_a_signals_parameters_are_checked_with_the_playbook(
    tmp_path: Path, parameters: dict[str, str], key: str, told: str
) -> None:
    problems = problems_of_playbook(tmp_path, saying("{{ parameters.greeting }}"), parameters=parameters)
    assert [problem.key for problem in problems] == [key]
    assert told in str(problems[0])


def test_a_parameter_without_default_has_to_be_set(tmp_path: Path) -> None:
    text = HEAD.replace(', default: "Dear {{ row.reason }}"', "")
    (problem,) = problems_of_playbook(tmp_path / "unset", text)
    assert str(problem) == (
        f"models/signals/finance/invoice_overdue.yml:{problem.line}: parameters.greeting: the parameter 'greeting' has no "
        "default and is not set -> How it begins"
    )
    assert problems_of_playbook(tmp_path / "set", text, parameters={"greeting": "Hi"}) == ()


def test_on_is_a_word_although_yaml_reads_it_as_true(tmp_path: Path) -> None:
    assert problems_of_playbook(tmp_path, with_step(*POST, "on: [opened, resolved]")) == ()


def test_the_signals_own_columns_may_be_used(tmp_path: Path) -> None:
    columns = [{"name": "customer_name", "data_type": "text"}]
    assert problems_of_playbook(tmp_path, saying("{{ row.customer_name }}"), columns=columns) == ()
