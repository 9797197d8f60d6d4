"""The repository's thresholds, and which signal each of them decides on."""

from __future__ import annotations

from pathlib import Path

from unit.contracts.prepared_project import prepared_project

from dagster_project.detect.manifest import vars_read
from dagster_project.detect.thresholds import read_thresholds


def test_vars_of_everywhere_and_of_this_project_are_thresholds_and_places_are_not(tmp_path: Path) -> None:
    text = "name: shop\nvars:\n  landing_schema: raw\n  limit: 3\n  shop: {limit: 4, word: x}\n  other: {limit: 9}\n"
    (tmp_path / "dbt_project.yml").write_text(text)
    assert read_thresholds(tmp_path) == {"limit": 4, "word": "x"}
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    assert read_thresholds(tmp_path) == {}


def test_a_threshold_decides_on_the_signals_that_are_made_from_what_reads_it() -> None:
    catalog = prepared_project().catalog
    assert catalog.thresholds["churn_threshold"] == 0.85
    assert "landing_schema" not in catalog.thresholds
    assert catalog.readers_of("churn_threshold") == ["customer_churn_risk"]
    assert catalog.readers_of("assumed_lead_time_days") == ["product_low_stock"], "read above the signal only"
    assert catalog.readers_of("default_currency") == ["deal_won", "product_low_stock"]
    assert catalog.readers_of("no_such_threshold") == []


def test_every_unit_test_says_which_thresholds_it_is_about() -> None:
    """One that relied on the repository's value would fail, and hold every build, once another is in force."""
    manifest, thresholds = prepared_project().manifest(), set(prepared_project().catalog.thresholds)
    unit_tests = manifest["unit_tests"].values()
    assert unit_tests
    for one in unit_tests:
        read = vars_read([node for node in one["depends_on"]["nodes"] if node.startswith("model.")], manifest)
        pinned = set((one.get("overrides") or {}).get("vars") or {})
        assert read & thresholds <= pinned, f"{one['name']} does not say {sorted(read & thresholds - pinned)}"
