"""The levers: what a person stops, lets go on, releases, ends or tries anew, with who and why in the audit trail."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import UTC, datetime

import click
from rich.text import Text

from dagster_project.cli.terminal import console
from dagster_project.contracts.roles import Member
from dagster_project.ledger.controls import Selection
from dagster_project.ledger.database import Database
from dagster_project.respond.action_run import Surroundings

MARK_DONE = "mark-done"
Asks = Callable[[Surroundings, Selection, str], str | None]  # shows what would happen; the question, None for nothing


def _what_would_be_sent(around: Surroundings, selection: Selection, who: str) -> str | None:
    """Shows exactly what the approval lets go out, personal data included, for the one who answers for it."""
    from dagster_project.cli.identity import look_at_personal_data
    from dagster_project.verify.guarded import held_lines, personal_held

    look_at_personal_data(around, personal_held(around.database, around.catalog, selection), "loopctl approve", who)
    lines = list(held_lines(around.database, around.catalog, True, selection))
    for line in lines:
        console().print(Text(line), soft_wrap=True)
    return "Let this be sent?" if lines else None


def _what_would_end(lever: str) -> Asks:
    def counts(around: Surroundings, selection: Selection, who: str) -> str | None:
        from dagster_project.ledger.governed import Lever
        from dagster_project.ledger.unmoved import movable_lines

        with around.database.reading() as connection:
            lines = movable_lines(connection, Lever(lever), selection)
        for line in lines:
            console().print(Text(line), soft_wrap=True)
        return "End this for good? None of it can be replayed." if lines else None

    return counts


def _lever(name: str, summary: str, asks: Asks | None = None) -> click.Command:
    """A command that moves selected actions, with who and why; one that asks shows first what it is about."""

    @click.command(name, help=summary)
    @click.argument("ids", nargs=-1)
    @click.option("--signal", help="All of one signal.")
    @click.option("--destination", help="All of one destination.")
    @click.option("--reason", help="All with one reason, as `status` names it.")
    @click.option("--since", type=click.DateTime(), help="Planned at this moment (UTC) or later.")
    @click.option("--until", type=click.DateTime(), help="Planned before this moment (UTC).")
    @click.option("--why", required=True, help="Recorded in the audit trail.")
    @click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
    @click.option("--yes", is_flag=True, hidden=asks is None, help="Do not ask.")
    def pull(
        ids: tuple[str, ...],
        signal: str | None,
        destination: str | None,
        reason: str | None,
        since: datetime | None,
        until: datetime | None,
        why: str,
        who: str,
        yes: bool,
    ) -> None:
        from dagster_project.cli.at_hand import at_hand
        from dagster_project.cli.identity import acting_member

        selection = Selection(ids, signal, destination, reason, _utc(since), _utc(until))
        with at_hand() as around:
            member = acting_member(around.database, who)
            question = asks(around, selection, who) if asks and not selection.is_empty else None
            if question and not yes:
                click.confirm(question, abort=True)
            _pull(around, member, name, selection, why)

    return pull


def _pull(around: Surroundings, member: Member, name: str, selection: Selection, why: str) -> None:
    """Says how many changed; where nothing did, why not, with exit status 1."""
    from dagster_project.cli.identity import council_of, told_in_words
    from dagster_project.ledger.governed import Lever

    council = council_of(around)
    with told_in_words():
        if name == MARK_DONE:
            count = council.mark_done(member, selection, why)
        else:
            count = council.pull(member, Lever(name), selection, why)
    click.echo(f"{name}: {count} actions and groups")
    if not count:
        _say_why_not(around.database, name, selection)


def _say_why_not(database: Database, name: str, selection: Selection) -> None:
    from dagster_project.ledger.unmoved import why_unmoved

    with database.reading() as connection:
        lines = why_unmoved(connection, name, selection, database.now())
    raise click.ClickException("nothing was changed: " + "; ".join(lines))


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


@click.command("stop-all")
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def stop_all(why: str, who: str) -> None:
    """Stop everything: calls under way end, no other begins. `loopctl resume all` goes on without loss."""
    done = _pause("all", why, who)
    click.echo("everything is stopped; `loopctl resume all` goes on" if done else "everything was stopped already")


@click.command()
@click.argument("subject")
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def pause(subject: str, why: str, who: str) -> None:
    """Keep work from going out: all, signal:NAME or destination:NAME. Nothing is lost."""
    done = _pause(subject, why, who)
    click.echo(f"{subject} is paused" if done else f"{subject} was paused already")


def _pause(subject: str, why: str, who: str) -> bool:
    from dagster_project.cli.at_hand import brake_at_hand
    from dagster_project.cli.identity import acting_member, told_in_words

    with brake_at_hand() as brake:
        if subject not in brake.subjects:
            raise click.UsageError(f"{subject!r} is none of: {', '.join(brake.subjects)}")
        member = acting_member(brake.council.database, who)
        with told_in_words():
            return brake.council.pause(member, subject, why)


@click.command()
@click.argument("subject")
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
def resume(subject: str, why: str, who: str) -> None:
    """Let work go out again, all that was kept."""
    from dagster_project.cli.at_hand import brake_at_hand
    from dagster_project.cli.identity import acting_member, told_in_words

    with brake_at_hand() as brake:
        member = acting_member(brake.council.database, who)
        with told_in_words():
            done = brake.council.resume(member, subject, why)
    if not done:
        raise click.ClickException(f"nothing was paused under the name {subject!r}")
    click.echo(f"{subject} goes on")


LEVERS = (
    _lever("approve", "Release held work; exactly what was rendered and shown is sent.", _what_would_be_sent),
    _lever("reject", "End held work for good; asks first.", _what_would_end("reject")),
    _lever("replay", "Try dead work, or work of unknown outcome, anew under the same key."),
    _lever("discard", "End waiting, held or dead work for good; asks first.", _what_would_end("discard")),
    _lever(MARK_DONE, "Note that held work that may have happened was done; nothing is sent."),
    stop_all,
    pause,
    resume,
)
