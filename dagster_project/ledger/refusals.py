"""Checks once more, in the intent's own transaction, whom the work reaches: who is listed by now is not contacted.

Invariant: a group is never sent with a request that names somebody who is listed now, whoever approved it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.contacts import DO_NOT_CONTACT, UNSETTLED, is_named, listed_contacts
from dagster_project.ledger.moving_on import move_on, refresh_after
from dagster_project.ledger.readiness import refresh_groups
from dagster_project.ledger.retry_policy import Consequence
from dagster_project.ledger.schema import actions, attempts, requests
from dagster_project.ledger.supersession import may_have_happened
from dagster_project.ledger.transitions import chunks


def keep_back_refused(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> set[str]:
    """Settles what would reach somebody who is listed by now; returns which of these actions and groups must not go.

    Parameters: sealed or single actions whose way is open otherwise; the moment of the transaction.
    """
    singles = [row for row in rows if not row.is_group]
    groups = {row.action_id: row for row in rows if row.is_group}
    refused = _listed(connection, singles)
    _stop_singles(connection, refused, now)
    named = _named_by(connection, list(groups))
    by_group = {group_id: _listed(connection, members) for group_id, members in named.items()}
    with_refused = {group_id: members for group_id, members in by_group.items() if members}
    _stop_groups(connection, groups, with_refused, now)
    return {row.action_id for row in refused} | set(with_refused)


def _listed(connection: Connection, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """The actions that would reach someone on the do-not-contact list."""
    by_entity: dict[str, set[str]] = {}
    for row in rows:
        if row.contact_id is not None:
            by_entity.setdefault(row.contact_entity, set()).add(row.contact_id)
    listed = {entity: listed_contacts(connection, entity, ids) for entity, ids in by_entity.items()}
    return [row for row in rows if row.contact_id is not None and row.contact_id in listed[row.contact_entity]]


def _named_by(connection: Connection, group_ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """For each group the members that its stored request names, those that have left it since included."""
    found: dict[str, list[Row[Any]]] = {}
    for ids in chunks(group_ids):
        query = select(actions).join(requests, requests.c.action_id == actions.c.group_id)
        both = (actions.c.group_id.in_(ids), requests.c.action_id.in_(ids))  # a planner may overlook that they are one
        for row in connection.execute(query.where(*both, is_named(actions))):
            found.setdefault(row.group_id, []).append(row)
    return found


def _stop_singles(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> None:
    """Suppresses what was never tried; of what was, a part may have happened, so a person decides."""
    tried = _tried(connection, [row.action_id for row in rows])
    consequences = {True: ActionState.HELD, False: ActionState.SUPPRESSED}
    changes = [
        (row, Consequence(consequences[row.action_id in tried], DO_NOT_CONTACT), "listed after it was planned", None)
        for row in rows
    ]
    move_on(connection, changes, now)
    refresh_after(connection, rows, now)


def _stop_groups(
    connection: Connection, groups: Mapping[str, Row[Any]], refused: Mapping[str, Sequence[Row[Any]]], now: datetime
) -> None:
    """A group that has surely not happened is rendered anew without whom it must not reach.

    One that may have happened is held whole, the listed member with it: it may have been reached already, and another
    request under the same key would not be the same effect.
    """
    may_be_done = may_have_happened(connection, list(refused))
    why = "a member was listed after an attempt that may have happened"
    held = Consequence(ActionState.HELD, DO_NOT_CONTACT)
    move_on(connection, [(groups[group_id], held, why, None) for group_id in sorted(may_be_done)], now)
    for group_id in sorted(set(refused) - may_be_done):
        _stop_singles(connection, [member for member in refused[group_id] if member.state in UNSETTLED], now)
        _render_anew(connection, group_id, now)


def _render_anew(connection: Connection, group_id: str, now: datetime) -> None:
    """Forgets what was rendered, and with it the approval of it: what goes out next is not what a person was shown."""
    connection.execute(delete(requests).where(requests.c.action_id == group_id))
    whole = (actions.c.action_id == group_id) | (actions.c.group_id == group_id) & actions.c.state.in_(UNSETTLED)
    connection.execute(update(actions).where(whole).values(is_sealed=False, is_approved=False))
    refresh_groups(connection, {group_id}, now)


def _tried(connection: Connection, action_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for ids in chunks(action_ids):
        query = select(attempts.c.action_id).where(attempts.c.action_id.in_(ids)).distinct()
        found |= set(connection.execute(query).scalars())
    return found
