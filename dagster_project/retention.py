"""Prunes what is old wherever it lies: the ledger first, then the warehouse's capture tables, then Dagster's runs."""

# Dagster reads the annotations of ops at definition, so they are not postponed here.

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    JobDefinition,
    OpExecutionContext,
    RunsFilter,
    in_process_executor,
    job,
    mem_io_manager,
    op,
)

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.contracts.vocabulary import Kind, Lifecycle
from dagster_project.ledger.controls import Person
from dagster_project.ledger.housekeeping import prune_records
from dagster_project.ledger.pruning import Horizon, PruneReport, horizon, known_through, prune_signal, signals_in
from dagster_project.prepare import DbtCommand
from dagster_project.respond.action_run import Surroundings
from dagster_project.settings import Settings

LOOP = Person("loop", "older than LOOP_KEEP_HISTORY_DAYS")
ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
RUNS_AT_ONCE = 200


class WarehouseNotPruned(Exception):
    """dbt could not prune the capture tables; the ledger is pruned, and the next pass tries again."""


def prune_all(
    around: Surroundings,
    older_than: timedelta,
    person: Person,
    is_dry_run: bool = False,
    only: Sequence[str] = (),
    with_warehouse: bool = True,
) -> Iterator[str]:
    """Prunes, signal by signal, and tells a line on each.

    Parameters: the surroundings; what is kept; in whose name; whether only to count; these signals alone (all, if left
    out); whether the warehouse's capture tables too. Raises PruneRefused, WarehouseNotPruned.
    """
    database = around.database
    names = [name for name in signals_in(database) if not only or name in only]
    within = {
        name: horizon(database.now(), older_than, ends_by_itself(around.catalog.signals.get(name))) for name in names
    }
    for name in names:
        yield f"{name}: {told(prune_signal(database, name, within[name], person, is_dry_run), is_dry_run)}"
    if not only and names:
        counts = prune_records(database, within[names[0]].before, is_dry_run)
        yield "records: " + (", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing is old enough")
    if with_warehouse:
        yield from _prune_warehouse(around, within, is_dry_run)


def ends_by_itself(signal: CatalogSignal | None) -> bool:
    """Whether an open episode can have no further event that is acted upon: an occurrence, and no step on escalation.

    A signal that is not in the catalog keeps its open episodes: nobody knows what it will be when it comes back.
    """
    if signal is None or signal.spec.lifecycle is not Lifecycle.OCCURRENCE:
        return False
    return all(Kind.ESCALATED not in step.on for step in signal.version.playbook.steps)


def told(report: PruneReport, is_dry_run: bool) -> str:
    """One line on what went and what stays."""
    verb = "would go" if is_dry_run else "went"
    stays = "; ".join(f"{count} events stay: {reason}" for reason, count in sorted(report.kept.items()))
    gone = f"{report.events} events, {report.actions} actions and {report.attempts} attempts {verb}"
    return f"{gone}; {stays}" if stays else gone


def _prune_warehouse(around: Surroundings, within: dict[str, Horizon], is_dry_run: bool) -> Iterator[str]:
    """Builds that the ledger took in before the horizon lose their events and their row; signal_state stays."""
    through = {name: known_through(around.database, name, one.before) for name, one in within.items()}
    through = {name: number for name, number in through.items() if number}
    if is_dry_run or not through:
        listed = ", ".join(f"{name} up to build {number}" for name, number in sorted(through.items()))
        yield f"warehouse: {listed or 'no build is old enough'}"
        return
    arguments = json.dumps({"through": through})
    done = DbtCommand(around.settings).run("run-operation", "signal_capture_prune", "--args", arguments)
    if done.returncode != 0:
        raise WarehouseNotPruned(
            f"dbt could not prune the capture tables: {(done.stdout + done.stderr).strip()[-500:]}. The ledger is "
            "pruned; the next pass tries again."
        )
    yield from (f"warehouse: {line}" for line in _pruning_lines(done.stdout))


def _pruning_lines(said: str) -> list[str]:
    marked = [line.partition("signal_capture_prune: ")[2] for line in said.splitlines()]
    return [line for line in marked if line]


def delete_old_runs(instance: DagsterInstance, before: datetime) -> int:
    """Deletes ended Dagster runs from before a moment, a bounded number at a time; returns how many.

    Dagster has no retention for runs of its own (only for ticks, in dagster.yaml). The ledger keeps run ids as text.
    """
    wanted = RunsFilter(statuses=ENDED, created_before=before)
    count = 0
    while records := instance.get_run_records(wanted, limit=RUNS_AT_ONCE, ascending=True):
        for record in records:
            instance.delete_run(record.dagster_run.run_id)
        count += len(records)
    return count


def keep_history(settings: Settings) -> timedelta | None:
    """How long settled history is kept; None for ever."""
    return timedelta(days=settings.keep_history_days) if settings.keep_history_days else None


def build_prune_job(surroundings: Callable[[], Surroundings]) -> JobDefinition:
    """The job `prune_history`: every day, what the settings do not want kept any longer."""

    @op(name="prune_past", description="Prunes ledger and warehouse after LOOP_KEEP_HISTORY_DAYS; 0 keeps everything.")
    def prune_past(context: OpExecutionContext) -> None:
        keep = keep_history(surroundings().settings)
        if keep is None:
            context.log.info("LOOP_KEEP_HISTORY_DAYS is 0: all history is kept")
            return
        for line in prune_all(surroundings(), keep, LOOP):
            context.log.info(line)

    @op(name="delete_runs", description="Deletes ended runs after LOOP_KEEP_RUNS_DAYS; 0 keeps them all.")
    def delete_runs(context: OpExecutionContext) -> None:
        around = surroundings()
        days = around.settings.keep_runs_days
        before = around.database.now() - timedelta(days=days)
        count = delete_old_runs(context.instance, before) if days else 0
        context.add_output_metadata({"deleted": count})

    @job(name="prune_history", executor_def=in_process_executor, resource_defs={"io_manager": mem_io_manager})
    def prune_history() -> None:
        prune_past()
        delete_runs()

    return prune_history
