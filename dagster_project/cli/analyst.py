"""The analyst's path: make a signal's two files, check everything, look ahead, go live."""

from __future__ import annotations

import getpass
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml
from rich.console import Console
from rich.text import Text

from dagster_project.cli.terminal import console
from dagster_project.detect.thresholds import NOT_GOVERNED
from dagster_project.settings import settings

if TYPE_CHECKING:
    from dagster_project.contracts.catalog import Catalog
    from dagster_project.respond.action_run import Surroundings


@click.group()
def new() -> None:
    """Write the files of something new."""


@new.command("signal")
@click.argument("name")
@click.option("--domain", default="general", show_default=True, help="The folder under models/signals.")
@click.option("--entity", help="What entity_id identifies; the first word of NAME if left out.")
@click.option("--from", "source_model", default="active_customers", show_default=True, help="The model to select from.")
def new_signal(name: str, domain: str, entity: str | None, source_model: str) -> None:
    """Write NAME.sql and NAME.yml with all that the contract needs, each line explained."""
    from dagster_project.detect.scaffolding import NotWritten, write_signal

    try:
        files = write_signal(settings().dbt_project_dir, name, domain, entity or name.split("_")[0], source_model)
    except NotWritten as error:
        raise click.ClickException(str(error)) from error
    for file in files:
        click.echo(f"wrote {file.relative_to(settings().dbt_project_dir.parent)}")
    click.echo(
        f"next: edit both (docs/add_a_signal.md), `loopctl validate`, `loopctl preview {name}`, and `loopctl tick` for "
        "its baseline"
    )


@click.command()
@click.option(
    "--schemas", "schema_dir", type=click.Path(path_type=Path), help="Also write JSON Schemas for editors here."
)
@click.option("--catalogue", type=click.Path(path_type=Path), help="Also write the page on all signals here.")
def validate(schema_dir: Path | None, catalogue: Path | None) -> None:
    """Check every signal and playbook; all errors at once, with file, line, key and remedy. Exit status 1 if any."""
    from dagster_project.catalogue import catalogue_page
    from dagster_project.validate import find_problems, write_schemas

    if schema_dir is not None:
        for file in write_schemas(schema_dir):
            click.echo(f"wrote {file}")
    shown = console()
    with shown.status("dbt parse"):
        report = find_problems(settings())
    if catalogue is not None and report.catalog is not None:
        catalogue.write_text(catalogue_page(report.catalog), encoding="utf-8")
        click.echo(f"wrote {catalogue}")
    for problem in report.problems:
        shown.print(Text(str(problem)), soft_wrap=True)
    shown.print(
        Text(f"{report.signals} signals and {report.playbooks} playbooks checked, {len(report.problems)} problems")
    )
    sys.exit(1 if report.problems else 0)


def _variables(pairs: tuple[str, ...], catalog: Catalog) -> dict[str, Any]:
    """Refuses a name that no model knows: dbt would take it in silence, and the preview would show no difference."""
    known = {*catalog.thresholds, *NOT_GOVERNED, *(name for one in catalog.signals.values() for name in one.reads)}
    variables: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign:
            raise click.UsageError(f"--var {pair}: write it as name=value")
        if name not in known:
            near = get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise click.UsageError(f"--var {name}: there is no such var; {meant}There are: {', '.join(sorted(known))}")
        variables[name] = yaml.safe_load(text)
    return variables


@click.command()
@click.argument("signal")
@click.option("--var", "pairs", multiple=True, help="A dbt var that differs, as name=value.")
@click.option("--show-personal-data", is_flag=True, help="Show requests that may hold personal data.")
def preview(signal: str, pairs: tuple[str, ...], show_personal_data: bool) -> None:
    """Who would be flagged, enter and leave, and what would be done; nothing is written, nothing is sent."""
    from dagster_project.cli.identity import look_at_personal_data
    from dagster_project.prepare import prepare_if_stale
    from dagster_project.preview.compiled_sql import PreviewFailed
    from dagster_project.preview.looking_ahead import preview as look
    from dagster_project.runtime import surroundings

    with console().status("dbt parse"):
        prepare_if_stale(settings())
    around = surroundings()
    _known(around, signal)
    if show_personal_data:
        look_at_personal_data(around, {signal: ()}, "loopctl preview")
    variables, shown = _variables(pairs, around.catalog), console()
    try:
        with shown.status("dbt compile, then a read-only query"):
            found = look(around, signal, variables)
    except PreviewFailed as error:
        raise click.ClickException(str(error)) from error
    _print_preview(shown, found, around.catalog if not show_personal_data else None)


