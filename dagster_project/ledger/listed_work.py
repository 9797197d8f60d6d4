"""Which work would reach somebody on the do-not-contact list: asked in the transaction that plans, sends or lets go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Select, and_, func, or_, select

from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.schema import actions, do_not_contact, requests
from dagster_project.ledger.transitions import chunks

DO_NOT_CONTACT = "do_not_contact"  # why work is suppressed or held whose contact is on the list
UNSETTLED = ("waiting", "held")


def listed_contacts(connection: Connection, entity: str, ids: Iterable[str]) -> set[str]:
    """Those of these ids that are on the list for this kind of entity."""
    found: set[str] = set()
    for some in chunks(sorted(set(ids))):
        query = select(do_not_contact.c.entity_id).where(
            do_not_contact.c.entity == entity, do_not_contact.c.entity_id.in_(some)
        )
        found |= set(connection.execute(query).scalars())
    return found


def is_named(member: FromClause) -> ColumnElement[bool]:
    """Whether the stored request of its group names a member: it was unsettled when that was rendered.

    Parameters: the member's row; the query joins `requests` to it by the group.
    """
    return or_(member.c.state.in_(UNSETTLED), member.c.settled_at > requests.c.rendered_at)


def held_for_listed() -> Select[Any]:
    """The ids of work held as `do_not_contact` that would still reach somebody who is listed now: single actions, and
    groups with their members."""
    held, member = actions.alias("held"), actions.alias("member")
    is_reached = or_(
        member.c.action_id == held.c.action_id,
        and_(member.c.group_id == func.coalesce(held.c.group_id, held.c.action_id), is_named(member)),
    )
    is_listed = and_(
        do_not_contact.c.entity == member.c.contact_entity, do_not_contact.c.entity_id == member.c.contact_id
    )
    reached = (
        select(member.c.action_id)
        .outerjoin(requests, requests.c.action_id == member.c.group_id)
        .join(do_not_contact, is_listed)
        .where(is_reached)
    )
    is_held = (held.c.state == ActionState.HELD.value, held.c.reason == DO_NOT_CONTACT)
    return select(held.c.action_id).where(*is_held, reached.correlate(held).exists())
