"""Who pulls loopctl's levers: the person of LOOP_ACCESS_TOKEN once the ledger knows people, before that the user."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import click

from dagster_project.contracts.roles import Member, Right, Role, reach_of
from dagster_project.ledger.access import is_sign_in_required, prove
from dagster_project.ledger.controls import NothingSelected
from dagster_project.ledger.database import Database
from dagster_project.ledger.governed import Council, NotAllowed, note_look, note_look_at_signal
from dagster_project.respond.action_run import Surroundings
from dagster_project.settings import settings


def acting_member(database: Database, who: str | None = None) -> Member:
    """The person who acts. Parameters: the ledger; the name given with --who, which must then be the token's own.

    Raises ClickException where the ledger knows people and the token is missing, not good, or another person's.
    """
    with database.reading() as connection:
        is_required = is_sign_in_required(connection)
    if not is_required:
        return Member(who or getpass.getuser(), frozenset({Role.ADMIN}), is_unasked=True)
    given = settings().access_token
    if given is None:
        raise click.ClickException(
            "this ledger asks who you are: set LOOP_ACCESS_TOKEN to your token. Nothing was done."
        )
    proven = prove(database, given.get_secret_value())
    if proven is None:
        raise click.ClickException("LOOP_ACCESS_TOKEN is unknown, expired or revoked. Nothing was done.")
    if who not in (None, getpass.getuser(), proven.member.name):
        raise click.ClickException(f"the token is {proven.member.name}'s, not {who}'s. Nothing was done.")
    return proven.member


def council_of(around: Surroundings) -> Council:
    return Council(around.database, {name: signal.spec.owner for name, signal in around.catalog.signals.items()})


@contextmanager
def told_in_words() -> Iterator[None]:
    """What the rules refuse is told in a sentence."""
    try:
        yield
    except NotAllowed as refused:
        raise click.ClickException(str(refused)) from refused
    except NothingSelected as error:
        raise click.UsageError(str(error)) from error


def look_at_personal_data(
    around: Surroundings, looked_at: Mapping[str, Sequence[str]], command: str, who: str | None = None
) -> None:
    """Asks whether the person may see it, and keeps the look in the audit trail before anything is shown.

    Parameters: the surroundings; the actions whose data is shown, by signal, none where only rows of it are; the
    command; who looks, as given with --who. Raises ClickException where the person may not.
    """
    member, council = acting_member(around.database, who), council_of(around)
    with told_in_words():
        council.ask(member, Right.SEE_PERSONAL_DATA, reach_of(looked_at, council.owner_of), command)
    for signal, action_ids in looked_at.items():
        if action_ids:
            note_look(around.database, member, action_ids, command)
        else:
            note_look_at_signal(around.database, member, signal, command)
