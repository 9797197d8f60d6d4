"""Checks every signal and playbook and tells all that is wrong at once, without touching what is in use."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from dagster_project.contracts.catalog import Catalog, Problem
from dagster_project.contracts.playbook import Playbook
from dagster_project.contracts.signal import NAME_PATTERN, SignalSpec
from dagster_project.detect.dbt_refusals import circles, problems_in_words
from dagster_project.ledger.criteria import CriteriaRefused, checked, values_in_force, words_for
from dagster_project.ledger.database import open_database
from dagster_project.prepare import DbtCommand, compile_catalog
from dagster_project.respond.playbook_files import read_playbooks
from dagster_project.settings import Settings


@dataclass(frozen=True)
class ValidationReport:
    signals: int
    playbooks: int
    problems: tuple[Problem, ...]
    catalog: Catalog | None = None  # what was compiled; None where dbt could not parse


def find_problems(settings: Settings) -> ValidationReport:
    """Every problem of every signal and playbook. The catalog and the manifest in use stay as they are."""
    playbooks = read_playbooks(settings.playbooks_dir)
    found = {problem for problems in playbooks.problems.values() for problem in problems}
    with tempfile.TemporaryDirectory() as folder:
        apart = settings.model_copy(update={"state_dir": Path(folder), "duckdb_path": settings.duckdb_file})
        values = _in_force(settings)
        parsed = DbtCommand(apart).run("parse", "--quiet", *words_for(values))
        if parsed.returncode != 0:
            found |= set(problems_in_words(parsed.stdout + parsed.stderr, settings.dbt_project_dir))
            return _report(None, len(playbooks.playbooks) + len(playbooks.problems), found)
        manifest = json.loads(apart.manifest_file.read_text(encoding="utf-8"))
        found |= set(circles(manifest))
        catalog = compile_catalog(manifest, apart)
        found |= set(_unfit(values, catalog.thresholds))
    found |= {problem for quarantined in catalog.quarantined.values() for problem in quarantined.problems}
    return _report(catalog, len(playbooks.playbooks) + len(playbooks.problems), found)


def _in_force(settings: Settings) -> dict[str, Any]:
    """The thresholds that hold instead of the repository's. A ledger that does not exist yet is not made for it."""
    url = make_url(settings.ledger_address)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return {}
    database = open_database(settings.ledger_address)
    try:
        return values_in_force(database)
    finally:
        database.close()


def _unfit(values: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Problem]:
    """Versions in force that the repository has no threshold of that kind for any more."""
    for name, value in values.items():
        try:
            checked(name, value, thresholds)
        except CriteriaRefused:
            message = f"{name} = {value!r} is in force, and the repository has {thresholds.get(name)!r} there"
            remedy = f"`loopctl criteria rollback {name} --why ...`, or put the var back"
            yield Problem(file="dbt_project.yml", key=f"vars.{name}", message=message, remedy=remedy)


def _report(catalog: Catalog | None, playbooks: int, found: set[Problem]) -> ValidationReport:
    signals = len(catalog.signals) + len(catalog.quarantined) if catalog else 0
    ordered = sorted(found, key=lambda problem: (problem.file, problem.line or 0, problem.key))
    return ValidationReport(signals, playbooks, tuple(ordered), catalog)


def write_schemas(folder: Path) -> list[Path]:
    """JSON Schemas of a signal's YAML file and of a playbook, for editors that complete and check as one writes."""
    folder.mkdir(parents=True, exist_ok=True)
    schemas = {"signal": _signal_file_schema(), "playbook": Playbook.model_json_schema(by_alias=True)}
    files = []
    for name, schema in schemas.items():
        file = folder / f"{name}.schema.json"
        whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        file.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
        files.append(file)
    return files


def _signal_file_schema() -> dict[str, Any]:
    """The whole file, because that is what an editor holds against a schema; dbt's own keys are left to dbt."""
    spec = SignalSpec.model_json_schema(by_alias=True)
    parts = {**spec.pop("$defs", {}), "SignalSpec": spec}
    text = {"type": "string"}
    column = _object(("name", "data_type"), name=text, data_type=text, description=text)
    meta = _object(("signal",), signal={"$ref": "#/$defs/SignalSpec"})
    model = _object(
        ("name", "config", "columns"),
        name={**text, "pattern": NAME_PATTERN},
        description=text,
        config=_object(("meta",), meta=meta),
        columns={"type": "array", "items": column},
    )
    return {**_object(("models",), models={"type": "array", "items": model}), "title": "A signal", "$defs": parts}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}
