"""Parses the dbt project and compiles the catalog of its manifest and the playbooks; quarantines what is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from dagster_project.contracts.catalog import (
    RENEW_COMMAND,
    Catalog,
    CatalogModel,
    CatalogRefused,
    CatalogSignal,
    Problem,
    Quarantined,
    load_catalog,
    read_catalog,
)
from dagster_project.contracts.playbook import PlaybookVersion
from dagster_project.contracts.sources import hash_sources, source_files
from dagster_project.detect.dbt_refusals import circles, problems_in_words
from dagster_project.detect.manifest import SignalDraft, capture_relations, read_models, read_signals
from dagster_project.detect.thresholds import NOT_GOVERNED, read_thresholds
from dagster_project.respond.bindings import bind_roles
from dagster_project.respond.personal_data import personal_steps
from dagster_project.respond.playbook_checks import Surroundings, check_playbook, settle_parameters
from dagster_project.respond.playbook_files import PlaybookFiles, read_playbooks
from dagster_project.settings import Settings


class PrepareFailed(Exception):
    """dbt could not parse the project; the catalog of before is left as it was."""


@dataclass(frozen=True)
class DbtCommand:
    """How dbt is called: the one that is installed beside this interpreter, in the project's folder."""

    settings: Settings

    @property
    def executable(self) -> str:
        return str(Path(sys.executable).parent / "dbt")

    def arguments(self, *words: str) -> list[str]:
        return [self.executable, *words, "--project-dir", str(self.settings.dbt_project_dir)]

    def run(self, *words: str, capture: bool = True) -> subprocess.CompletedProcess[str]:
        self.settings.state_dir.mkdir(parents=True, exist_ok=True)
        return subprocess.run(
            self.arguments(*words),
            env=self.settings.dbt_environment(),
            cwd=self.settings.dbt_project_dir,
            capture_output=capture,
            text=True,
            check=False,
        )


def sources_hash(settings: Settings) -> str:
    """The fingerprint of what the catalog is made from, as it lies on disk now."""
    files = source_files(settings.dbt_project_dir, settings.playbooks_dir)
    target = [settings.warehouse, settings.warehouse_schema, str(settings.duckdb_file), settings.postgres_database]
    return hash_sources(files, [*target, json.dumps(settings.bindings, sort_keys=True)])


def current_catalog(settings: Settings) -> Catalog:
    """The compiled catalog, if it is there and fits its sources. Raises CatalogRefused."""
    return load_catalog(settings.catalog_file, sources_hash(settings))


def last_catalog(settings: Settings) -> tuple[Catalog, str]:
    """The catalog that was compiled last, for whoever looks or stops and must not wait until somebody's SQL is mended.

    Returns it with a warning where its sources have left it behind, empty where it fits them. Raises CatalogRefused
    where there is none that can be read. What detects or acts takes `current_catalog`.
    """
    catalog = read_catalog(settings.catalog_file)
    if catalog.sources_hash == sources_hash(settings):
        return catalog, ""
    made_at = datetime.fromtimestamp(settings.catalog_file.stat().st_mtime, UTC)
    return catalog, (
        f"the catalog of {made_at:%Y-%m-%d %H:%M:%S} UTC is older than the project's files or settings; what is shown "
        f"and decided here goes by it. Nothing is detected or sent before `{RENEW_COMMAND}` has renewed it."
    )


