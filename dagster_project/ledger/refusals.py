"""Checks once more, in the intent's own transaction, whom work is about: who is listed by now is not contacted, and who
was acted on since is let cool down.

Invariant: a group is never sent with a request that names somebody who is listed now, whoever approved it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from dagster_project.contracts.vocabulary import ActionState, Kind
from dagster_project.ledger.cool_down import COOL_DOWN, acted_since, cool_down_of
from dagster_project.ledger.listed_work import DO_NOT_CONTACT, UNSETTLED, is_named, listed_contacts
from dagster_project.ledger.moving_on import move_on, refresh_after
from dagster_project.ledger.readiness import refresh_groups
from dagster_project.ledger.retry_policy import Consequence
from dagster_project.ledger.schema import actions, attempts, requests
from dagster_project.ledger.supersession import may_have_happened
from dagster_project.ledger.transitions import chunks


def keep_back_refused(connection: Connection, signal: str, rows: Sequence[Row[Any]], now: datetime) -> set[str]:
    """Settles what was right to plan and must not be sent any more; returns which of the actions and groups that is.

    Parameters: the signal; its sealed groups and single actions whose way is open otherwise; the moment of the
    transaction.
    """
    named = _named_by(connection, [row.action_id for row in rows if row.is_group])
    listed = _keep_back_listed(connection, rows, named, now)
    return listed | _keep_back_cooling(connection, signal, [r for r in rows if r.action_id not in listed], named, now)


def _keep_back_listed(
    connection: Connection, rows: Sequence[Row[Any]], named: Mapping[str, Sequence[Row[Any]]], now: datetime
) -> set[str]:
    """What would reach somebody who is on the do-not-contact list by now."""
    refused = _listed(connection, [row for row in rows if not row.is_group])
    _stop_singles(connection, refused, now)
    by_group = {group_id: _listed(connection, members) for group_id, members in named.items()}
    with_refused = {group_id: members for group_id, members in by_group.items() if members}
    _stop_groups(connection, {row.action_id: row for row in rows}, with_refused, now)
    return {row.action_id for row in refused} | set(with_refused)


def _keep_back_cooling(
    connection: Connection,
    signal: str,
    rows: Sequence[Row[Any]],
    named: Mapping[str, Sequence[Row[Any]]],
    now: datetime,
) -> set[str]:
    """What would act on an entity again within the signal's cool-down: several of its events may have been planned
    before the first of them was delivered. What was tried goes on, for a part of it may have happened."""
    cool_down = cool_down_of(connection, signal) if rows else None
    if cool_down is None:
        return set()
    about = {row.action_id: named.get(row.action_id, ()) if row.is_group else (row,) for row in rows}
    cooling = _cooling(connection, signal, [one for some in about.values() for one in some], now - cool_down)
    tried = _tried(connection, [one for one, some in about.items() if any(row.action_id in cooling for row in some)])
    kept_back = {one: [row for row in some if row.action_id in cooling] for one, some in about.items()}
    kept_back = {one: some for one, some in kept_back.items() if some and one not in tried}
    why = Consequence(ActionState.SUPPRESSED, COOL_DOWN)
    _stop(connection, [row for some in kept_back.values() for row in some], why, "acted on since it was planned", now)
    for action_id in sorted(kept_back):  # of a single one too: a person may ask for it later, when the row has changed
        _render_anew(connection, action_id, now)
    return set(kept_back)


def _cooling(connection: Connection, signal: str, rows: Sequence[Row[Any]], since: datetime) -> set[str]:
    """The openings whose entity was acted on for another event after a moment; an event that was begun goes on."""
    openings = [row for row in rows if row.kind == Kind.OPENED.value and row.state in UNSETTLED]
    acted = acted_since(connection, signal, {row.entity_id for row in openings}, since)
    return {row.action_id for row in openings if row.event_id not in acted.get(row.entity_id, {row.event_id})}


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
    for state, some in (
        (ActionState.HELD, [row for row in rows if row.action_id in tried]),
        (ActionState.SUPPRESSED, [row for row in rows if row.action_id not in tried]),
    ):
        _stop(connection, some, Consequence(state, DO_NOT_CONTACT), "listed after it was planned", now)


def _stop(connection: Connection, rows: Sequence[Row[Any]], why: Consequence, detail: str, now: datetime) -> None:
    move_on(connection, [(row, why, detail, None) for row in rows], now)
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


def _render_anew(connection: Connection, action_id: str, now: datetime) -> None:
    """Forgets what was rendered, and with it the approval of it: what goes out next is not what a person was shown."""
    connection.execute(delete(requests).where(requests.c.action_id == action_id))
    whole = (actions.c.action_id == action_id) | (actions.c.group_id == action_id) & actions.c.state.in_(UNSETTLED)
    connection.execute(update(actions).where(whole).values(is_sealed=False, is_approved=False))
    refresh_groups(connection, {action_id}, now)


def _tried(connection: Connection, action_ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for ids in chunks(action_ids):
        query = select(attempts.c.action_id).where(attempts.c.action_id.in_(ids)).distinct()
        found |= set(connection.execute(query).scalars())
    return found
