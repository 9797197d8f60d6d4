"""The heavy location: the dbt project as assets, checks on its signals, and the schedule that builds it."""

from __future__ import annotations

import os

from dagster import AssetSelection, Definitions, ScheduleDefinition, define_asset_job, in_process_executor

from dagster_project.detect.transform_assets import build_dbt_assets, dbt_resource
from dagster_project.ledger.criteria import words_in_force
from dagster_project.runtime import catalog
from dagster_project.settings import settings
from dagster_project.verify.data_checks import build_data_checks

# dbt's profile reads its connection from the environment; run workers inherit it from here.
os.environ.update(settings().dbt_environment())

_build = define_asset_job("build_signals", AssetSelection.all())

defs = Definitions(
    assets=[build_dbt_assets(settings(), catalog(), lambda: words_in_force(settings().ledger_address))],
    asset_checks=[
        check
        for signal in catalog().signals.values()
        for check in build_data_checks(signal, catalog().capture, settings().warehouse_target)
    ],
    jobs=[_build],
    schedules=[ScheduleDefinition(job=_build, cron_schedule=settings().build_cron)],
    resources={"dbt": dbt_resource(settings())},
    executor=in_process_executor,
)
