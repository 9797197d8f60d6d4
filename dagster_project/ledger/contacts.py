"""Who must not be contacted: the ledger's own copy of the list, so that it can be asked in an intent's transaction.

INVARIANT. An entry is added as soon as the warehouse has it. It is taken off only where the warehouse has a list that
lacks it and that can be believed, or by a person: a list that is not there takes nobody off, and one that has lost its
entries at once is doubted until they come back or a person says that it is right. Who is listed too long gets a message
too late; who is taken off in error gets one that they have forbidden.
"""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select

from dagster_project.ledger.controls import Person
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import do_not_contact, facts
from dagster_project.ledger.transitions import write_audit

DO_NOT_CONTACT_MODEL = "do_not_contact"
LOOP = Person("loop", "")
DOUBT = "do_not_contact_doubt"
LEAST_DOUBTED = 10  # entries missing at once, where they are not all that there were

Listed = tuple[str, str, str, datetime]  # entity, its id, why, since when
Entry = tuple[str, str]  # entity, its id


@dataclass(frozen=True)
class Doubt:
    """Entries that the warehouse's list lacks and that are kept nevertheless."""

    entries: int  # on the list when it lost them: what it gains later does not make the loss smaller
    missing: int  # now


@dataclass(frozen=True)
class Change:
    """What becomes of the ledger's list."""

    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    doubt: Doubt | None


def is_doubtful(missing: int, entries: int) -> bool:
    """Whether a list may be lost rather than changed: it lacks all of its entries, or most of more than a few."""
    return 0 < entries <= missing or (missing >= LEAST_DOUBTED and 2 * missing > entries)


def change_of(known: Set[Entry], wanted: Set[Entry], doubt: Doubt | None) -> Change:
    """What the warehouse's list makes of the ledger's.

    Parameters: the ledger's entries; the warehouse's; what of it was doubted before.
    """
    added, missing = tuple(sorted(wanted - known)), tuple(sorted(known - wanted))
    entries = doubt.entries if doubt else len(known)
    if is_doubtful(len(missing), entries):
        return Change(added, (), Doubt(entries, len(missing)))
    return Change(added, missing, None)


def refresh_do_not_contact(database: Database, listed: Sequence[Listed] | None) -> int:
    """Makes the ledger's list equal the warehouse's, as far as that can be believed; returns how many entries changed.

    Parameters: the ledger; the warehouse's list, None where it has none.
    """
    if listed is None:
        return 0
    wanted = {(entity, entity_id): (reason, at) for entity, entity_id, reason, at in listed}
    with database.reading() as connection:
        doubt_before = _doubt(connection)
        change = change_of(_entries(connection), wanted.keys(), doubt_before)
    if not change.added and not change.removed and change.doubt == doubt_before:
        return 0

    def work(connection: Connection) -> int:
        change = change_of(_entries(connection), wanted.keys(), _doubt(connection))
        rows = [
            {"entity": entity, "entity_id": entity_id, "reason": reason, "listed_at": at}
            for entity, entity_id in change.added
            for reason, at in [wanted[entity, entity_id]]
        ]
        if rows:
            connection.execute(insert(do_not_contact), rows)
        _audit(connection, "listed", change.added, LOOP, database.now())
        _take_off(connection, change.removed, LOOP, database.now())
        _note_doubt(connection, change.doubt)
        return len(change.added) + len(change.removed)

    return database.write(work)


def accept_missing(database: Database, entries: Sequence[Entry], person: Person) -> int:
    """Takes off, by a person's word, entries that the warehouse's list lacks; returns how many there were.

    These and no others: what was listed while the person thought about it stays, and is not believed to be gone.
    """

    def work(connection: Connection) -> int:
        gone = sorted(_entries(connection) & set(entries))
        _take_off(connection, gone, person, database.now())
        _note_doubt(connection, None)  # what is missing beyond these is judged anew
        return len(gone)

    return database.write(work)


def entries_lacking(database: Database, listed: Sequence[Listed]) -> list[Entry]:
    """The entries of the ledger's list that another list lacks."""
    with database.reading() as connection:
        return sorted(_entries(connection) - {(entity, entity_id) for entity, entity_id, _, _ in listed})


def doubt_in_words(connection: Connection, has_model: bool) -> str | None:
    """What a person has to know of the list and can do; None where the ledger has what the warehouse says.

    Parameters: the ledger; whether the project has a model of the list at all.
    """
    if not has_model:
        kept = connection.execute(select(func.count()).select_from(do_not_contact)).scalar_one()
        return _without_model(kept) if kept else None
    doubt = _doubt(connection)
    return _doubted(doubt) if doubt else None


def _without_model(kept: int) -> str:
    return (
        f"the project has no model {DO_NOT_CONTACT_MODEL} any more (disabled, renamed or taken out); the ledger keeps "
        f"its list of {kept:,} as it is, and nobody new is listed. Bring the model back; if the list is to end, "
        "`loopctl contacts accept`"
    )


def _doubted(doubt: Doubt) -> str:
    return (
        f"the warehouse's list lost {doubt.missing:,} of its {doubt.entries:,} entries at once; the ledger keeps them. "
        "Look at the list's source and mend it; if they were taken off on purpose, `loopctl contacts accept`"
    )


def _entries(connection: Connection) -> set[Entry]:
    rows = connection.execute(select(do_not_contact.c.entity, do_not_contact.c.entity_id))
    return {(row.entity, row.entity_id) for row in rows}


def _doubt(connection: Connection) -> Doubt | None:
    found = connection.execute(select(facts.c.value).where(facts.c.name == DOUBT)).scalar()
    return None if found is None else Doubt(**json.loads(found))


def _note_doubt(connection: Connection, doubt: Doubt | None) -> None:
    connection.execute(delete(facts).where(facts.c.name == DOUBT))
    if doubt is not None:
        connection.execute(insert(facts), {"name": DOUBT, "value": json.dumps(asdict(doubt))})


def _take_off(connection: Connection, entries: Sequence[Entry], person: Person, now: datetime) -> None:
    for entity, entity_id in entries:
        connection.execute(
            delete(do_not_contact).where(do_not_contact.c.entity == entity, do_not_contact.c.entity_id == entity_id)
        )
    _audit(connection, "unlisted", entries, person, now)


def _audit(connection: Connection, verb: str, entries: Sequence[Entry], person: Person, now: datetime) -> None:
    why = f": {person.why}" if person.why else ""
    about = {"at": now, "actor": person.name, "verb": verb, "reason": DO_NOT_CONTACT_MODEL}
    write_audit(connection, [{**about, "detail": f"{entity} {entity_id}{why}"} for entity, entity_id in entries])
