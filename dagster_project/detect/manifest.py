"""Reads the signals out of dbt's manifest: each one whole and checked, or quarantined with its problems."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dagster_project.contracts.catalog import CaptureRelations, CatalogModel, Column, Problem
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.validation import line_of, problems_of

# The contract every signal has, by kind of type; dialects name the types differently.
CONTRACT_COLUMNS: dict[str, tuple[str, ...]] = {
    "entity_id": ("text", "varchar", "string", "character varying"),
    "severity": ("text", "varchar", "string", "character varying"),
    "score": ("double precision", "double", "float", "float8", "float64", "numeric", "decimal"),
    "reason": ("text", "varchar", "string", "character varying"),
    "observed_at": ("timestamptz", "timestamp with time zone", "timestamp_tz", "timestamp_ltz"),
}
# A moment that does not say its zone is another moment in another session; whoever reads the table would have to guess.
CASTS = {
    "observed_at": "write {{ utc_moment('loaded_at') }} as observed_at in the SQL, so that the moment says its zone"
}
VAR = re.compile(r"""\bvar\(\s*["']([^"']+)["']""")


@dataclass(frozen=True)
class SignalDraft:
    """A signal as its two files say it, before its playbook is looked at."""

    name: str
    unique_id: str
    relation: str
    description: str
    columns: dict[str, Column]
    spec: SignalSpec
    sources: tuple[str, ...]
    tests: tuple[str, ...]
    sql_file: str
    yml_file: str
    yml_text: str
    spec_path: tuple[str | int, ...]  # where the signal's spec stands in its YAML
    reads: tuple[str, ...] = ()  # dbt vars that its SQL, or the SQL of anything above it, reads

    def problem(self, key: str, message: str, remedy: str = "") -> Problem:
        line = line_of(self.yml_text, [*self.spec_path, *key.split(".")])
        return Problem(file=self.yml_file, line=line, key=key, message=message, remedy=remedy)


@dataclass(frozen=True)
class ManifestSignals:
    drafts: dict[str, SignalDraft]
    quarantined: dict[str, tuple[Problem, ...]]


def is_signal(node: Mapping[str, Any]) -> bool:
    return node["resource_type"] == "model" and "signals" in node["fqn"][:-1]


def read_signals(manifest: Mapping[str, Any], dbt_project_dir: Path) -> ManifestSignals:
    """Every model of the signals folder, as a draft or quarantined.

    Parameters: dbt's manifest as parsed JSON; the dbt project's folder, for the lines of problems.
    """
    drafts: dict[str, SignalDraft] = {}
    quarantined: dict[str, tuple[Problem, ...]] = {}
    for node in sorted((n for n in manifest["nodes"].values() if is_signal(n)), key=lambda n: n["name"]):
        result = _read_signal(node, manifest, dbt_project_dir)
        if isinstance(result, SignalDraft):
            drafts[node["name"]] = result
        else:
            quarantined[node["name"]] = tuple(result)
    return ManifestSignals(drafts=drafts, quarantined=quarantined)


def _read_signal(
    node: Mapping[str, Any], manifest: Mapping[str, Any], dbt_project_dir: Path
) -> SignalDraft | list[Problem]:
    yml_file = (node.get("patch_path") or "").partition("://")[2]
    sql_file = node["original_file_path"]
    if not yml_file:
        return [
            Problem(file=sql_file, message="this signal has no YAML file", remedy=f"add {node['name']}.yml beside it")
        ]
    text = (dbt_project_dir / yml_file).read_text(encoding="utf-8")
    spec_path: tuple[str | int, ...] = ("models", node["name"], "config", "meta", "signal")
    problems = _contract_problems(node, yml_file, text, dbt_project_dir)
    meta = node["config"].get("meta", {}).get("signal")
    if not isinstance(meta, dict):
        line = line_of(text, spec_path)
        message = "config.meta.signal is missing"
        return [
            *problems,
            Problem(file=yml_file, line=line, message=message, remedy="say entity, owner, playbook and SLAs there"),
        ]
    try:
        spec = SignalSpec.model_validate(meta)
    except ValidationError as error:
        return [*problems, *problems_of(error, SignalSpec, yml_file, text, spec_path)]
    if problems:
        return problems
    draft = SignalDraft(
        name=node["name"],
        unique_id=node["unique_id"],
        relation=node["relation_name"],
        description=node.get("description", ""),
        columns=columns_of(node),
        spec=spec,
        sources=tuple(sorted(_dated_sources(node, manifest))),
        tests=tuple(sorted(_error_tests(node, manifest))),
        sql_file=sql_file,
        yml_file=yml_file,
        yml_text=text,
        spec_path=spec_path,
        reads=tuple(sorted(vars_read([node["unique_id"], *upstream_of(node, manifest)], manifest))),
    )
    return _population_problems(draft, node, manifest) or draft


def _contract_problems(node: Mapping[str, Any], yml_file: str, text: str, dbt_project_dir: Path) -> list[Problem]:
    def problem(key: list[str | int], message: str, remedy: str) -> Problem:
        line = line_of(text, ["models", node["name"], *key])
        return Problem(file=yml_file, line=line, key=".".join(map(str, key)), message=message, remedy=remedy)

    problems = []
    if node["config"]["materialized"] != "table":
        problems.append(_not_a_table(node, yml_file, text, dbt_project_dir))
    if not node["config"].get("contract", {}).get("enforced"):
        problems.append(problem(["config", "contract"], "the dbt contract is not enforced", "leave it to the folder"))
    columns = {name.lower(): column for name, column in node["columns"].items()}
    for name, types in CONTRACT_COLUMNS.items():
        declared = (columns.get(name, {}).get("data_type") or "").lower().partition("(")[0].strip()
        if name not in columns:
            problems.append(
                problem(["columns"], f"the column {name!r} is missing", f"add it with data_type: {types[0]}")
            )
        elif declared not in types:
            wanted = f"data_type {declared or '(none)'!r} where {types[0]!r} is needed"
            remedy = f"set data_type: {types[0]} and {CASTS.get(name, 'cast in the SQL')}"
            problems.append(problem(["columns", name], wanted, remedy))
    return problems


def _not_a_table(node: Mapping[str, Any], yml_file: str, text: str, dbt_project_dir: Path) -> Problem:
    """Told where it is said: in the SQL's own config(...), or else in the YAML."""
    sql_file, key = node["original_file_path"], "config.materialized"
    sql = dbt_project_dir / sql_file
    lines = sql.read_text(encoding="utf-8").splitlines() if sql.exists() else []
    in_sql = next((number for number, line in enumerate(lines, start=1) if "materialized" in line), None)
    return Problem(
        file=sql_file if in_sql else yml_file,
        line=in_sql or line_of(text, ["models", node["name"], *key.split(".")]),
        key=key,
        message=f"a signal is materialized as a table, not as {node['config']['materialized']}",
        remedy="leave `materialized` out; the folder sets it",
    )


def _population_problems(draft: SignalDraft, node: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[Problem]:
    """The capture counts the population by the same rule, and refuses the build where it finds none."""
    name = draft.spec.population
    if name is None or name in _upstream_names(node, manifest):
        return []
    fitting = _names_of(manifest["nodes"].values()) | _names_of(manifest["sources"].values())
    if name in fitting:
        remedy = f"put `-- depends_on: {{{{ ref('{name}') }}}}` into {draft.sql_file}, so that it is built first"
        return [draft.problem("population", f"this signal is not made from {name!r}", remedy)]
    close = difflib.get_close_matches(name, fitting, n=1)
    remedy = (f"did you mean {close[0]!r}? " if close else "") + "name a model or source that the SQL reads"
    return [draft.problem("population", f"there is no model or source {name!r}", remedy)]


def _names_of(nodes: Iterable[Mapping[str, Any]]) -> set[str]:
    """The names by which a population may call these models, seeds, snapshots and sources."""
    names: set[str] = set()
    for node in nodes:
        if node["resource_type"] == "source":
            names |= {node["name"], f"{node['source_name']}.{node['name']}", node["unique_id"]}
        elif node["resource_type"] in ("model", "seed", "snapshot"):
            names |= {node["name"], node["unique_id"]}
    return names


def _upstream_names(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> set[str]:
    everything = {**manifest["nodes"], **manifest["sources"]}
    return _names_of(everything[unique_id] for unique_id in upstream_of(node, manifest) if unique_id in everything)


def columns_of(node: Mapping[str, Any]) -> dict[str, Column]:
    return {
        name.lower(): Column(
            type=(column.get("data_type") or "").lower(),
            description=column.get("description", ""),
            is_pii=bool((column.get("config", {}).get("meta") or column.get("meta") or {}).get("pii", False)),
        )
        for name, column in node["columns"].items()
    }


def _dated_sources(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> set[str]:
    """The sources above a node that say when they were loaded; the capture judges staleness by exactly these."""
    sources = [manifest["sources"][key] for key in upstream_of(node, manifest) if key.startswith("source.")]
    return {f"{source['source_name']}.{source['name']}" for source in sources if source.get("loaded_at_field")}


def upstream_of(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> set[str]:
    """The unique ids of all that a node is made from, however far up."""
    waiting, seen = list(node["depends_on"]["nodes"]), set()
    while waiting:
        unique_id = waiting.pop()
        if unique_id not in seen:
            seen.add(unique_id)
            waiting.extend(manifest["nodes"].get(unique_id, {}).get("depends_on", {}).get("nodes", []))
    return seen


def vars_read(unique_ids: Iterable[str], manifest: Mapping[str, Any]) -> set[str]:
    """The dbt vars that the SQL of these nodes reads, as the capture finds them for the criteria version."""
    nodes = (manifest["nodes"].get(unique_id, {}) for unique_id in unique_ids)
    return {name for node in nodes for name in VAR.findall(node.get("raw_code") or "")}


def _error_tests(node: Mapping[str, Any], manifest: Mapping[str, Any]) -> set[str]:
    return {
        test["unique_id"]
        for test in manifest["nodes"].values()
        if test["resource_type"] == "test"
        and node["unique_id"] in test["depends_on"]["nodes"]
        and test["config"].get("severity", "ERROR").upper() == "ERROR"
    }


def read_models(manifest: Mapping[str, Any]) -> dict[str, CatalogModel]:
    """Every model of the project by name, for enrichment to read."""
    return {
        node["name"]: CatalogModel(name=node["name"], relation=node["relation_name"], columns=columns_of(node))
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and not is_signal(node)
    }


def capture_relations(manifest: Mapping[str, Any]) -> CaptureRelations:
    """Where the capture writes: the target's own schema, which any unprefixed model's relation names."""
    node = next(n for n in manifest["nodes"].values() if n["resource_type"] == "model")
    quoted = node["relation_name"].rpartition(".")[0]
    mark = node["relation_name"][-1] if node["relation_name"][-1] in '"`' else ""

    def relation(name: str) -> str:
        return f"{quoted}.{mark}{name}{mark}"

    return CaptureRelations(
        incarnation=relation("signal_incarnation"),
        builds=relation("signal_builds"),
        events=relation("signal_events"),
        state=relation("signal_state"),
    )
