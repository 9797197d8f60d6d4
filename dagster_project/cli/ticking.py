"""One pass of the loop without a daemon: build, detect, act."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dagster import DagsterInstance

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.contracts.warehouse import SnowflakeTarget
from dagster_project.detect.build_failures import failure_in_words
from dagster_project.detect.warehouse_reading import WarehouseUnavailable, build_records, reading
from dagster_project.instance_files import dagster_home
from dagster_project.land.accounting import read_accounting
from dagster_project.ledger.claims import due_count
from dagster_project.ledger.criteria import words_in_force
from dagster_project.ledger.gates import blocked_destinations
from dagster_project.ledger.intake import BuildMismatch
from dagster_project.ledger.run_summary import read_retries, summarize_run
from dagster_project.ledger.unknown_outcomes import unknown_count
from dagster_project.prepare import DbtCommand
from dagster_project.respond.action_run import Surroundings, tidy
from dagster_project.respond.jobs import build_job
from dagster_project.runtime import contacts_in_doubt, take_in_new_builds, told
from dagster_project.settings import Settings

Say = Callable[[str], None]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
MOST_RUNS = 200  # of one signal in one pass
COUNTED = 1_000_000  # due work is counted up to here, to see whether a run made progress


class BuildFailed(Exception):
    """dbt built, but something in it failed; signals whose build passed are released all the same."""


@dataclass
class TickReport:
    runs: int = 0
    failed_runs: int = 0
    notes: list[str] = field(default_factory=list)


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """The instance that `loopctl dev` shows, so that runs of a tick are seen there too."""
    os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
    with DagsterInstance.get() as instance:
        yield instance


def build_signals(settings: Settings) -> str:
    """A plain `dbt build`. Returns a line on it. Raises BuildFailed, naming what failed."""
    done = DbtCommand(settings).run("build", "--quiet", *words_in_force(settings.ledger_address))
    results_file = settings.dbt_target_dir / "run_results.json"
    if not results_file.exists():
        raise BuildFailed(f"dbt build did not start: {(done.stdout + done.stderr).strip()}")
    results = json.loads(results_file.read_text(encoding="utf-8"))["results"]
    counts: dict[str, int] = {}
    for result in results:
        counts[result["status"]] = counts.get(result["status"], 0) + 1
    if done.returncode != 0:
        failed = [failure_in_words(result) for result in results if result["status"] in ("error", "fail")]
        raise BuildFailed("\n".join(failed) or (done.stdout + done.stderr).strip())
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def landing_accounts(settings: Settings) -> list[str]:
    """For each landing table, what staging made of its rows: read = used + rejected, by reason."""
    target = settings.warehouse_target
    if isinstance(target, SnowflakeTarget):
        return ["landing: not counted here on Snowflake; the models landing_accounting and rejected_rows have it"]
    return [f"landing: {account}" for account in read_accounting(target) if account.rows_read]


def detect_all(around: Surroundings, say: Say) -> int:
    """Takes in what the warehouse has released; returns how many signals have a build that was refused."""
    refused = 0
    for name in around.catalog.signals:
        try:
            news = take_in_new_builds(around, name)
        except WarehouseUnavailable as error:
            say(f"{name}: not read, the next pass catches up: {error}")
            continue
        except BuildMismatch as error:
            refused += 1
            say(f"{name}: {error}")
            continue
        say(f"{name}: {'; '.join([*map(told, news), *_not_released(around, name)]) or 'no new build'}")
    for line in contacts_in_doubt(around):
        say(line)
    return refused


def _not_released(around: Surroundings, name: str) -> list[str]:
    """Why the newest build of a signal brought nothing: it captured nothing, or a test holds it."""
    with reading(around.settings.warehouse_target) as warehouse:
        records = build_records(warehouse, around.catalog.capture, name)
    newest = records[-1] if records else None
    if newest is None or newest.released_at is not None:
        return []
    if newest.status != "captured":
        return [f"nothing captured, {newest.held_reason}; the next build with newer data goes on"]
    return [f"build {newest.build_no} is held, {newest.held_reason or 'its tests have not run'}"]


def act_on_all(around: Surroundings, instance: DagsterInstance, say: Say) -> TickReport:
    """Runs each signal's job until nothing is due, as the sensors would ask for it."""
    report = TickReport()
    for name, count in tidy(around).items():
        report.notes.append(f"{name} is not in the catalog any more: {count} actions and groups are held")
    for signal in around.catalog.signals.values():
        _act_on(around, signal, instance, report, say)
        for retries in read_retries(around.database, signal.name):
            report.notes.append(f"{signal.name}: to be tried again: {retries}")
    report.notes += _taking_nothing(around)
    return report


def _taking_nothing(around: Surroundings) -> list[str]:
    """A destination that takes nothing has no due work either: without a word the pass would read like a success."""
    with around.database.reading() as connection:
        blocked = blocked_destinations(connection, around.database.now())
    return [f"{name} takes nothing now (paused, its circuit is open or it asked to wait)" for name in sorted(blocked)]


def _act_on(
    around: Surroundings, signal: CatalogSignal, instance: DagsterInstance, report: TickReport, say: Say
) -> None:
    job = build_job(signal, lambda: around)
    for _ in range(MOST_RUNS):
        due = _due(around, signal.name)
        if not due:
            return
        result = job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)
        report.runs += 1
        report.failed_runs += 0 if result.success else 1
        left = _due(around, signal.name)
        came = ", ".join(
            f"{n} {state}" for state, n in sorted(summarize_run(around.database, result.run_id).states.items())
        )
        say(f"{signal.name}: run {result.run_id[:8]} took {due} due: {came or 'none was tried'}; {left} are due still")
        if left >= due:
            report.notes.append(
                f"{signal.name}: {left} due, but a run could do nothing about it; the next pass tries again"
            )
            return


def _due(around: Surroundings, signal: str) -> int:
    return due_count(around.database, signal, at_most=COUNTED) + unknown_count(around.database, signal)
