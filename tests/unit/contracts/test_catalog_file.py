"""The compiled catalog: refused unless it fits what it was made from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from unit.contracts.prepared_project import prepared_project, settings_of

from dagster_project.contracts.catalog import Catalog, CatalogRefused, Problem, Quarantined, load_catalog, masked
from dagster_project.contracts.sources import hash_sources, source_files
from dagster_project.prepare import current_catalog, prepare_if_stale, sources_hash
from dagster_project.settings import PROJECT_ROOT, Settings

RENEWED_BY = "`loopctl prepare`"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return prepared_project().catalog


@pytest.fixture
def written(tmp_path: Path, catalog: Catalog) -> Path:
    file = tmp_path / "catalog.json"
    file.write_text(catalog.model_dump_json(by_alias=True), encoding="utf-8")
    return file


def test_a_catalog_that_fits_comes_back_as_it_was(written: Path, catalog: Catalog) -> None:
    again = load_catalog(written, catalog.sources_hash)
    assert again == catalog
    for name, signal in catalog.signals.items():
        assert again.signals[name].version.content_hash() == signal.version.content_hash()


def test_a_stale_one_is_refused_with_the_command_that_renews_it(written: Path) -> None:
    with pytest.raises(CatalogRefused, match=f"stale.*Nothing was sent.*{RENEWED_BY}"):
        load_catalog(written, "another hash")


def test_a_missing_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogRefused, match=f"no catalog.*Make it with {RENEWED_BY}"):
        load_catalog(tmp_path / "catalog.json", "x")


def test_one_of_another_format_is_refused(written: Path, catalog: Catalog) -> None:
    other = catalog.model_copy(update={"format": 99})
    written.write_text(other.model_dump_json(by_alias=True), encoding="utf-8")
    with pytest.raises(CatalogRefused, match=f"format 99, this code reads 2.*{RENEWED_BY}"):
        load_catalog(written, catalog.sources_hash)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"format": 1}'])
def test_an_unreadable_one_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "catalog.json"
    file.write_bytes(content)
    with pytest.raises(CatalogRefused, match=f"cannot be read.*{RENEWED_BY}"):
        load_catalog(file, "x")


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogRefused, match="cannot be read"):
        load_catalog(tmp_path, "x")


def test_an_unknown_signal_is_told_which_there_are(catalog: Catalog) -> None:
    with pytest.raises(KeyError, match=r"no signal 'deal_lost'.*customer_churn_risk, deal_won, product_low_stock"):
        catalog.signal("deal_lost")


def test_a_quarantined_signal_is_told_why(catalog: Catalog) -> None:
    broken = Quarantined(name="deal_lost", problems=(Problem(file="deal_lost.yml", line=3, message="no owner"),))
    with pytest.raises(KeyError, match=r"quarantined: deal_lost.yml:3: no owner"):
        catalog.model_copy(update={"quarantined": {"deal_lost": broken}}).signal("deal_lost")


def test_personal_columns_are_masked_and_nothing_else() -> None:
    row = {"name": "Ada", "phone": None, "plan": "gold"}
    assert masked(row, frozenset({"name", "phone"})) == {"name": "•••", "phone": None, "plan": "gold"}


# --- the fingerprint


@pytest.fixture
def sources(tmp_path: Path) -> Settings:
    """A copy of the sources, to change."""
    shutil.copytree(
        PROJECT_ROOT / "dbt_signals",
        tmp_path / "dbt_signals",
        ignore=shutil.ignore_patterns("target", "logs", "dbt_packages"),
    )
    shutil.copytree(PROJECT_ROOT / "dagster_project/respond/playbooks", tmp_path / "playbooks")
    return settings_of(
        tmp_path / "state", dbt_project_dir=tmp_path / "dbt_signals", playbooks_dir=tmp_path / "playbooks"
    )


def test_every_source_file_counts(sources: Settings) -> None:
    files = source_files(sources.dbt_project_dir, sources.playbooks_dir)
    assert {file.suffix for file in files.values()} >= {".sql", ".yml", ".yaml", ".csv"}
    before = hash_sources(files, [])
    for file in files.values():
        content = file.read_bytes()
        file.write_bytes(content + b"\n# changed")
        assert hash_sources(files, []) != before, file
        file.write_bytes(content)
    assert hash_sources(files, []) == before


@pytest.mark.parametrize(
    "new_file",
    ["dbt_signals/models/signals/sales/deal_lost.sql", "dbt_signals/macros/new.sql", "dbt_signals/seeds/new.csv",
     "playbooks/new.yaml", "dbt_signals/tests/every_deal_has_a_value.sql"],
)  # fmt: skip
def test_a_new_file_changes_the_hash(sources: Settings, new_file: str) -> None:
    before = sources_hash(sources)
    (sources.dbt_project_dir.parent / new_file).write_text("select 1")
    assert sources_hash(sources) != before


def test_a_file_that_goes_or_moves_changes_the_hash(sources: Settings) -> None:
    signals = sources.dbt_project_dir / "models/signals"
    before = sources_hash(sources)
    (signals / "aside").mkdir()
    (signals / "sales/deal_won.sql").rename(signals / "aside/deal_won.sql")
    moved = sources_hash(sources)
    (signals / "aside/deal_won.sql").unlink()
    assert len({before, moved, sources_hash(sources)}) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"warehouse": "postgres"},
        {"warehouse_schema": "other"},
        {"duckdb_path": Path("elsewhere.duckdb")},
        {"postgres_database": "other"},
        {"bindings": {"chat": "slack"}},
    ],
)
def test_what_else_shapes_the_catalog_counts(sources: Settings, change: dict[str, object]) -> None:
    assert sources_hash(sources.model_copy(update=change)) != sources_hash(sources)


def test_the_same_sources_in_another_folder_have_the_same_hash(sources: Settings) -> None:
    files = source_files(sources.dbt_project_dir, sources.playbooks_dir)
    shipped = source_files(PROJECT_ROOT / "dbt_signals", PROJECT_ROOT / "dagster_project/respond/playbooks")
    assert hash_sources(files, ["x"]) == hash_sources(shipped, ["x"])


def test_the_prepared_catalog_is_current_until_a_setting_changes() -> None:
    settings = prepared_project().settings
    assert current_catalog(settings) == prepared_project().catalog
    with pytest.raises(CatalogRefused, match="stale"):
        current_catalog(settings.model_copy(update={"warehouse_schema": "other"}))


def test_a_catalog_that_fits_is_not_made_anew() -> None:
    settings = prepared_project().settings
    before = settings.catalog_file.stat().st_mtime_ns
    assert prepare_if_stale(settings) == prepared_project().catalog
    assert settings.catalog_file.stat().st_mtime_ns == before
