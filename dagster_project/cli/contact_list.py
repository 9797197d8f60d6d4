"""The command by which a person takes the warehouse's do-not-contact list as right, however much it has lost."""

from __future__ import annotations

import getpass

import click

SHOWN = 20


@click.group()
def contacts() -> None:
    """The do-not-contact list, which the ledger keeps where the warehouse's cannot be believed."""


@contacts.command("accept")
@click.option("--why", required=True, help="Recorded in the audit trail.")
@click.option("--who", default=getpass.getuser, help="Recorded in the audit trail; you, if left out.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def accept_contacts(why: str, who: str, yes: bool) -> None:
    """Take off whom the warehouse's list lacks now; shows first who may be contacted then."""
    from dagster_project.cli.identity import acting_member, council_of, told_in_words
    from dagster_project.ledger.catching_up import read_contacts
    from dagster_project.ledger.contacts import entries_lacking
    from dagster_project.runtime import surroundings

    around = surroundings()
    member = acting_member(around.database, who)
    listed = read_contacts(around.database, around.settings.warehouse_target, around.catalog)
    lacking = entries_lacking(around.database, listed)
    if not lacking:
        click.echo("the warehouse's list lacks nobody who is on the ledger's; nothing was changed")
        return
    for entity, entity_id in lacking[:SHOWN]:
        click.echo(f"  {entity} {entity_id}")
    if len(lacking) > SHOWN:
        click.echo(f"  ... and {len(lacking) - SHOWN:,} more")
    if not yes:
        click.confirm(f"Take these {len(lacking):,} off the list, so that they may be contacted?", abort=True)
    with told_in_words():
        count = council_of(around).accept_missing_contacts(member, lacking, why)
    click.echo(f"{count:,} entries were taken off the do-not-contact list")