def _print_preview(shown: Console, found: Any, masking: Any) -> None:
    from dagster_project.contracts.vocabulary import Kind

    shown.print(Text(f"{found.signal}: {found.flagged} flagged", style="bold"))
    for kind, word in ((Kind.OPENED, "would enter"), (Kind.ESCALATED, "would rise"), (Kind.RESOLVED, "would leave")):
        some = [one.entity_id for one in found.foreseen if one.kind is kind]
        limit = f" (the guard lets {found.limits[kind]} pass)" if kind in found.limits else ""
        listed = ", ".join(some[:8]) + (" ..." if len(some) > 8 else "")
        shown.print(Text(f"  {len(some)} {word}{limit}: {listed}".rstrip(": ")))
    for why in found.plan.guards.values():
        shown.print(Text(f"  held whole: {why}", style="yellow"))
    counts: dict[tuple[str, str, str], int] = {}
    for action in found.plan.actions:
        if not action.is_group:
            key = (action.step.name, action.state.value, action.reason)
            counts[key] = counts.get(key, 0) + 1
    for (step, state, reason), count in counts.items():
        shown.print(Text(f"  {step}: {count} {state}" + (f" ({reason})" if reason else "")))
    for event, reason in list(found.plan.unplanned.items())[:5]:
        shown.print(Text(f"  {event.split('|')[1]}: nothing, {reason}"))
    for sample in found.samples:
        style = "red" if sample.is_broken else "yellow" if sample.is_held else ""
        hides = masking is not None and masking.may_hold_personal_data(found.signal, sample.step)
        told = (
            "(holds personal data; --show-personal-data shows it)" if hides and not sample.is_broken else sample.request
        )
        who = ", ".join(sample.entities[:4]) + (" ..." if len(sample.entities) > 4 else "")
        held = ", held for approval" if sample.is_held else ""
        shown.print(Text(f"  {sample.step} for {who}: {sample.operation} at {sample.destination}{held}", style=style))
        shown.print(Text(f"    {told}"), soft_wrap=True)
    for note in found.notes:
        shown.print(Text(f"  note: {note}", style="dim"))


def _known(around: Surroundings, signal: str) -> None:
    try:
        around.catalog.signal(signal)
    except KeyError as error:
        raise click.ClickException(str(error.args[0])) from error


@click.command("go-live")
@click.argument("signal")
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def go_live(signal: str, why: str, who: str, yes: bool) -> None:
    """Show what a signal in shadow has planned so far, ask, and let what it finds from now on be acted on."""
    from dagster_project.contracts.vocabulary import Mode

    _decide(signal, Mode.LIVE, why, who, yes)


@click.command("go-shadow")
@click.argument("signal")
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def go_shadow(signal: str, why: str, who: str) -> None:
    """Take a signal back into shadow; what is planned and unsent waits until it is live again."""
    from dagster_project.contracts.vocabulary import Mode

    _decide(signal, Mode.SHADOW, why, who, is_sure=True)


def _decide(signal: str, mode: Any, why: str, who: str, is_sure: bool) -> None:
    """Going live needs the project's files as they are; going back into shadow has to work whatever they are."""
    from dagster_project.cli.at_hand import at_hand
    from dagster_project.contracts.vocabulary import Mode
    from dagster_project.runtime import surroundings

    if mode is Mode.LIVE:
        return _decide_with(surroundings(), signal, mode, why, who, is_sure)
    with at_hand() as around:
        return _decide_with(around, signal, mode, why, who, is_sure)


def _decide_with(around: Surroundings, signal: str, mode: Any, why: str, who: str, is_sure: bool) -> None:
    from dagster_project.cli.identity import acting_member, council_of, told_in_words
    from dagster_project.verify.guarded import shadow_lines

    _known(around, signal)
    if mode.value == "live":
        lines = list(shadow_lines(around.database, signal))
        click.echo("\n".join(lines) if lines else f"{signal} has planned nothing in shadow yet")
        if not is_sure:
            click.confirm(f"From its next build on, what {signal} finds is acted on. Go live?", abort=True)
    member = acting_member(around.database, who)
    with told_in_words():
        council_of(around).decide_mode(member, signal, mode, why)
    click.echo(f"{signal} is {mode.value}; nothing that was planned in shadow is sent")
