"""The light location: sensors, action jobs, and checks on what was done. It imports neither dbt nor a vendor's SDK."""

from __future__ import annotations

from dagster import (
    AssetSelection,
    AssetSpec,
    DefaultScheduleStatus,
    Definitions,
    ScheduleDefinition,
    define_asset_job,
    in_process_executor,
)

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.detect.lookout import Lookout
from dagster_project.detect.sensors import Capacity, build_sensor
from dagster_project.ledger.database import Database
from dagster_project.respond.bindings import bind_roles, is_all_sandbox
from dagster_project.respond.jobs import actions_key, build_job, build_tidy_job
from dagster_project.retention import build_prune_job
from dagster_project.runtime import LedgerDesk, catalog, surroundings
from dagster_project.settings import settings
from dagster_project.verify.action_checks import build_action_checks
from dagster_project.verify.audit_jobs import build_audit_jobs, build_watch_job, watched_checks
from dagster_project.verify.sample_checks import build_sample_check


def _ledger() -> Database:
    return surroundings().database


def _actions_asset(signal: CatalogSignal) -> AssetSpec:
    return AssetSpec(
        key=actions_key(signal.name),
        deps=[signal.name],
        description=f"What was done about {signal.name}, by {signal.version.playbook.name}.",
        group_name="actions",
        owners=[signal.spec.owner] if signal.spec.owner.startswith("team:") or "@" in signal.spec.owner else None,
        tags=dict.fromkeys(signal.spec.classification, ""),
        metadata={"mode": signal.spec.mode.value, "playbook": signal.version.playbook.name},
    )


_signals = list(catalog().signals.values())
_capacity = Capacity(
    settings().claim_limit,
    settings().runs_in_flight,
    settings().lease_seconds,
    Lookout(settings().sensors_watching, settings().sensor_watch_seconds),
)
_jobs = {signal.name: build_job(signal, surroundings) for signal in _signals}
_tidy = build_tidy_job(surroundings)
_verify = define_asset_job("verify_actions", AssetSelection.all_asset_checks())
_checks = [
    check
    for signal in _signals
    for key in [actions_key(signal.name)]
    for check in (*build_action_checks(signal, key, _ledger), build_sample_check(signal, key, _ledger))
]
_watch = build_watch_job(surroundings, watched_checks([signal.name for signal in _signals]))
_audit_daily, _audit_weekly = build_audit_jobs(surroundings)
_prune = build_prune_job(surroundings)
_crons = (
    (_verify, settings().verify_cron),
    (_tidy, settings().verify_cron),
    (_watch, settings().alert_cron),
    (_audit_daily, settings().sample_daily_cron),
    (_audit_weekly, settings().sample_weekly_cron),
    (_prune, settings().prune_cron),
)

defs = Definitions(
    assets=[_actions_asset(signal) for signal in _signals],
    sensors=[
        build_sensor(
            signal,
            _jobs[signal.name],
            LedgerDesk(),
            _capacity,
            interval_seconds=settings().sensor_ticks_every,
            is_running_by_default=is_all_sandbox(catalog(), bind_roles(settings())),
        )
        for signal in _signals
    ],
    jobs=[*_jobs.values(), _verify, _tidy, _watch, _audit_daily, _audit_weekly, _prune],
    asset_checks=_checks,
    schedules=[
        ScheduleDefinition(job=one, cron_schedule=cron, default_status=DefaultScheduleStatus.RUNNING)
        for one, cron in _crons
    ],
    executor=in_process_executor,
)
