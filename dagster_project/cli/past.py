"""The commands that reach into the past: act on a baseline, backfill a range, prune what is old."""

from __future__ import annotations

import getpass
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.text import Text

from dagster_project.cli.terminal import console

_SPAN = re.compile(r"^(\d+)d$")


class Days(click.ParamType[timedelta]):
    """A span in days, written as 400d."""

    name = "days"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = _SPAN.match(str(value))
        if found is None:
            self.fail(f"{value!r} is no span of days; write 400d", param, ctx)
        return timedelta(days=int(found.group(1)))


def _selecting(command: Any) -> Any:
    """The options that both commands select by."""
    options = (
        click.option("--signal", required=True, help="Of this signal."),
        click.option("--ids", help="Entities or events, separated by commas."),
        click.option("--where", "pairs", multiple=True, metavar="COLUMN=VALUE", help="Whose row has this value."),
        click.option("--limit", type=click.IntRange(min=1), help="At most so many, the most severe first."),
        click.option("--dry-run", is_flag=True, help="Only say what would be planned."),
        click.option("--why", required=True, help="Recorded in the audit trail."),
        click.option("--by", "who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def baseline() -> None:
    """What was there before the loop was: never acted on unless somebody asks."""


@baseline.command("act")
@_selecting
def act_on_baseline(
    signal: str, ids: str | None, pairs: tuple[str, ...], limit: int | None, dry_run: bool, why: str, who: str
) -> None:
    """Plan baseline events that still hold, as normal events under the playbook in force, with guards and approval."""
    _reopen(signal, ids, pairs, limit, None, None, True, dry_run, why, who)


@click.command()
@_selecting
@click.option("--since", type=click.DateTime(), help="Captured at this moment (UTC) or later.")
@click.option("--until", type=click.DateTime(), help="Captured before this moment (UTC).")
def backfill(
    signal: str,
    ids: str | None,
    pairs: tuple[str, ...],
    limit: int | None,
    since: datetime | None,
    until: datetime | None,
    dry_run: bool,
    why: str,
    who: str,
) -> None:
    """Plan events of a range anew under the playbook in force: steps that have no action yet, or were left in shadow.

    What was delivered, or may have been, keeps its key and is never done again.
    """
    _reopen(signal, ids, pairs, limit, since, until, False, dry_run, why, who)


def _reopen(
    signal: str,
    ids: str | None,
    pairs: tuple[str, ...],
    limit: int | None,
    since: datetime | None,
    until: datetime | None,
    is_baseline: bool,
    is_dry_run: bool,
    why: str,
    who: str,
) -> None:
    from dagster_project.cli.identity import acting_member, council_of, told_in_words
    from dagster_project.contracts.roles import Right, reach_of
    from dagster_project.ledger.controls import Person
    from dagster_project.ledger.reopening import NothingToReopen, Range, Reopening, reopen
    from dagster_project.runtime import reopening_of, surroundings

    around = surroundings()
    if signal not in around.catalog.signals:
        raise click.ClickException(f"no signal {signal!r}; there are: {', '.join(sorted(around.catalog.signals))}")
    named = tuple(one.strip() for one in ids.split(",") if one.strip()) if ids else ()
    wanted = Range(named, _utc(since), _utc(until), dict(map(_pair, pairs)), limit, is_baseline)
    member = acting_member(around.database, who)
    council = council_of(around)
    with told_in_words():
        council.ask(member, Right.REPLAY, reach_of([signal], council.owner_of), signal)
    request: Reopening = reopening_of(around, signal, needs_approval=not member.is_unasked)
    try:
        report = reopen(around.database, wanted, request, Person(member.name, why), is_dry_run)
    except NothingToReopen as error:
        raise click.UsageError(str(error)) from error
    would = "would be " if is_dry_run else ""
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.planned.items()))
    click.echo(f"{signal}: {report.events} events {would}planned: {states or 'no actions'}")
    for reason, count in sorted(report.left.items()):
        click.echo(f"  {count} events left as they are: {reason}")
    if request.needs_approval and report.planned.get("held") and not is_dry_run:
        click.echo(f"another person: `loopctl approve --signal {signal} --reason acted_on_request --why ...`")


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (sign and name):
        raise click.UsageError(f"--where {text!r}: write COLUMN=VALUE")
    return name.removeprefix("row."), value


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


@click.command()
@click.option("--older-than", required=True, type=Days(), help="Such as 400d.")
@click.option("--dry-run", is_flag=True, help="Only say what would go, and why what stays stays.")
@click.option("--signal", "signals", multiple=True, help="Only these signals; all, if left out.")
@click.option("--warehouse/--no-warehouse", default=True, help="Prune the warehouse's capture tables too.")
@click.option("--why", default="by hand", show_default=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def prune(older_than: timedelta, dry_run: bool, signals: tuple[str, ...], warehouse: bool, why: str, who: str) -> None:
    """Take settled, ended episodes that are old enough out of the ledger; totals and what was done for whom stay."""
    from dagster_project.cli.identity import acting_member, council_of, told_in_words
    from dagster_project.contracts.roles import Right
    from dagster_project.ledger.controls import Person
    from dagster_project.ledger.governed import EVERYTHING
    from dagster_project.ledger.pruning import PruneRefused
    from dagster_project.retention import WarehouseNotPruned, prune_all
    from dagster_project.runtime import surroundings

    around = surroundings()
    member = acting_member(around.database, who)
    with told_in_words():
        council_of(around).ask(member, Right.PRUNE, EVERYTHING, "pruning")
    try:
        lines = prune_all(around, older_than, Person(member.name, why), dry_run, signals, warehouse)
        for line in lines:
            console().print(Text(line), soft_wrap=True)
    except (PruneRefused, WarehouseNotPruned) as error:
        raise click.ClickException(str(error)) from error
