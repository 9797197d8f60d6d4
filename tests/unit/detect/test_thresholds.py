"""The repository's thresholds, and which signal each of them decides on."""

from __future__ import annotations

from pathlib import Path

from unit.contracts.prepared_project import prepared_project

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
