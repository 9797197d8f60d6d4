"""The audit's own jobs: the trail is recounted, old personal data erased, records are read back, daily and weekly."""

from __future__ import annotations

from collections.abc import Callable

from dagster import (
    Failure,
    JobDefinition,
    OpDefinition,
    OpExecutionContext,
    in_process_executor,
    job,
    mem_io_manager,
    op,
)

from dagster_project.ledger.controls import Person
from dagster_project.ledger.erasure import Erasure, erase_past
from dagster_project.respond.action_run import Surroundings
from dagster_project.verify.audit_trail import head_text, recount
from dagster_project.verify.reading_back import CADENCES, take_sample

GetSurroundings = Callable[[], Surroundings]
LOOP = Person("loop", "older than the signal keeps personal data")
NAMED = 20


def forget_old(around: Surroundings) -> dict[str, Erasure]:
    """Erases what is older than its signal keeps personal data; what came of it, by signal that has such a limit."""
    limits = {
        name: signal.spec.keep_personal_data.as_timedelta()
        for name, signal in around.catalog.signals.items()
        if signal.spec.keep_personal_data is not None
    }
    return {name: erase_past(around.database, name, keep, LOOP) for name, keep in limits.items()}


def build_audit_jobs(surroundings: GetSurroundings) -> tuple[JobDefinition, JobDefinition]:
    """The jobs `audit_daily` and `audit_weekly`."""
    trail, erasing = _trail_op(surroundings), _erasing_op(surroundings)
    daily, weekly = _sampling_op("daily", surroundings), _sampling_op("weekly", surroundings)

    @job(name="audit_daily", executor_def=in_process_executor, resource_defs={"io_manager": mem_io_manager})
    def audit_daily() -> None:
        daily()
        erasing()
        trail()

    @job(name="audit_weekly", executor_def=in_process_executor, resource_defs={"io_manager": mem_io_manager})
    def audit_weekly() -> None:
        weekly()

    return audit_daily, audit_weekly


def _sampling_op(cadence: str, surroundings: GetSurroundings) -> OpDefinition:
    back, wanted = CADENCES[cadence]

    @op(name=f"sample_{cadence}", description=f"Reads up to {wanted} records of the last {back.days} days back.")
    def sample(context: OpExecutionContext) -> None:
        report = take_sample(surroundings(), cadence, back, wanted)
        counts: dict[str, int] = {}
        for _, verdict in report.verdicts:
            counts[verdict.verdict] = counts.get(verdict.verdict, 0) + 1
        context.add_output_metadata({"sample": report.sample_id, "delivered": report.delivered, **counts})
        for action, verdict in report.verdicts:
            if verdict.verdict in ("mismatch", "gone"):
                context.log.warning(
                    f"{action.signal} {action.step} at {action.destination}, action {action.action_id}: "
                    f"{verdict.verdict}. {'; '.join(verdict.findings)}"
                )

    return sample


def _erasing_op(surroundings: GetSurroundings) -> OpDefinition:
    @op(name="erase_old_personal_data", description="Erases what is older than its signal keeps personal data.")
    def erase(context: OpExecutionContext) -> None:
        for name, erasure in forget_old(surroundings()).items():
            context.log.info(
                f"{name}: {erasure.events} events and {erasure.actions} actions emptied; "
                f"{erasure.still_open} events are past their time but have open work"
            )

    return erase


def _trail_op(surroundings: GetSurroundings) -> OpDefinition:
    @op(name="recount_trail", description="Recounts the audit trail's chains; fails where a row was touched.")
    def trail(context: OpExecutionContext) -> None:
        with surroundings().database.reading() as connection:
            report = recount(connection)
        if not report.holds:
            told = "; ".join(str(finding) for finding in report.findings[:NAMED])
            raise Failure(f"the audit trail was touched: {told}. See `loopctl audit verify`.", allow_retries=False)
        context.log.info(f"{report.rows} rows hold. Keep this elsewhere: {head_text(report.heads)}")
        context.add_output_metadata({"rows": report.rows, "head": head_text(report.heads) or "none yet"})

    return trail
