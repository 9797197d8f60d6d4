"""Who must not be contacted: the ledger's own copy of the list, so that it can be asked in an intent's transaction."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from dagster_project.ledger.schema import do_not_contact
from dagster_project.ledger.transitions import chunks


def listed_contacts(connection: Connection, entity: str, ids: Iterable[str]) -> set[str]:
    """Those of these ids that are on the list for this kind of entity."""
    found: set[str] = set()
    for some in chunks(sorted(set(ids))):
        query = select(do_not_contact.c.entity_id).where(
            do_not_contact.c.entity == entity, do_not_contact.c.entity_id.in_(some)
        )
        found |= set(connection.execute(query).scalars())
    return found
