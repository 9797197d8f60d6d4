"""The commands by which thresholds change: proposed with a preview, accepted by somebody else, taken back."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from dagster_project.cli.terminal import console

if TYPE_CHECKING:
    from dagster_project.contracts.roles import Member
    from dagster_project.ledger.governed import Council


@click.group()
def criteria() -> None:
    """Thresholds with versions; a change takes effect at the next build."""


@criteria.command("list")
@click.argument("name", required=False)
def list_criteria(name: str | None) -> None:
    """What holds for each threshold, where it differs from the repository, and the versions with who and why."""
    from dagster_project.cli.at_hand import at_hand
    from dagster_project.ledger.criteria import drifts, versions
    from dagster_project.preview.threshold_change import in_words

    with at_hand() as around, around.database.reading() as connection:
        drifted = {one.name: one for one in drifts(connection, around.catalog.thresholds)}
        rows = versions(connection, name)
    for key in [*around.catalog.thresholds, *(set(drifted) - set(around.catalog.thresholds))]:
        if name is None or key == name:
            drift, default = drifted.get(key), around.catalog.thresholds.get(key)
            told = f"{default!r}"
            if drift:
                told = f"{drift.value!r} by version {drift.number}; the repository says {default!r}"
            console().print(Text(f"{key}: {told}", style="yellow" if drift else ""))
    for row in rows:
        what = f"{row.name} version {row.number}: {json.loads(row.value_json)!r}, {row.state}"
        by = f"proposed by {row.proposed_by} {row.proposed_at:%Y-%m-%d %H:%M} ({row.why})"
        decided = f"; {row.decided_by} {row.decided_at:%Y-%m-%d %H:%M} ({row.decided_why})" if row.decided_by else ""
        console().print(Text(f"  {what}; {by}{decided}"), soft_wrap=True)
        for signal, told in json.loads(row.preview_json).items():
            console().print(Text(f"    {signal}: {in_words(told)}"), soft_wrap=True)


@criteria.command("propose")
@click.argument("name")
@click.argument("value")
@click.option("--signal", "signals", multiple=True, help="Preview this signal; all that it decides on, if left out.")
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def propose_criteria(name: str, value: str, signals: tuple[str, ...], why: str, who: str) -> None:
    """Propose another value for a threshold; shows who would enter and leave. Somebody else has to accept it."""
    from dagster_project.contracts.roles import Right
    from dagster_project.ledger.criteria import parsed
    from dagster_project.ledger.stewardship import propose, reach_of_threshold

    with _asked(who) as (council, member):
        readers = _readers(name)
        council.ask(member, Right.EDIT_CRITERIA, reach_of_threshold(council, readers), name)
        wanted = parsed(name, value, _thresholds())
        previews = _previews(name, wanted, signals or tuple(readers))
        number = propose(council, member, name, wanted, previews, readers, why)
    click.echo(
        f"proposed: version {number} of {name}. Another person: `loopctl criteria accept {name} {number} --why ...`"
    )


@contextmanager
def _asked(who: str) -> Iterator[tuple[Council, Member]]:
    """Who asks the rules, and the person; what is refused is told in a sentence."""
    from dagster_project.cli.identity import acting_member, council_of, told_in_words
    from dagster_project.ledger.criteria import CriteriaRefused
    from dagster_project.runtime import surroundings

    around = surroundings()
    try:
        with told_in_words():
            yield council_of(around), acting_member(around.database, who)
    except CriteriaRefused as error:
        raise click.ClickException(str(error)) from error


def _thresholds() -> dict[str, Any]:
    from dagster_project.runtime import surroundings

    return surroundings().catalog.thresholds


def _readers(name: str) -> list[str]:
    from dagster_project.runtime import surroundings

    return surroundings().catalog.readers_of(name)


def _previews(name: str, value: Any, signals: tuple[str, ...]) -> dict[str, Any]:
    """For each signal what the value would change, against what is built now; told as it is found."""
    from dagster_project.preview.compiled_sql import PreviewFailed
    from dagster_project.preview.threshold_change import change_of, in_words
    from dagster_project.runtime import surroundings

    around = surroundings()
    if unknown := sorted(set(signals) - set(around.catalog.signals)):
        raise click.ClickException(f"no signal {unknown[0]!r}; there are: {', '.join(sorted(around.catalog.signals))}")
    try:
        found = change_of(around, name, value, signals)
    except PreviewFailed as error:
        raise click.ClickException(f"{error}. Nothing was proposed.") from error
    for signal, told in found.items():
        console().print(Text(f"{signal}: {in_words(told)}"), soft_wrap=True)
    return found


@criteria.command("accept")
@click.argument("name")
@click.argument("number", type=int)
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def accept_criteria(name: str, number: int, why: str, who: str) -> None:
    """Put a proposed version into force from the next build on; not by whoever proposed it."""
    from dagster_project.ledger.stewardship import accept

    with _asked(who) as (council, member):
        accept(council, member, name, number, _readers(name), why)
    click.echo(f"version {number} of {name} is in force from the next build on")


@criteria.command("refuse")
@click.argument("name")
@click.argument("number", type=int)
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def refuse_criteria(name: str, number: int, why: str, who: str) -> None:
    """End a proposal for good."""
    from dagster_project.ledger.stewardship import refuse

    with _asked(who) as (council, member):
        refuse(council, member, name, number, _readers(name), why)
    click.echo(f"version {number} of {name} is refused")


@criteria.command("rollback")
@click.argument("name")
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def rollback_criteria(name: str, why: str, who: str) -> None:
    """Take the version in force back; the one before it, or the repository's default, holds from the next build on."""
    from dagster_project.ledger.stewardship import roll_back

    with _asked(who) as (council, member):
        value = roll_back(council, member, name, _readers(name), why)
    told = f"{value!r}" if value is not None else f"the repository's default, {_thresholds().get(name)!r},"
    click.echo(f"{name}: {told} holds from the next build on")
