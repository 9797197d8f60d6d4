"""The dbt project as Dagster assets, with the owners, tags and freshness that the signals' own YAML gives them."""

# Dagster reads the annotations of ops at definition, so they are not postponed here.

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster import AssetExecutionContext, AssetsDefinition, AssetSpec, FreshnessPolicy
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, DbtProject, dbt_assets

from dagster_project.contracts.catalog import Catalog
from dagster_project.settings import Settings

WRITES_POOL = "warehouse_writes"  # one dbt build at a time: a DuckDB file has one writing process


class SignalTranslator(DagsterDbtTranslator):
    """dbt's resources as they are, signals enriched with what the catalog says of them."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(settings=DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))
        self._by_id = {signal.unique_id: signal for signal in catalog.signals.values()}

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        signal = self._by_id.get(unique_id)
        if signal is None:
            return spec
        owner = signal.spec.owner
        return spec.replace_attributes(
            owners=[owner] if owner.startswith("team:") or "@" in owner else [],
            tags={**spec.tags, **dict.fromkeys(signal.spec.classification, ""), "signal": ""},
            freshness_policy=FreshnessPolicy.time_window(fail_window=signal.spec.fresh_within.as_timedelta()),
        )


def dbt_resource(settings: Settings) -> DbtCliResource:
    """dbt as it is installed beside this interpreter; PATH is not asked."""
    return DbtCliResource(
        project_dir=str(settings.dbt_project_dir),
        profiles_dir=str(settings.dbt_project_dir),
        dbt_executable=str(Path(sys.executable).parent / "dbt"),
    )


def build_dbt_assets(settings: Settings, catalog: Catalog, criteria: Callable[[], list[str]]) -> AssetsDefinition:
    """One op that runs `dbt build` for what is selected.

    Parameters: the settings; the catalog; the words that tell dbt which criteria are in force when it runs.
    """

    @dbt_assets(
        manifest=settings.manifest_file,
        dagster_dbt_translator=SignalTranslator(catalog),
        name="dbt_build",
        pool=WRITES_POOL,
    )
    def dbt_build(context: AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        yield from dbt.cli(["build", *criteria()], context=context).stream()

    return dbt_build
