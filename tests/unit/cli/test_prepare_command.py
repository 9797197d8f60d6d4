"""`loopctl prepare` on a real dbt project with mistakes in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from unit.cli.calling import Loopctl
from unit.contracts.spec_samples import SIGNAL_YML

from dagster_project.contracts.catalog import CatalogRefused
from dagster_project.prepare import current_catalog, prepare_if_stale
from dagster_project.settings import PROJECT_ROOT, settings

SQL = """\
select
  cast('i1' as text) as entity_id, cast('low' as text) as severity, cast(null as double precision) as score,
  cast('late' as text) as reason, cast('2026-11-24 00:00:00+00' as timestamptz) as observed_at
"""


def told(output: str) -> str:
    return " ".join(output.split())


@pytest.fixture
def signals(environment: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of the signals in a copy of the project."""
    project = tmp_path / "project"
    left_out = shutil.ignore_patterns("target", "logs", "dbt_packages")
    shutil.copytree(PROJECT_ROOT / "dbt_signals", project, ignore=left_out)
    environment.setenv("LOOP_DBT_PROJECT_DIR", str(project))
    return project / "models" / "signals"


def add(signals: Path, name: str, yml: str | None = SIGNAL_YML, sql: str = SQL) -> None:
    folder = signals / "finance"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.sql").write_text(sql, encoding="utf-8")
    if yml is not None:
        (folder / f"{name}.yml").write_text(yml.replace("invoice_overdue", name), encoding="utf-8")


def test_broken_signals_are_named_and_the_others_stay(loopctl: Loopctl, signals: Path) -> None:
    add(signals, "invoice_overdue")
    add(signals, "misspelt", SIGNAL_YML.replace("fresh_within", "fresh_witin"))
    add(signals, "a_view", SIGNAL_YML.replace("    config:\n", "    config:\n      materialized: view\n"))
    add(signals, "without_yaml", None)
    add(signals, "without_column", SIGNAL_YML.replace("      - {name: score, data_type: double precision}\n", ""))
    result = loopctl("prepare")
    assert result.exit_code == 1, result.output
    output = told(result.output)
    assert "catalog: 4 signals: customer_churn_risk, deal_won, invoice_overdue, product_low_stock" in output
    for part in (
        "quarantined: a_view models/signals/finance/a_view.yml:5: config.materialized: a signal is materialized as a",
        "models/signals/finance/misspelt.yml:9: fresh_witin: unknown key 'fresh_witin' -> did you mean 'fresh_within'?",
        "models/signals/finance/without_column.yml:12: columns: the column 'score' is missing",
        "models/signals/finance/without_yaml.sql: this signal has no YAML file -> add without_yaml.yml beside it",
    ):
        assert part in output
    status = loopctl("status")
    assert status.exit_code == 1
    assert "quarantined: misspelt" in status.output


def test_a_project_that_dbt_cannot_parse_leaves_the_catalog_as_it_was(loopctl: Loopctl, signals: Path) -> None:
    assert loopctl("prepare").exit_code == 0
    before = settings().catalog_file.read_bytes()
    add(signals, "invoice_overdue", sql="select * from {{ ref('invoices_of_yesterday') }}")
    result = loopctl("prepare")
    assert result.exit_code == 1
    assert "dbt could not parse project; the catalog was left as it was and nothing was sent" in told(result.output)
    assert "invoices_of_yesterday" in result.output
    assert settings().catalog_file.read_bytes() == before
    with pytest.raises(CatalogRefused, match="stale"):
        current_catalog(settings())


def test_an_unreadable_catalog_is_made_anew(loopctl: Loopctl, signals: Path) -> None:
    assert loopctl("prepare").exit_code == 0
    settings().catalog_file.write_text("{", encoding="utf-8")
    assert set(prepare_if_stale(settings()).signals) == {"customer_churn_risk", "deal_won", "product_low_stock"}
    assert current_catalog(settings()).quarantined == {}
