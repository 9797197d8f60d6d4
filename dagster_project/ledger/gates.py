"""What keeps work from going out: pauses set by people or by a refused credential, open circuits, Retry-After."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, or_, select, true

from dagster_project.contracts.vocabulary import Mode
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import actions, destinations, modes, pauses

ALL = "all"


@dataclass(frozen=True)
class Claim:
    """A run's hold on some work. Only the holder of the token may settle it."""

    token: str
    signal: str
    run_id: str
    count: int  # actions and groups that were due when it was made


def is_held_by(claim: Claim) -> ColumnElement[bool]:
    """Whether an action that is looked up by its id is in the claim.

    Written so that no index serves it: by that of the tokens, a database would read the whole claim for each chunk.
    """
    return func.coalesce(actions.c.lease_token, "") == claim.token


def pause_subjects(signal: str) -> tuple[str, str]:
    return ALL, f"signal:{signal}"


def blocked_destinations(connection: Connection, now: datetime) -> set[str]:
    """Destinations to which nothing may be sent now: paused, circuit open, or asked to wait."""
    paused: Iterable[str] = connection.execute(
        select(pauses.c.subject).where(pauses.c.subject.like("destination:%"))
    ).scalars()
    closed: Iterable[str] = connection.execute(
        select(destinations.c.destination).where(or_(destinations.c.open_until > now, destinations.c.not_before > now))
    ).scalars()
    return {subject.removeprefix("destination:") for subject in paused} | set(closed)


def goes_where_the_way_is_open(connection: Connection, now: datetime) -> ColumnElement[bool]:
    """Whether the destination of an action takes something now."""
    blocked = blocked_destinations(connection, now)
    return actions.c.destination.notin_(sorted(blocked)) if blocked else true()


def is_closed(connection: Connection, signal: str) -> bool:
    """Whether nothing of a signal may be sent now: it, or everything, is paused, or it is in shadow."""
    paused = select(func.count()).select_from(pauses).where(pauses.c.subject.in_(pause_subjects(signal)))
    if connection.execute(paused).scalar_one() > 0:
        return True
    in_force = select(func.coalesce(modes.c.decided, modes.c.declared)).where(modes.c.signal == signal)
    return connection.execute(in_force).scalar() == Mode.SHADOW.value


def closed_ways(database: Database, signal: str, destinations_used: set[str]) -> dict[str, str]:
    """Which of these destinations a signal's work may not go to now, and why: `paused` or `blocked`."""
    with database.reading() as connection:
        if is_closed(connection, signal):
            return dict.fromkeys(destinations_used, "paused")
        return dict.fromkeys(destinations_used & blocked_destinations(connection, database.now()), "blocked")
