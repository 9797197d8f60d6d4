"""The commands by which thresholds change: proposed with a preview, accepted by somebody else, taken back."""

from __future__ import annotations

import getpass
import json
from typing import Any

import click
import yaml
from rich.text import Text

from dagster_project.cli.terminal import console
from dagster_project.settings import settings

NOT_GOVERNED = frozenset({"landing_schema"})  # where data lies is no criterion


@click.group()
def criteria() -> None:
    """Thresholds with versions; a change takes effect at the next build."""


def defaults() -> dict[str, Any]:
    """The repository's own values of the thresholds, from dbt_project.yml."""
    text = (settings().dbt_project_dir / "dbt_project.yml").read_text(encoding="utf-8")
    given: dict[str, Any] = yaml.safe_load(text).get("vars") or {}
    return {name: value for name, value in given.items() if name not in NOT_GOVERNED}


@criteria.command("list")
@click.argument("name", required=False)
def list_criteria(name: str | None) -> None:
    """What holds for each threshold, where it differs from the repository, and the versions with who and why."""
    from dagster_project.ledger.criteria import drifts, versions
    from dagster_project.runtime import surroundings

    with surroundings().database.reading() as connection:
        drifted = {one.name: one for one in drifts(connection, defaults())}
        rows = versions(connection, name)
    for key, default in defaults().items():
        if name is None or key == name:
            drift = drifted.get(key)
            told = (
                f"{drift.value!r} by version {drift.number}; the repository says {default!r}"
                if drift
                else f"{default!r}"
            )
            console().print(Text(f"{key}: {told}", style="yellow" if drift else ""))
    for row in rows:
        what = f"{row.name} version {row.number}: {json.loads(row.value_json)!r}, {row.state}"
        by = f"proposed by {row.proposed_by} {row.proposed_at:%Y-%m-%d %H:%M} ({row.why})"
        decided = f"; {row.decided_by} {row.decided_at:%Y-%m-%d %H:%M} ({row.decided_why})" if row.decided_by else ""
        console().print(Text(f"  {what}; {by}{decided}"), soft_wrap=True)
        for signal, told in json.loads(row.preview_json).items():
            console().print(Text(f"    {signal}: {told}"), soft_wrap=True)


@criteria.command("propose")
@click.argument("name")
@click.argument("value")
@click.option(
    "--signal", "signals", multiple=True, help="Preview this signal; those whose own SQL reads it, if left out."
)
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def propose_criteria(name: str, value: str, signals: tuple[str, ...], why: str, who: str) -> None:
    """Propose another value for a threshold; shows who would enter and leave. Somebody else has to accept it."""
    from dagster_project.ledger.controls import Person
    from dagster_project.ledger.criteria import CriteriaRefused, checked, propose
    from dagster_project.runtime import surroundings

    try:
        wanted = checked(name, yaml.safe_load(value), defaults())
    except CriteriaRefused as error:
        raise click.ClickException(str(error)) from error
    previews = _previews(name, wanted, signals)
    for signal, told in previews.items():
        console().print(Text(f"{signal}: {told}"), soft_wrap=True)
    number = propose(surroundings().database, name, wanted, previews, Person(who, why))
    click.echo(
        f"proposed: version {number} of {name}. Another person: `loopctl criteria accept {name} {number} --why ...`"
    )


def _previews(name: str, value: Any, signals: tuple[str, ...]) -> dict[str, str]:
    """For each signal what the value would change, against what is built now."""
    from dagster_project.contracts.vocabulary import Kind
    from dagster_project.ledger.criteria import in_force
    from dagster_project.preview import PreviewFailed, preview
    from dagster_project.runtime import surroundings

    around = surroundings()
    if unknown := sorted(set(signals) - set(around.catalog.signals)):
        raise click.ClickException(f"no signal {unknown[0]!r}; there are: {', '.join(sorted(around.catalog.signals))}")
    with around.database.reading() as connection:
        variables = {key: held for key, (_, held) in in_force(connection).items()} | {name: value}
    told = {}
    for signal in signals or _readers(name):
        try:
            found = preview(around, signal, variables)
        except PreviewFailed as error:
            raise click.ClickException(f"{signal}: {error}. Nothing was proposed.") from error
        kinds = {kind: sum(one.kind is kind for one in found.foreseen) for kind in Kind}
        acts = sum(not one.is_group and one.state.value in ("waiting", "held") for one in found.plan.actions)
        told[signal] = (
            f"{found.flagged} flagged, {kinds[Kind.OPENED]} would enter, {kinds[Kind.ESCALATED]} rise, "
            f"{kinds[Kind.RESOLVED]} leave, {acts} actions"
        )
    return told


def _readers(name: str) -> list[str]:
    """The signals whose own SQL reads a dbt var; what reads it further up shows in no preview."""
    from dagster_project.runtime import surroundings

    folder = settings().dbt_project_dir
    found = []
    for signal in surroundings().catalog.signals.values():
        text = (folder / signal.sql_file).read_text(encoding="utf-8")
        if f"var('{name}'" in text or f'var("{name}"' in text:
            found.append(signal.name)
    return found


@criteria.command("accept")
@click.argument("name")
@click.argument("number", type=int)
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def accept_criteria(name: str, number: int, why: str, who: str) -> None:
    """Put a proposed version into force from the next build on; not by whoever proposed it."""
    from dagster_project.ledger.criteria import accept

    _decided(accept, name, number, why, who)
    click.echo(f"version {number} of {name} is in force from the next build on")


@criteria.command("refuse")
@click.argument("name")
@click.argument("number", type=int)
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def refuse_criteria(name: str, number: int, why: str, who: str) -> None:
    """End a proposal for good."""
    from dagster_project.ledger.criteria import refuse

    _decided(refuse, name, number, why, who)
    click.echo(f"version {number} of {name} is refused")


def _decided(decide: Any, name: str, number: int, why: str, who: str) -> None:
    from dagster_project.ledger.controls import Person
    from dagster_project.ledger.criteria import CriteriaRefused
    from dagster_project.runtime import surroundings

    try:
        decide(surroundings().database, name, number, Person(who, why))
    except CriteriaRefused as error:
        raise click.ClickException(str(error)) from error


@criteria.command("rollback")
@click.argument("name")
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def rollback_criteria(name: str, why: str, who: str) -> None:
    """Take the version in force back; the one before it, or the repository's default, holds from the next build on."""
    from dagster_project.ledger.controls import Person
    from dagster_project.ledger.criteria import CriteriaRefused, roll_back
    from dagster_project.runtime import surroundings

    try:
        value = roll_back(surroundings().database, name, Person(who, why))
    except CriteriaRefused as error:
        raise click.ClickException(str(error)) from error
    told = f"{value!r}" if value is not None else f"the repository's default, {defaults().get(name)!r},"
    click.echo(f"{name}: {told} holds from the next build on")
