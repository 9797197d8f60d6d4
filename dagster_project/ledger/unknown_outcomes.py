"""Held actions with an unknown outcome: which of them a destination can still be asked about, and what it answered."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, TextClause, func, select, update

from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.database import Database
from dagster_project.ledger.gates import goes_where_the_way_is_open
from dagster_project.ledger.restored_work import to_be_asked
from dagster_project.ledger.retry_policy import UNKNOWN_OUTCOME, Consequence
from dagster_project.ledger.schema import IN_QUEUE, actions
from dagster_project.ledger.settlement import settle_reconciled
from dagster_project.ledger.work import ReadyWork, load_work

ASK_AGAIN_WITHIN = timedelta(minutes=5)


def _to_be_asked(connection: Connection, signal: str, now: datetime) -> list[ColumnElement[bool] | TextClause]:
    return [
        IN_QUEUE,
        actions.c.signal == signal,
        actions.c.state == ActionState.HELD.value,
        actions.c.reason == UNKNOWN_OUTCOME,
        actions.c.is_ready,
        actions.c.due_at <= now,
        goes_where_the_way_is_open(connection, now),
    ]


def unknown_count(database: Database, signal: str) -> int:
    """How much held work a destination can be asked about now, that of a restored ledger too."""
    with database.reading() as connection:
        now = database.now()
        both = (_to_be_asked(connection, signal, now), to_be_asked(connection, signal, now))
        queries = [select(func.count()).select_from(actions).where(*where) for where in both]
        return sum(connection.execute(query).scalar_one() for query in queries)


def unknown_work(database: Database, signal: str, limit: int) -> ReadyWork:
    """Held actions whose outcome is unknown and whose destination may be asked about it now, the longest due first."""
    with database.reading() as connection:
        query = select(actions).where(*_to_be_asked(connection, signal, database.now()))
        query = query.order_by(actions.c.due_at, actions.c.action_id).limit(limit)
        return load_work(connection, connection.execute(query).all())


def record_answer(database: Database, action_id: str, outcome: Outcome | None, why_not: str = "") -> None:
    """Settles what the destination could tell; where it has no means to tell, the action waits for a person alone.

    Parameters: the action; the answer; where there is none and it could not even be asked for, why not.
    """

    def work(connection: Connection) -> None:
        now = database.now()
        still = (actions.c.action_id == action_id, actions.c.reason == UNKNOWN_OUTCOME, actions.c.state == "held")
        row = connection.execute(select(actions).where(*still)).first()
        if row is None:
            return
        if outcome is None:
            told = {"detail": why_not[:500]} if why_not else {}
            connection.execute(update(actions).where(*still).values(is_ready=False, **told))
        elif outcome.verdict is Verdict.DELIVERED:
            settle_reconciled(connection, row, Consequence(ActionState.DELIVERED, "", is_counted=False), outcome, now)
        elif outcome.verdict is Verdict.RETRY:
            settle_reconciled(
                connection, row, Consequence(ActionState.WAITING, "proved_not_done", is_counted=False), outcome, now
            )
        else:
            connection.execute(
                update(actions).where(*still).values(due_at=now + ASK_AGAIN_WITHIN, detail=outcome.detail[:500])
            )

    database.write(work)
