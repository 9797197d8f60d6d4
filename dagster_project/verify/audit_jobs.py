"""The audit's own jobs: the trail is recounted, old personal data erased, records are read back, daily and weekly."""

# Dagster reads the annotations of ops at definition, so they are not postponed here.

from collections.abc import Callable, Sequence

from dagster import (
    AssetCheckKey,
    AssetKey,
    DagsterInstance,
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
from dagster_project.respond.jobs import actions_key
from dagster_project.verify.alert_delivery import tell, watch
from dagster_project.verify.alerting import FROM_TRAIL, trail_conditions
from dagster_project.verify.audit_trail import head_text, recount
from dagster_project.verify.reading_back import CADENCES, take_sample

GetSurroundings = Callable[[], Surroundings]
LOOP = Person("loop", "older than the signal keeps personal data")
NAMED = 20
# checks whose failure is an incident of its own; late, dead and held work are incidents already
ON_DATA = ("fresh_within", "capture_complete")
ON_ACTIONS = ("conservation", "samples_match")
FAILED = "FAILED"  # dagster's word for a check that ran and did not hold


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


def build_watch_job(surroundings: GetSurroundings, checks: Sequence[AssetCheckKey]) -> JobDefinition:
    """The job `watch_loop`: what is wrong becomes an incident, and people are told.

    Parameters: how to get at the ledger and the destinations; the checks whose last outcome counts.
    """

    @op(name="tell_people", description="Opens and ends incidents, and sends the alerts that are due.")
    def tell_people(context: OpExecutionContext) -> None:
        report = watch(surroundings(), failed_checks(context.instance, checks))
        for incident in report.changes.opened:
            context.log.warning(f"{incident.kind} {incident.subject}: {incident.summary}")
        for incident in report.changes.resolved:
            context.log.info(f"over: {incident.kind} {incident.subject}")
        context.add_output_metadata({"opened": len(report.changes.opened), **report.states})

    @job(name="watch_loop", executor_def=in_process_executor, resource_defs={"io_manager": mem_io_manager})
    def watch_loop() -> None:
        tell_people()

    return watch_loop


def watched_checks(signals: Sequence[str]) -> list[AssetCheckKey]:
    """The checks on these signals and on their actions whose failure is an incident."""
    return [
        AssetCheckKey(key, name)
        for signal in signals
        for key, names in ((AssetKey([signal]), ON_DATA), (actions_key(signal), ON_ACTIONS))
        for name in names
    ]


def failed_checks(instance: DagsterInstance, checks: Sequence[AssetCheckKey]) -> list[tuple[str, str]]:
    """Those checks that failed when they ran last, as asset and check; one that never ran has not failed."""
    if not checks:
        return []
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(list(checks))
    return [
        (key.asset_key.to_user_string(), key.name) for key, record in latest.items() if record.status.value == FAILED
    ]


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
        around = surroundings()
        with around.database.reading() as connection:
            report = recount(connection)
        if not report.holds:
            tell(around, trail_conditions(report), FROM_TRAIL)
            told = "; ".join(str(finding) for finding in report.findings[:NAMED])
            raise Failure(f"the audit trail was touched: {told}. See `loopctl audit verify`.", allow_retries=False)
        tell(around, [], FROM_TRAIL)
        context.log.info(f"{report.rows} rows hold. Keep this elsewhere: {head_text(report.heads)}")
        context.add_output_metadata({"rows": report.rows, "head": head_text(report.heads) or "none yet"})

    return trail
