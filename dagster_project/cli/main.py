"""loopctl: does without a daemon what the daemon does, and answers what an operator asks."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text
from sqlalchemy.exc import OperationalError

from dagster_project.cli import analyst, auditing, contact_list, governing, levers, past
from dagster_project.cli.console import access, serve_console
from dagster_project.cli.terminal import console
from dagster_project.contracts.catalog import CatalogRefused
from dagster_project.detect.warehouse_reading import WarehouseUnavailable
from dagster_project.land.report import LandingError
from dagster_project.ledger.database import LedgerUnavailable
from dagster_project.ledger.intake import BuildMismatch, WrongWarehouse
from dagster_project.prepare import PrepareFailed
from dagster_project.respond.bindings import BindingRefused
from dagster_project.settings import SettingsRefused, settings
from dagster_project.warm_launch.pool import PoolRuns

# What a person can act on is told in a sentence; anything else is a fault of ours and shows its traceback.
EXPECTED = (
    CatalogRefused,
    WarehouseUnavailable,
    LandingError,
    LedgerUnavailable,
    BuildMismatch,
    WrongWarehouse,
    BindingRefused,
    PrepareFailed,
    SettingsRefused,
    PoolRuns,
)


class Loopctl(click.Group):
    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except EXPECTED as error:
            raise click.ClickException(str(error)) from error
        except OperationalError as error:
            raise click.ClickException(
                f"the ledger cannot be read or written: {error.orig}. Nothing is sent without a recorded intent, and "
                "what is recorded stays. Look at the disk, its rights and LOOP_LEDGER_URL; then run this again."
            ) from error


@click.group(cls=Loopctl, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--state", type=click.Path(path_type=Path), help="The state's folder, instead of LOOP_STATE_DIR or .loop."
)
def main(state: Path | None) -> None:
    """Signals from the warehouse, turned into finished work and proven."""
    if state is not None:
        os.environ["LOOP_STATE_DIR"] = str(state.resolve())
        settings.cache_clear()


@main.command()
def prepare() -> None:
    """Parse the dbt project and compile the catalog; says where each role goes, what is quarantined and why."""
    from dagster_project.cli.printing import binding_lines
    from dagster_project.prepare import prepare as compile_now

    shown = console()
    with shown.status("dbt parse"):
        catalog = compile_now(settings())
    shown.print(Text(f"catalog: {len(catalog.signals)} signals: {', '.join(catalog.signals) or 'none'}"))
    for line in binding_lines(settings(), catalog):
        shown.print(Text(line), soft_wrap=True)
    for quarantined in catalog.quarantined.values():
        shown.print(Text(f"quarantined: {quarantined.name}", style="bold red"))
        for problem in quarantined.problems:
            shown.print(Text(f"  {problem}"), soft_wrap=True)
    if catalog.quarantined:
        sys.exit(1)


@main.command()
@click.option("--generate", "is_generated", is_flag=True, help="A day of the generated company.")
@click.option("--from", "folder", type=click.Path(path_type=Path), help="A folder with the real files.")
@click.option("--day", default=1, show_default=True, help="The simulated day.")
@click.option("--customers", default=1000, show_default=True)
@click.option("--seed", default=7, show_default=True)
@click.option(
    "--as-of", type=click.DateTime(), help="The moment (UTC) that the data claims to be from; now if left out."
)
def land(is_generated: bool, folder: Path | None, day: int, customers: int, seed: int, as_of: datetime | None) -> None:
    """Fill the landing tables: generated, or from real files."""
    from dagster_project.cli.printing import print_landing
    from dagster_project.land.generator import GeneratedCompany, generate
    from dagster_project.land.importer import import_files

    if is_generated == (folder is not None):
        raise click.UsageError("say either --generate or --from DIR")
    moment = (as_of or datetime.now(UTC)).replace(tzinfo=UTC)
    settings().state_dir.mkdir(parents=True, exist_ok=True)
    target = settings().warehouse_target
    shown = console()
    with shown.status("landing"):
        if folder is not None:
            report = import_files(target, folder, moment)
        else:
            company = GeneratedCompany(seed=seed, customers=customers, day=day, as_of=moment)
            report = generate(target, company)
    print_landing(shown, report)


@main.command()
@click.option("--no-build", is_flag=True, help="Detect and act on what is built already.")
def tick(no_build: bool) -> None:
    """One pass: dbt build, detect, act."""
    from dagster_project.cli.ticking import (
        BuildFailed,
        act_on_all,
        build_signals,
        dagster_instance,
        detect_all,
        landing_accounts,
    )
    from dagster_project.prepare import prepare_if_stale
    from dagster_project.runtime import surroundings_for
    from dagster_project.verify.alert_delivery import watch

    shown = console()

    def say(text: str) -> None:
        shown.print(Text(text), soft_wrap=True)

    catalog = prepare_if_stale(settings())
    is_built = True
    if not no_build:
        try:
            with shown.status("dbt build"):
                say(f"dbt build: {build_signals(settings())}")
            for line in landing_accounts(settings()):
                say(line)
        except BuildFailed as error:
            is_built = False
            say(f"dbt build failed; what passed its tests is released and goes on:\n{error}")
    around = surroundings_for(settings(), catalog)
    refused = detect_all(around, say)
    with dagster_instance(settings()) as instance:
        report = act_on_all(around, instance, say)
    for note in report.notes:
        say(note)
    for line in auditing.told_of(watch(around)):
        say(line)
    say(f"{report.runs} runs, {report.failed_runs} of them left dead letters")
    if report.failed_runs or refused or not is_built:
        sys.exit(1)


@main.command()
@click.option("--customers", default=1000, show_default=True)
@click.option("--seed", default=7, show_default=True)
def demo(customers: int, seed: int) -> None:
    """Two days of the generated company through the whole loop, against the sandbox."""
    from dagster_project.cli.demo import run_demo

    if not run_demo(console(), customers, seed):
        sys.exit(1)


@main.command()
@click.option("--port", default=3000, show_default=True, help="Dagster's pages.")
@click.option("--fast", "is_fast", is_flag=True, help="Runs are taken by warm workers: docs/fast_profile.md.")
def dev(port: int, is_fast: bool) -> None:
    """The sandbox and `dagster dev` together, until Ctrl-C or SIGTERM."""
    from dagster_project.cli.development import run_development

    sys.exit(run_development(console(), port, is_fast))


@main.command("warm-pool")
@click.option("--home", type=click.Path(path_type=Path), help="The instance's folder, instead of DAGSTER_HOME.")
def warm_pool(home: Path | None) -> None:
    """Keeps warm workers ready for the fast profile, until Ctrl-C or SIGTERM. One for an instance, on its host."""
    from dagster_project.cli.warm_pool import serve_pool

    serve_pool(home)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.option("--prove", "is_proven", is_flag=True, help="Recount every law of conservation from the rows up.")
def status(as_json: bool, is_proven: bool) -> None:
    """What was seen, what was done, what was not and why. Exit status 0 only if all is well."""
    from dagster_project.cli.at_hand import at_hand
    from dagster_project.cli.printing import print_funnel, print_proofs
    from dagster_project.verify.conservation import prove
    from dagster_project.verify.status import read_status

    with at_hand() as around, around.database.reading() as connection:
        found = read_status(connection, around.catalog, around.database.now())
        proofs = prove(connection) if is_proven else []
    holds = all(proof.holds for proof in proofs)
    if as_json:
        laws = [{"law": p.law, "checked": p.checked, "broken": p.broken, "examples": p.examples} for p in proofs]
        click.echo(json.dumps({**found.as_json(), "laws": laws}, default=str, indent=2))
    else:
        print_funnel(console(), found)
        print_proofs(console(), proofs)
    sys.exit(0 if holds and (is_proven or found.is_well) else 1)


@main.command()
@click.argument("subject")
@click.option("--show-personal-data", is_flag=True, help="Show columns that are tagged pii.")
def explain(subject: str, show_personal_data: bool) -> None:
    """The whole story of an entity, event, action or group, from the row to every attempt and answer."""
    from dagster_project.cli.at_hand import at_hand
    from dagster_project.cli.identity import look_at_personal_data
    from dagster_project.cli.printing import print_story
    from dagster_project.verify.explain import actions_told
    from dagster_project.verify.explain import explain as tell

    with at_hand() as around:
        with around.database.reading() as connection:
            lines = tell(connection, around.catalog, subject, show_personal_data)
            looked_at = actions_told(connection, subject)
        if not lines:
            raise click.ClickException(f"the ledger knows no entity, event, action or group {subject!r}")
        if show_personal_data:
            look_at_personal_data(around, looked_at, "loopctl explain")
    print_story(console(), lines)


@main.command()
@click.option("--show-personal-data", is_flag=True, help="Show requests that may hold personal data.")
def held(show_personal_data: bool) -> None:
    """What waits for a person, with exactly what would be sent."""
    from dagster_project.cli.at_hand import at_hand
    from dagster_project.cli.identity import look_at_personal_data
    from dagster_project.verify.guarded import held_lines, personal_held

    with at_hand() as around:
        if show_personal_data:
            look_at_personal_data(around, personal_held(around.database, around.catalog), "loopctl held")
        lines = list(held_lines(around.database, around.catalog, show_personal_data))
    for line in lines or ["nothing is held"]:
        console().print(Text(line), soft_wrap=True)


@main.command("fit-churn")
@click.option("--threshold", default=0.85, show_default=True, help="Where precision and lift are reported.")
def fit_churn(threshold: float) -> None:
    """Fit the churn scorecard on what is landed and built; writes a new version of its seed and reports its quality."""
    from dagster_project.land.churn_fit import FitError, fit_churn_scorecard

    seed = settings().dbt_project_dir / "seeds" / "churn_scorecard.csv"
    try:
        click.echo(str(fit_churn_scorecard(settings().warehouse_target, seed, threshold)))
    except FitError as error:
        raise click.ClickException(str(error)) from error


for command in levers.LEVERS:
    main.add_command(command)
for command in (analyst.new, analyst.validate, analyst.preview, analyst.go_live, analyst.go_shadow):
    main.add_command(command)
for command in (auditing.audit, auditing.alerts, auditing.erase, governing.criteria):
    main.add_command(command)
for command in (past.baseline, past.backfill, past.prune, contact_list.contacts):
    main.add_command(command)
for command in (access, serve_console):
    main.add_command(command)
