"""Remembers which signals have a build that was refused, so that people are told of it and not only a tick's log."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from dagster_project.ledger.database import Database
from dagster_project.ledger.pruned import dialect_insert
from dagster_project.ledger.schema import facts

REFUSED = "refused_build:"  # and the signal


def note_refused(database: Database, signal: str, is_refused: bool) -> None:
    """Parameters: the ledger; the signal; whether the last look at its builds ended with one that is refused."""
    name = REFUSED + signal
    with database.reading() as connection:
        is_known = connection.execute(select(facts.c.name).where(facts.c.name == name)).first() is not None
    if is_known == is_refused:
        return

    def work(connection: Connection) -> None:
        if is_refused:
            noted = dialect_insert(connection, facts).values(name=name, value=database.now().isoformat())
            connection.execute(noted.on_conflict_do_nothing())
        else:
            connection.execute(delete(facts).where(facts.c.name == name))

    database.write(work, over=signal)


def signals_refused(connection: Connection) -> set[str]:
    """The signals of which a build is refused now."""
    query = select(facts.c.name).where(facts.c.name.startswith(REFUSED, autoescape=True))
    names: Iterable[str] = connection.execute(query).scalars()
    return {name.removeprefix(REFUSED) for name in names}
