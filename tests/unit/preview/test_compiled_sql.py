"""A query under other thresholds computes anew exactly those models that the thresholds change, each after its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from unit.contracts.prepared_project import prepared_project

from dagster_project.detect.manifest import upstream_of
from dagster_project.preview.compiled_sql import PreviewFailed, _changed_models, _with_changed_models

CHANGED = {
    ("product_low_stock", "assumed_lead_time_days"): ["product_stock_positions"],
    ("product_low_stock", "supplier_lead_time_limit_days"): ["product_preferred_suppliers", "product_stock_positions"],
    ("customer_churn_risk", "churn_threshold"): ["customer_churn_drivers"],
    ("customer_churn_risk", "churn_high"): [],
    ("deal_won", "churn_threshold"): [],
}


def compiled(folder: Path, manifest: dict) -> Path:  # type: ignore[type-arg]
    """What dbt would leave behind: each model's SQL, here a union of what it is made from."""
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model":
            above = [manifest["nodes"].get(one, {}).get("relation_name") for one in node["depends_on"]["nodes"]]
            file = folder / "signal_loop" / node["original_file_path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(" union all ".join(f"select * from {one}" for one in above if one) or "select 1;")
    return folder


@pytest.mark.parametrize(("signal", "threshold"), CHANGED)
def test_only_what_a_threshold_changes_is_computed_anew(signal: str, threshold: str, tmp_path: Path) -> None:
    project = prepared_project()
    manifest, known = project.manifest(), project.catalog.signals[signal]
    changed = list(_changed_models(manifest, known.unique_id, {threshold}))
    assert [node["name"] for node in changed] == CHANGED[signal, threshold]
    assert threshold in known.reads or not changed

    sql = _with_changed_models(manifest, known, {threshold: 1}, compiled(tmp_path, manifest))
    assert re.findall(r"(changed_\d+) as \(", sql) == [f"changed_{number + 1}" for number in range(len(changed))]
    for number, node in enumerate(changed, start=1):
        assert node["relation_name"] not in sql, "a changed model is not read as it was last built"
        made_from = upstream_of(node, manifest)
        later = [one["unique_id"] for one in changed[number:]]
        assert not made_from & set(later), "each stands after what it is made from"


def test_a_model_that_dbt_did_not_compile_is_told(tmp_path: Path) -> None:
    project = prepared_project()
    with pytest.raises(PreviewFailed, match="is it enabled"):
        _with_changed_models(project.manifest(), project.catalog.signals["deal_won"], {}, tmp_path)
