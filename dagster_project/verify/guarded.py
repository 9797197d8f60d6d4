"""What the guards did: every action that was not simply sent, with the reason and exactly what is held back."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select

from dagster_project.contracts.catalog import Catalog
from dagster_project.ledger.controls import Selection, selected
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import IN_QUEUE, actions, builds, requests


def read_guarded(database: Database) -> list[str]:
    """One line for each reason why work was suppressed or held."""
    with database.reading() as connection:
        rows = connection.execute(
            select(actions.c.signal, actions.c.state, actions.c.reason, func.count().label("n"))
            .where(actions.c.state.in_(("held", "suppressed")), IN_QUEUE)
            .group_by(actions.c.signal, actions.c.state, actions.c.reason)
            .order_by(actions.c.signal, actions.c.state)
        ).all()
    return [f"{row.signal}: {row.n} {row.state} by {row.reason}" for row in rows]


def held_lines(
    database: Database, catalog: Catalog, shows_personal_data: bool = False, selection: Selection | None = None
) -> Iterator[str]:
    """What waits for a person: what, why, and the request as it would be sent.

    Parameters: the ledger; the catalog, which knows where requests may hold personal data; whether these are shown all
    the same; which of it (all, if left out).
    """
    where = selected(selection) if selection is not None else []
    with database.reading() as connection:
        rows = connection.execute(
            select(actions, requests.c.arguments_json)
            .outerjoin(requests, requests.c.action_id == actions.c.action_id)
            .where(IN_QUEUE, actions.c.state == "held", *where)
            .order_by(actions.c.planned_at)
        ).all()
    for row in rows:
        what = f"{row.action_id}  {row.signal} {row.step} for {row.entity_id or 'a group'} at {row.destination}"
        yield f"{what}: {row.reason}. {row.detail}"
        if row.arguments_json and (shows_personal_data or not catalog.may_hold_personal_data(row.signal, row.step)):
            yield f"    would send {row.operation}: {row.arguments_json}"
        elif row.arguments_json:
            yield f"    would send {row.operation}: (holds personal data; --show-personal-data shows it)"


def personal_held(database: Database, catalog: Catalog, selection: Selection | None = None) -> dict[str, list[str]]:
    """The held work whose rendered request may hold personal data, by signal; `held_lines` shows it on demand only."""
    where = selected(selection) if selection is not None else []
    found: dict[str, list[str]] = {}
    with database.reading() as connection:
        query = select(actions.c.action_id, actions.c.signal, actions.c.step).join(
            requests, requests.c.action_id == actions.c.action_id
        )
        for row in connection.execute(query.where(IN_QUEUE, actions.c.state == "held", *where)):
            if catalog.may_hold_personal_data(row.signal, row.step):
                found.setdefault(row.signal, []).append(row.action_id)
    return found


def shadow_lines(database: Database, signal: str) -> Iterator[str]:
    """What a signal in shadow has planned so far, by build and step."""
    with database.reading() as connection:
        rows = connection.execute(
            select(builds.c.build_no, builds.c.data_as_of, actions.c.kind, actions.c.step, func.count().label("n"))
            .join(builds, builds.c.build_id == actions.c.build_id)
            .where(actions.c.signal == signal, actions.c.reason == "shadow", actions.c.is_group.is_(False))
            .group_by(builds.c.build_no, builds.c.data_as_of, actions.c.kind, actions.c.step)
            .order_by(builds.c.build_no, actions.c.kind, actions.c.step)
        ).all()
    for row in rows:
        yield f"build {row.build_no}, data as of {row.data_as_of:%Y-%m-%d %H:%M}: {row.n} x {row.step} on {row.kind}"
