"""What else dbt refuses of a whole project is told with the place and what to do, in dbt's real words of today."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.mistakes.planted_loop import Project, change

from dagster_project.settings import Settings
from dagster_project.validate import find_problems

NAME = "customer_refused"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.copied_to(tmp_path_factory.mktemp("dbt_words"))


def _told(project: Project, state: Path) -> str:
    settings = Settings(
        _env_file=None, state_dir=state, dbt_project_dir=project.dbt, playbooks_dir=project.folder / "playbooks"
    )
    (problem,) = find_problems(settings).problems
    return str(problem)


@pytest.mark.parametrize(
    ("ending", "old", "new", "told"),
    [
        ("sql", "ref('active_customers')", "ref('active_custmers')", ".sql:3: it reads the model 'active_custmers', which does not exist -> did you mean 'active_customers'?"),
        ("sql", "ref('active_customers')", "source('landing', 'custmers')", ".sql:3: it reads the source 'landing.custmers', which does not exist"),
        ("sql", "ref('active_customers') }}", "ref('active_customers') }", "dbt cannot read the template: unexpected '}'"),
        ("yml", "          lifecycle:", "        lifecycle:", ": not YAML: the indentation, a quote or a bracket near this line does not fit"),
        ("yml", "{% raw %}{{ event.entity_id }}: {{ event.reason }}{% endraw %}", "{{ event.entity_id }}", ".yml:23: dbt fills in {{ }} in YAML itself, and knows no 'event' -> put {% raw %} before"),
    ],
    ids=["unknown_model", "unknown_source", "open_template", "indentation", "template_without_raw"],
)  # fmt: skip
def test_a_refusal_says_where_and_what_to_do(
    project: Project, tmp_path: Path, ending: str, old: str, new: str, told: str
) -> None:
    # ruff: noqa: E501 - one case a line reads as the table that it is
    project.add_signal(NAME)
    try:
        change(project.sql(NAME).with_suffix(f".{ending}"), old, new)
        said = _told(project, tmp_path)
    finally:
        project.sql(NAME).unlink()
        project.yml(NAME).unlink()
    assert said.startswith(f"models/signals/planted/{NAME}.{ending}")
    assert told in said
    assert "dbt said: " in said
