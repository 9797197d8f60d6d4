"""Finds the oldest unfinished work by the queue's index: some leaps, however much is in the queue."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, tuple_

from dagster_project.ledger.schema import IN_QUEUE, actions


def oldest_in_queue(connection: Connection, state: str, signal: str) -> datetime | None:
    """Since when the oldest action or group of a signal has been planned that is in a state; None where none is.

    The queue is ordered by reason, destination and moment: the first row of each reason and destination is its oldest.
    """
    a = actions.c
    cause = (a.reason, a.destination)
    query = select(*cause, a.planned_at).where(IN_QUEUE, a.state == state, a.signal == signal)
    query = query.order_by(*cause, a.planned_at).limit(1)
    oldest: datetime | None = None
    row = connection.execute(query).first()
    while row is not None:
        oldest = row.planned_at if oldest is None else min(oldest, row.planned_at)
        row = connection.execute(query.where(tuple_(*cause) > tuple_(row.reason, row.destination))).first()
    return oldest
