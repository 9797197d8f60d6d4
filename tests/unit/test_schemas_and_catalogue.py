"""What is committed for editors and readers is what the code says now, and it fits what is shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from unit.contracts.prepared_project import prepared_project

from dagster_project.catalogue import catalogue_page
from dagster_project.detect.scaffolding import write_signal
from dagster_project.settings import PROJECT_ROOT
from dagster_project.validate import write_schemas

SCHEMAS = PROJECT_ROOT / "schemas"
RENEW = "renew it with `loopctl validate --schemas schemas --catalogue docs/catalogue.md`"
SIGNALS = sorted((PROJECT_ROOT / "dbt_signals").glob("models/signals/*/*.yml"))
PLAYBOOKS = sorted((PROJECT_ROOT / "dagster_project/respond/playbooks").glob("*.yaml"))
COMMENT = "# yaml-language-server: $schema="


def test_the_schemas_are_those_of_the_code(tmp_path: Path) -> None:
    for file in write_schemas(tmp_path):
        assert (SCHEMAS / file.name).read_text(encoding="utf-8") == file.read_text(encoding="utf-8"), RENEW


def test_the_catalogue_is_that_of_the_signals() -> None:
    page = (PROJECT_ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert page == catalogue_page(prepared_project().catalog), RENEW


def _complaints(schema: str, content: Any) -> list[str]:
    validator = Draft202012Validator(json.loads((SCHEMAS / f"{schema}.schema.json").read_text(encoding="utf-8")))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(content)]


def _loaded(text: str) -> Any:
    """As an editor reads it: `on` is a word there, not YAML 1.1's true."""
    return yaml.safe_load(text.replace("    on: [", '    "on": ['))


@pytest.mark.parametrize("file", SIGNALS, ids=lambda file: file.stem)
def test_a_shipped_signal_fits_its_schema_and_names_it(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert _complaints("signal", _loaded(text)) == []
    named = text.splitlines()[0].removeprefix(COMMENT)
    assert (file.parent / named).resolve() == SCHEMAS / "signal.schema.json"


@pytest.mark.parametrize("file", PLAYBOOKS, ids=lambda file: file.stem)
def test_a_shipped_playbook_fits_its_schema(file: Path) -> None:
    assert _complaints("playbook", _loaded(file.read_text(encoding="utf-8"))) == []


def test_a_new_signal_fits_its_schema_and_a_misspelt_key_does_not(tmp_path: Path) -> None:
    _, yml = write_signal(tmp_path, "invoice_overdue", "finance", "invoice", "open_invoices")
    text = yml.read_text(encoding="utf-8")
    assert text.startswith(COMMENT)
    assert _complaints("signal", _loaded(text)) == []
    misspelt = _complaints("signal", _loaded(text.replace("fresh_within", "fresh_witin")))
    assert any("fresh_witin" in complaint for complaint in misspelt)
    assert _complaints("signal", _loaded(text.replace("{hours: 26}", "{hours: many}")))
