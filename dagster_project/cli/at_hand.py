"""What looks and levers work with, whatever state the project's files are in: the ledger and the last good catalog."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from dagster_project.contracts.catalog import Catalog, CatalogRefused
from dagster_project.ledger.database import open_database
from dagster_project.ledger.governed import Council
from dagster_project.ledger.row_counts import read_counts
from dagster_project.prepare import last_catalog
from dagster_project.respond.action_run import Surroundings
from dagster_project.settings import settings


def warn(text: str) -> None:
    """On stderr, so that what is read by machines stays what it is."""
    click.echo(f"warning: {text}", err=True)


@contextmanager
def at_hand() -> Iterator[Surroundings]:
    """As `runtime.surroundings`, for what only reads the ledger or writes a person's word into it.

    Detecting and acting take the other one, which refuses a catalog that its sources have left behind.
    Raises CatalogRefused where there is no catalog that can be read at all.
    """
    from dagster_project.runtime import surroundings_for

    catalog, warning = last_catalog(settings())
    if warning:
        warn(warning)
    around = surroundings_for(settings(), catalog)
    try:
        yield around
    finally:
        around.database.close()


@dataclass(frozen=True)
class Brake:
    """Who asks the rules when somebody stops or goes on, and every subject that there is to stop."""

    council: Council
    subjects: tuple[str, ...]


@contextmanager
def brake_at_hand() -> Iterator[Brake]:
    """What stopping and going on need: the ledger, and nothing else that could be broken.

    Without a catalog nobody owns any signal: a person who is confined to an owner's signals is refused, all others may.
    """
    chosen = settings()
    catalog = _catalog_if_any()
    owners = {name: signal.spec.owner for name, signal in catalog.signals.items()} if catalog else {}
    names = {*owners, *(catalog.quarantined if catalog else ())}
    database = open_database(chosen.ledger_address)
    try:
        with database.reading() as connection:
            names |= {counted.signal for counted in read_counts(connection)}
        subjects = [f"signal:{name}" for name in sorted(names)]
        subjects += [f"destination:{name}" for name in sorted(set(chosen.bindings.values()))]
        yield Brake(Council(database, owners), ("all", *subjects))
    finally:
        database.close()


def _catalog_if_any() -> Catalog | None:
    try:
        catalog, warning = last_catalog(settings())
    except CatalogRefused as refused:
        catalog, warning = None, str(refused)
    if warning:
        warn(warning)
    return catalog
