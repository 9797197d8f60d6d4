"""`loopctl console`, and `loopctl access`, which says who may do what in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from dagster_project.settings import settings

if TYPE_CHECKING:
    from dagster_project.ledger.database import Database


@click.command("console")
@click.option("--port", default=8660, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Another address only once people sign in.")
def serve_console(port: int, host: str) -> None:
    """Serve the console until Ctrl-C: overview, stories, queues, signals, audit."""
    from dagster_project.console.exposure import ExposureRefused
    from dagster_project.console.server import serve

    click.echo(f"console: http://{host}:{port}")
    try:
        serve(settings(), host, port)
    except ExposureRefused as refused:
        raise click.ClickException(str(refused)) from refused


@click.group()
def access() -> None:
    """People, their roles and their tokens. From the first person on, everybody has to say who they are."""


@access.group()
def token() -> None:
    """API tokens: to sign in to the console, and for loopctl in LOOP_ACCESS_TOKEN."""


@access.group()
def person() -> None:
    """People and their roles; also of those whom a signing-in proxy names."""


@contextmanager
def _admin() -> Iterator[tuple[Database, str]]:
    """The ledger, opened for somebody who may give access, and their name."""
    from dagster_project.cli.identity import acting_member, told_in_words
    from dagster_project.contracts.roles import Right
    from dagster_project.ledger.access import AccessRefused
    from dagster_project.ledger.database import open_database
    from dagster_project.ledger.governed import EVERYTHING, Council

    database = open_database(settings().ledger_address)
    try:
        member = acting_member(database)
        with told_in_words():
            Council(database, {}).ask(member, Right.GIVE_ACCESS, EVERYTHING)
        yield database, member.name
    except AccessRefused as refused:
        raise click.ClickException(str(refused)) from refused
    finally:
        database.close()


def _give(database: Database, name: str, roles: tuple[str, ...], owners: tuple[str, ...], by: str) -> None:
    from dagster_project.contracts.roles import Role
    from dagster_project.ledger.access import set_person

    set_person(database, name, [Role(role) for role in roles], owners, by)


ROLES = click.Choice(["viewer", "operator", "approver", "editor", "admin"])


@token.command("create")
@click.argument("name")
@click.option("--role", "roles", multiple=True, type=ROLES, help="Gives the person these roles first.")
@click.option("--owner", "owners", multiple=True, help="Confines the person to the signals of this owner.")
@click.option("--days", default=90, show_default=True, type=click.IntRange(1, 366), help="How long it is good.")
@click.option("--label", default="", help="What it is for.")
def create(name: str, roles: tuple[str, ...], owners: tuple[str, ...], days: int, label: str) -> None:
    """Make a token for NAME; it is shown this once."""
    from dagster_project.ledger.access import create_token

    if owners and not roles:
        raise click.UsageError("--owner goes with --role")
    with _admin() as (database, by):
        if roles:
            _give(database, name, roles, owners, by)
        made = create_token(database, name, label, timedelta(days=days), by)
    click.echo(f"{made}\nThis token of {name} is good for {days} days and is not shown again.")


@token.command("list")
def list_tokens() -> None:
    """Every token, without its secret."""
    from dagster_project.ledger.access import all_tokens, is_good

    with _admin() as (database, _), database.reading() as connection:
        for row in all_tokens(connection):
            state = "good" if is_good(row, database.now()) else "revoked" if row.revoked_at else "expired"
            used = f"last used {row.used_at:%Y-%m-%d %H:%M}" if row.used_at else "never used"
            label = f"  {row.label}" if row.label else ""
            click.echo(f"{row.token_id}  {row.person}  {state} until {row.expires_at:%Y-%m-%d}  {used}{label}")


@token.command("revoke")
@click.argument("token_id")
def revoke(token_id: str) -> None:
    """End a token, and the sessions begun with it."""
    from dagster_project.ledger.access import revoke_token

    with _admin() as (database, by):
        if not revoke_token(database, token_id, by):
            raise click.ClickException(f"there is no token {token_id!r} that could be ended")
    click.echo(f"{token_id} is revoked; sessions begun with it are over")


@person.command("set")
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, type=ROLES)
@click.option("--owner", "owners", multiple=True, help="Confines the person to the signals of this owner.")
def set_role(name: str, roles: tuple[str, ...], owners: tuple[str, ...]) -> None:
    """Give NAME these roles, instead of those they had."""
    with _admin() as (database, by):
        _give(database, name, roles, owners, by)
    click.echo(f"{name}: {', '.join(roles)}" + (f", for the signals of {', '.join(owners)}" if owners else ""))


@person.command("list")
def list_people() -> None:
    """Everybody with their roles."""
    from dagster_project.ledger.access import all_people

    with _admin() as (database, _), database.reading() as connection:
        for one in all_people(connection):
            confined = f"  signals of {', '.join(sorted(one.owners))}" if one.owners else ""
            click.echo(f"{one.name}  {', '.join(sorted(one.roles))}{confined}")


@person.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Take NAME out, with their tokens and sessions."""
    from dagster_project.ledger.access import remove_person

    with _admin() as (database, by):
        if not remove_person(database, name, by):
            raise click.ClickException(f"there is no person {name!r}")
    click.echo(f"{name} is out; their tokens and sessions are over")
