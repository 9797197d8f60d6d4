"""One job a signal, made from its playbook: claim, enrich, one op a step named as in the playbook, settle."""

# Dagster reads the annotations of ops at definition, so they are not postponed here.

from collections.abc import Callable

from dagster import (
    AssetKey,
    AssetMaterialization,
    Failure,
    JobDefinition,
    MetadataValue,
    OpDefinition,
    OpExecutionContext,
    in_process_executor,
    job,
    mem_io_manager,
    op,
)

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.contracts.playbook import Step
from dagster_project.ledger.run_summary import summarize_run
from dagster_project.respond.action_run import Surroundings, Work, begin, do_step, finish, look_up_all, tidy

GetSurroundings = Callable[[], Surroundings]

# Ops that every job has; a step may not take one of their names.
RESERVED_OPS = frozenset({"claim", "enrich", "earlier_versions", "settle"})


def actions_key(signal: str) -> AssetKey:
    """The asset that stands for what was done about a signal."""
    return AssetKey(["actions", signal])


def build_job(signal: CatalogSignal, surroundings: GetSurroundings) -> JobDefinition:
    """The job `act_on_<signal>`. It runs in one process: work in hand passes from op to op in memory."""
    claim_op = _claim_op(signal, surroundings)
    enrich_op = _enrich_op(signal, surroundings)
    step_ops = [_step_op(signal, step, surroundings) for step in signal.version.playbook.steps]
    earlier_op = _earlier_op(signal, surroundings)
    settle_op = _settle_op(signal, surroundings)

    @job(
        name=f"act_on_{signal.name}",
        description=f"{signal.version.playbook.description} ({signal.version.playbook.name})",
        executor_def=in_process_executor,
        resource_defs={"io_manager": mem_io_manager},
        tags={"signal": signal.name},
    )
    def act() -> None:
        work = enrich_op.alias("enrich")(claim_op.alias("claim")())
        for step, step_op in zip(signal.version.playbook.steps, step_ops, strict=True):
            work = step_op.alias(_node_name(step))(work)
        settle_op.alias("settle")(earlier_op.alias("earlier_versions")(work))

    return act


def _node_name(step: Step) -> str:
    return step.name if step.name not in RESERVED_OPS else f"{step.name}_step"


def _definition_name(signal: CatalogSignal, node: str) -> str:
    """Definitions share one name space in a location; inside its job an op is called by its short name."""
    return f"{signal.name}__{node}"


def _claim_op(signal: CatalogSignal, surroundings: GetSurroundings) -> OpDefinition:
    @op(
        name=_definition_name(signal, "claim"),
        description="Leases the most severe due work, after settling what dead runs left open.",
    )
    def claim(context: OpExecutionContext) -> Work:
        work = begin(surroundings(), signal.name, context.run_id)
        context.log.info(f"claimed {work.claim.count} due actions and groups")
        context.add_output_metadata({"claimed": work.claim.count})
        return work

    return claim


def _enrich_op(signal: CatalogSignal, surroundings: GetSurroundings) -> OpDefinition:
    @op(name=_definition_name(signal, "enrich"), description="Looks up what the events alone do not say.")
    def enrich(context: OpExecutionContext, work: Work) -> Work:
        look_up_all(surroundings(), work, context.log.info)
        context.add_output_metadata({"rows": MetadataValue.json(work.looked_up.row_counts())})
        return work

    return enrich


def _step_op(signal: CatalogSignal, step: Step, surroundings: GetSurroundings) -> OpDefinition:
    @op(
        name=_definition_name(signal, _node_name(step)),
        description=step.description or f"{step.operation} ({step.role})",
        pool=f"role_{step.role}",
        tags={"role": step.role, "operation": step.operation},
    )
    def act_on_step(context: OpExecutionContext, work: Work) -> Work:
        report = do_step(surroundings(), work, step.name, context.log.info)
        context.log.info(f"{step.name}: {report.calls} calls, {report.states or 'nothing to do'}")
        context.add_output_metadata({"calls": report.calls, "states": MetadataValue.json(report.states)})
        return work

    return act_on_step


def _earlier_op(signal: CatalogSignal, surroundings: GetSurroundings) -> OpDefinition:
    @op(
        name=_definition_name(signal, "earlier_versions"),
        description="Finishes steps that the playbook no longer has, from what was stored.",
    )
    def earlier_versions(context: OpExecutionContext, work: Work) -> Work:
        report = do_step(surroundings(), work, None, context.log.info)
        context.add_output_metadata({"states": MetadataValue.json(report.states)})
        return work

    return earlier_versions


def _settle_op(signal: CatalogSignal, surroundings: GetSurroundings) -> OpDefinition:
    @op(
        name=_definition_name(signal, "settle"),
        description="Gives back what was not settled, reports, and fails if there are dead letters.",
    )
    def settle(context: OpExecutionContext, work: Work) -> None:
        around = surroundings()
        finish(around, work)
        summary = summarize_run(around.database, context.run_id)
        latencies = {"p50_seconds": summary.p50_seconds, "p95_seconds": summary.p95_seconds}
        context.log_event(
            AssetMaterialization(
                asset_key=actions_key(signal.name),
                metadata={
                    "claimed": work.claim.count,
                    "calls": sum(report.calls for report in work.reports.values()),
                    **dict(sorted(summary.states.items())),
                    **{name: value for name, value in latencies.items() if value is not None},
                },
            )
        )
        dead = sum(report.states.get("dead", 0) for report in work.reports.values())
        if dead:
            raise Failure(
                f"{dead} action(s) of {signal.name} are dead. Everything else of this run is settled. See why with "
                f"`loopctl status`, then `loopctl replay` what should be tried again.",
                allow_retries=False,
            )

    return settle


def build_tidy_job(surroundings: GetSurroundings) -> JobDefinition:
    """The job `tidy_ledger`: what waits for signals that are gone is held and shown."""

    @op(name="hold_removed", description="Holds the work of signals that the catalog does not have any more.")
    def hold_removed(context: OpExecutionContext) -> None:
        for name, count in tidy(surroundings()).items():
            context.log.warning(f"{name} is not in the catalog any more: {count} actions and groups are held")

    @job(name="tidy_ledger", executor_def=in_process_executor, resource_defs={"io_manager": mem_io_manager})
    def tidy_ledger() -> None:
        hold_removed()

    return tidy_ledger
