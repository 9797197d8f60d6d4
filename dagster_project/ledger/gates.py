"""What keeps work from going out: pauses set by people or by a refused credential, open circuits, Retry-After."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, or_, select

from dagster_project.ledger.schema import destinations, pauses

ALL = "all"


@dataclass(frozen=True)
class Claim:
    """A run's hold on some work. Only the holder of the token may settle it."""

    token: str
    signal: str
    run_id: str
    count: int  # actions and groups that were due when it was made


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


def is_paused(connection: Connection, signal: str) -> bool:
    found = select(func.count()).select_from(pauses).where(pauses.c.subject.in_(pause_subjects(signal)))
    return connection.execute(found).scalar_one() > 0