def prepare(settings: Settings) -> Catalog:
    """Parses, compiles, writes the catalog, and returns it. Raises PrepareFailed."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(str(settings.state_dir / "prepare.lock")):
        parsed = DbtCommand(settings).run("parse", "--quiet")
        if parsed.returncode != 0:
            refused = problems_in_words(parsed.stdout + parsed.stderr, settings.dbt_project_dir)
            raise PrepareFailed(_refusal(settings, "could not parse", refused))
        manifest = json.loads(settings.manifest_file.read_text(encoding="utf-8"))
        if refused := circles(manifest):
            raise PrepareFailed(_refusal(settings, "cannot build", refused))
        catalog = compile_catalog(manifest, settings)
        scratch = settings.catalog_file.with_suffix(f".{os.getpid()}")
        scratch.write_text(catalog.model_dump_json(by_alias=True, indent=1), encoding="utf-8")
        scratch.replace(settings.catalog_file)
    return catalog


def _refusal(settings: Settings, verdict: str, problems: list[Problem]) -> str:
    """Why nothing at all can be prepared: dbt takes a project whole or not at all."""
    told = "\n".join(str(problem) for problem in problems)
    name = settings.dbt_project_dir.name
    return f"dbt {verdict} {name}; the catalog was left as it was and nothing was sent.\n{told}"


def prepare_if_stale(settings: Settings) -> Catalog:
    """The catalog, compiled anew only where it does not fit its sources any more."""
    if settings.manifest_file.exists():
        try:
            return current_catalog(settings)
        except CatalogRefused:
            pass  # missing, stale, or unreadable: all are mended by making it anew
    return prepare(settings)


def compile_catalog(manifest: Mapping[str, Any], settings: Settings) -> Catalog:
    """The catalog of a parsed project: every signal whole and checked, or quarantined with all of its problems."""
    found = read_signals(manifest, settings.dbt_project_dir)
    models = read_models(manifest)
    connectors = {role: binding.connector for role, binding in bind_roles(settings).items()}
    around = Surroundings(models=models, destinations=connectors)
    playbooks = read_playbooks(settings.playbooks_dir)
    signals: dict[str, CatalogSignal] = {}
    quarantined = {name: Quarantined(name=name, problems=problems) for name, problems in found.quarantined.items()}
    for name, draft in found.drafts.items():
        result = _with_playbook(draft, playbooks, around)
        if isinstance(result, CatalogSignal):
            signals[name] = result
        else:
            quarantined[name] = Quarantined(name=name, problems=tuple(result))
    return Catalog(
        sources_hash=sources_hash(settings),
        warehouse=settings.warehouse,
        capture=capture_relations(manifest),
        signals=signals,
        quarantined=quarantined,
        models=_models_used(signals, models),
        thresholds=read_thresholds(settings.dbt_project_dir),
    )


def _with_playbook(draft: SignalDraft, playbooks: PlaybookFiles, around: Surroundings) -> CatalogSignal | list[Problem]:
    name = draft.spec.playbook
    if name in playbooks.problems:
        return list(playbooks.problems[name])
    source = playbooks.playbooks.get(name)
    if source is None:
        known = ", ".join(sorted([*playbooks.playbooks, *playbooks.problems]))
        return [draft.problem("playbook", f"there is no playbook {name!r}", f"there are: {known}")]
    parameters, wrong = settle_parameters(source, draft.spec)
    version = PlaybookVersion(signal=draft.name, playbook=source.playbook, parameters=parameters)
    problems = [draft.problem(key, message, remedy) for key, message, remedy in wrong]
    problems += check_playbook(source, version, draft.columns, around, draft)
    if problems:
        return problems
    return CatalogSignal(
        name=draft.name,
        unique_id=draft.unique_id,
        relation=draft.relation,
        description=draft.description,
        columns=draft.columns,
        spec=draft.spec,
        version=version,
        sources=draft.sources,
        tests=draft.tests,
        sql_file=draft.sql_file,
        yml_file=draft.yml_file,
        personal_steps=personal_steps(version, draft.columns, around.models),
        reads=tuple(name for name in draft.reads if name not in NOT_GOVERNED),
    )


def _models_used(signals: Mapping[str, CatalogSignal], models: Mapping[str, CatalogModel]) -> dict[str, CatalogModel]:
    names = {e.model for signal in signals.values() for e in signal.version.playbook.enrich.values() if e.model}
    return {name: models[name] for name in sorted({*names, "do_not_contact"}) if name in models}
