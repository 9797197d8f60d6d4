"""Compiles a signal under other thresholds, with the models above that they change taken into the same query."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.detect.manifest import upstream_of, vars_read
from dagster_project.ledger.criteria import words_for
from dagster_project.prepare import DbtCommand
from dagster_project.settings import Settings

ONE_AT_A_TIME_SECONDS = 120


class PreviewFailed(Exception):
    """The preview could not be made; nothing was written and nothing was sent."""


def selecting_sql(settings: Settings, signal: CatalogSignal, values: Mapping[str, Any]) -> str:
    """A query for the rows that the signal's table would have.

    A model above the signal that reads one of the thresholds, or is made from one that does, is not read as it was last
    built but computed anew inside the query, so that what a threshold changes further up is seen too.
    Parameters: the settings; the signal; the thresholds that are not the repository's. Raises PreviewFailed.
    """
    folder = settings.state_dir / "preview"  # of its own: the manifest in use and dbt's cache stay as they are
    apart = settings.model_copy(update={"state_dir": folder, "duckdb_path": settings.duckdb_file})
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder / "lock"), timeout=ONE_AT_A_TIME_SECONDS):
        done = DbtCommand(apart).run("compile", "--quiet", "--select", f"+{signal.name}", *words_for(values))
        if done.returncode != 0:
            raise PreviewFailed(f"dbt could not compile {signal.name}: {(done.stdout + done.stderr).strip()}")
        manifest = json.loads(apart.manifest_file.read_text(encoding="utf-8"))
        return _with_changed_models(manifest, signal, values, apart.dbt_target_dir / "compiled")


def _with_changed_models(
    manifest: Mapping[str, Any], signal: CatalogSignal, values: Mapping[str, Any], compiled: Path
) -> str:
    changed = list(_changed_models(manifest, signal.unique_id, set(values)))
    names = {node["relation_name"]: f"changed_{number}" for number, node in enumerate(changed, start=1)}
    parts = [
        f"{names[node['relation_name']]} as (\n{_renamed(_compiled(compiled, node['original_file_path']), names)}\n)"
        for node in changed
    ]
    columns, sql = ", ".join(signal.columns), _renamed(_compiled(compiled, signal.sql_file), names)
    head = f"with {', '.join(parts)}\n" if parts else ""
    return f"{head}select {columns} from (\n{sql}\n) as flagged"


def _changed_models(manifest: Mapping[str, Any], unique_id: str, names: set[str]) -> Iterator[Mapping[str, Any]]:
    """The models above a signal that these vars change, each after those that it is made from.

    An ephemeral model stands in the SQL of those that use it already.
    """
    above = upstream_of(manifest["nodes"][unique_id], manifest)
    models = {key: manifest["nodes"][key] for key in above if key.startswith("model.")}
    touched = {key for key, node in models.items() if vars_read([key, *upstream_of(node, manifest)], manifest) & names}
    for key in sorted(touched, key=lambda one: (len(upstream_of(models[one], manifest)), one)):
        if models[key]["config"]["materialized"] != "ephemeral":
            yield models[key]


def _renamed(sql: str, names: Mapping[str, str]) -> str:
    for relation, name in names.items():
        sql = sql.replace(relation, name)
    return sql


def _compiled(folder: Path, file: str) -> str:
    found = list(folder.glob(f"*/{file}"))
    if not found:
        raise PreviewFailed(f"dbt compiled nothing for {file}; is it enabled?")
    return found[0].read_text(encoding="utf-8").strip().rstrip(";")
