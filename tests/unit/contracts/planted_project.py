"""A project of one signal and one playbook, made of two texts, to plant mistakes into."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from unit.contracts.prepared_project import prepared_project, settings_of
from unit.contracts.spec_samples import PLAYBOOK_YAML, SIGNAL_YML

from dagster_project.contracts.catalog import Catalog, Problem
from dagster_project.prepare import compile_catalog
from dagster_project.settings import PROJECT_ROOT

FOLDER = "models/signals/finance"


def node_of(model: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A model as dbt's manifest has it under the shipped project's folder settings."""
    name, config = model["name"], model.get("config") or {}
    return {
        "resource_type": "model",
        "name": name,
        "unique_id": f"model.signal_loop.{name}",
        "fqn": ["signal_loop", "signals", "finance", name],
        "relation_name": f'"warehouse"."analytics"."{name}"',
        "description": model.get("description", ""),
        "original_file_path": f"{FOLDER}/{name}.sql",
        "patch_path": f"signal_loop://{FOLDER}/{name}.yml",
        "config": {"materialized": "table", "contract": {"enforced": True}, "meta": {}, **config},
        "columns": {column["name"]: column for column in model.get("columns") or []},
        "depends_on": {"nodes": []},
        **changes,
    }


def compiled(folder: Path, playbooks: Mapping[str, str | bytes], *signals: str, **node_changes: Any) -> Catalog:
    """The catalog of signals, each the text of its YAML, beside the shipped project's other models."""
    manifest = prepared_project().manifest()
    nodes = {key: node for key, node in manifest["nodes"].items() if "signals" not in node["fqn"][:-1]}
    (folder / FOLDER).mkdir(parents=True)
    (folder / "playbooks").mkdir()
    shutil.copy(PROJECT_ROOT / "dbt_signals" / "dbt_project.yml", folder)
    for text in signals:
        (model,) = yaml.safe_load(text)["models"]
        (folder / FOLDER / f"{model['name']}.yml").write_text(text, encoding="utf-8")
        node = node_of(model, **node_changes)
        nodes[node["unique_id"]] = node
    for name, content in playbooks.items():
        file = folder / "playbooks" / f"{name}.yaml"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    settings = settings_of(folder / "state", dbt_project_dir=folder, playbooks_dir=folder / "playbooks")
    return compile_catalog({**manifest, "nodes": nodes}, settings)


def signal_using(playbook: str, **changes: Any) -> str:
    """The sample signal, answered by another playbook, with changes to its spec and columns."""
    content = yaml.safe_load(SIGNAL_YML)
    (model,) = content["models"]
    model["columns"] += changes.pop("columns", [])
    model["config"]["meta"]["signal"] |= {"playbook": playbook, **changes}
    return yaml.safe_dump(content, sort_keys=False)


def problems_of_playbook(folder: Path, text: str | bytes, **spec: Any) -> tuple[Problem, ...]:
    """What keeps the sample signal from being used with this text as its playbook; empty where nothing does."""
    catalog = compiled(folder, {"nudge": text}, signal_using("nudge", **spec))
    if "invoice_overdue" in catalog.signals:
        return ()
    return catalog.quarantined["invoice_overdue"].problems


def problems_of_signal(folder: Path, text: str, **node_changes: Any) -> tuple[Problem, ...]:
    """What keeps a signal with this YAML from being used; empty where nothing does."""
    catalog = compiled(folder, {"notify_owner": PLAYBOOK_YAML.replace("nudge", "notify_owner")}, text, **node_changes)
    if catalog.signals:
        return ()
    (found,) = catalog.quarantined.values()
    return found.problems
