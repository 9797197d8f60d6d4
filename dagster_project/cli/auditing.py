"""The auditor's commands: does the trail hold, are the records as we wrote them, and what is forgotten on request."""

from __future__ import annotations

import getpass
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.text import Text

from dagster_project.cli.terminal import console

if TYPE_CHECKING:
    from dagster_project.verify.alert_delivery import AlertReport

SHOWN = 20


@click.group()
def audit() -> None:
    """The audit trail and the samples of records read back."""


@audit.command("head")
def audit_head() -> None:
    """One line that the trail leads to now; keep it where the ledger's administrators cannot reach it."""
    from dagster_project.cli.at_hand import at_hand
    from dagster_project.ledger.audit_chain import heads
    from dagster_project.verify.audit_trail import head_text

    with at_hand() as around, around.database.reading() as connection:
        found = heads(connection)
    if not found:
        raise click.ClickException("the audit trail is empty yet")
    click.echo(head_text(found))


@audit.command("verify")
@click.option("--against", help="A head kept elsewhere, as `audit head` printed it, or @FILE with it.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def audit_verify(against: str | None, as_json: bool) -> None:
    """Recount the whole trail; names every row that was edited, taken out, put in or moved. Exit status 1 if any."""
    from dagster_project.cli.at_hand import at_hand
    from dagster_project.verify.audit_trail import HeadRefused, head_text, heads_from, recount

    try:
        line = Path(against[1:]).read_text(encoding="utf-8") if against and against.startswith("@") else against
        kept = heads_from(line) if line is not None else ()
    except (HeadRefused, OSError) as error:
        raise click.ClickException(f"--against: {error}. Nothing was compared.") from error
    with at_hand() as around, around.database.reading() as connection:
        report = recount(connection, kept)
    if as_json:
        found = [{"seq": one.seq, "chain": one.chain, "what": one.what} for one in report.findings]
        click.echo(json.dumps({"rows": report.rows, "head": head_text(report.heads), "findings": found}, indent=2))
        sys.exit(0 if report.holds else 1)
    for finding in report.findings[:SHOWN]:
        console().print(Text(str(finding), style="bold red"), soft_wrap=True)
    if len(report.findings) > SHOWN:
        click.echo(f"... and {len(report.findings) - SHOWN} more (--json has all)")
    compared = f", and leads past the head of {len(kept)} chain(s) kept elsewhere" if kept else ""
    verdict = f"holds{compared}" if report.holds else f"was touched: {len(report.findings)} finding(s)"
    click.echo(f"{report.rows} rows in {len(report.heads)} chains: the trail {verdict}")
    sys.exit(0 if report.holds else 1)


@audit.command("sample")
@click.option("--days", default=1.0, show_default=True, help="How far back.")
@click.option("--records", default=50, show_default=True, help="How many; of each signal, step and destination one.")
@click.option("--seed", type=int, help="That of an earlier sample, to draw it again.")
def audit_sample(days: float, records: int, seed: int | None) -> None:
    """Draw delivered actions at random, read their records back, and file what came of it. Exit 1 if any is wrong."""
    from dagster_project.runtime import surroundings
    from dagster_project.verify.reading_back import take_sample

    report = take_sample(surroundings(), "by_hand", timedelta(days=days), records, seed)
    counts: dict[str, int] = {}
    for action, verdict in report.verdicts:
        counts[verdict.verdict] = counts.get(verdict.verdict, 0) + 1
        if verdict.verdict != "match":
            what = f"{verdict.verdict:<10} {action.signal} {action.step} at {action.destination}  {action.action_id}"
            console().print(Text(f"{what}: {'; '.join(verdict.findings)}"), soft_wrap=True)
    told = (
        ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing was delivered in that time"
    )
    click.echo(f"sample {report.sample_id}, seed {report.seed}, of {report.delivered} delivered: {told}")
    sys.exit(1 if counts.get("mismatch", 0) or counts.get("gone", 0) else 0)


@audit.command("note")
@click.argument("sample_id")
@click.argument("action_id")
@click.argument("verdict", type=click.Choice(["match", "mismatch", "gone", "changed"]))
@click.option("--why", required=True, help="What you saw.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def audit_note(sample_id: str, action_id: str, verdict: str, why: str, who: str) -> None:
    """Keep your own verdict on a sampled record; it goes before the loop's."""
    from dagster_project.cli.at_hand import at_hand
    from dagster_project.cli.identity import acting_member, council_of, told_in_words
    from dagster_project.ledger.samples import NoSuchSample
    from dagster_project.ledger.stewardship import check_sample

    try:
        with at_hand() as around, told_in_words():
            member = acting_member(around.database, who)
            check_sample(council_of(around), member, sample_id, action_id, verdict, why)
    except NoSuchSample as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"noted: {verdict}")


@click.command()
@click.argument("entity")
@click.option("--signal", required=True, help="The signal whose data on the entity is erased.")
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(entity: str, signal: str, why: str, who: str, yes: bool) -> None:
    """Empty row snapshots, requests and texts about an entity; ids, states, counts and the audit chain stay."""
    from dagster_project.cli.at_hand import at_hand
    from dagster_project.cli.identity import acting_member, council_of, told_in_words
    from dagster_project.ledger.erasure import NotErased
    from dagster_project.ledger.stewardship import erase as erase_as

    with at_hand() as around:
        member = acting_member(around.database, who)
        if not yes:
            click.confirm(
                f"What the ledger holds about {entity} for {signal} cannot be brought back. Erase it?", abort=True
            )
        try:
            with told_in_words():
                erased = erase_as(council_of(around), member, signal, entity, why)
        except NotErased as error:
            raise click.ClickException(str(error)) from error
    click.echo(
        f"erased: {erased.events} events, {erased.actions} actions and groups, {erased.texts} texts of the trail"
    )


@click.command()
@click.option("--send", "is_sent", is_flag=True, help="Look now, and send what is due.")
def alerts(is_sent: bool) -> None:
    """What is wrong now, since when, and whether people were told. Exit status 1 if anything is."""
    from dagster_project.cli.at_hand import at_hand
    from dagster_project.ledger.incidents import open_incidents, unsent_messages
    from dagster_project.verify.alert_delivery import channels_of, watch

    with at_hand() as around:
        told = told_of(watch(around)) if is_sent else []
        found, unsent = open_incidents(around.database), list(unsent_messages(around.database))
        is_anybody_told = bool(channels_of(around).roles)
    for line in told:
        click.echo(line)
    for incident in found:
        what = f"{incident.opened_at:%Y-%m-%d %H:%M}  {incident.kind} {incident.subject}: {incident.summary}"
        console().print(Text(what), soft_wrap=True)
    for row in unsent:
        told_not = f"not told over {row.role}: {row.state} after {row.attempts} attempts"
        console().print(Text(f"  {told_not} ({row.reason or 'not tried yet'})", style="yellow"), soft_wrap=True)
    if not is_anybody_told:
        click.echo("nobody is told: LOOP_ALERT_CHANNEL and LOOP_ALERT_EMAIL are empty")
    click.echo(f"{len(found)} incident(s) open")
    sys.exit(1 if found else 0)


def told_of(report: AlertReport) -> list[str]:
    """Lines on what a look for incidents found and told."""
    lines = [f"incident: {one.kind} {one.subject}: {one.summary}" for one in report.changes.opened]
    lines += [f"over: {one.kind} {one.subject}" for one in report.changes.resolved]
    if report.states:
        lines.append("alerts: " + ", ".join(f"{count} {state}" for state, count in sorted(report.states.items())))
    return lines
