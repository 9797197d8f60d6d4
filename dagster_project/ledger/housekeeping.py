"""Takes away old rows that nobody decides by: ended incidents with their messages, sessions, samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select

from dagster_project.ledger.database import Database
from dagster_project.ledger.pruned import SAMPLED_RECORD, Total, add_totals
from dagster_project.ledger.schema import alert_messages, incidents, sampled_records, samples, sessions

AT_ONCE = 500
UNSENT = ("waiting", "sending")


def prune_records(database: Database, before: datetime, is_dry_run: bool = False) -> Mapping[str, int]:
    """Prunes what ended before a moment, a bounded number a transaction; returns how many by what they are.

    Verdicts of samples roll into the totals. Tokens, people, criteria, pauses and the audit trail stay.
    """
    wanted: dict[str, tuple[Table, Any, ColumnElement[bool]]] = {
        "alert messages": (alert_messages, alert_messages.c.message_id, _told_of(before)),
        "incidents": (incidents, incidents.c.incident_id, _over(before)),
        "sessions": (sessions, sessions.c.session_hash, sessions.c.seen_at < before),
        "samples": (samples, samples.c.sample_id, samples.c.drawn_at < before),
    }
    counts: dict[str, int] = {}
    for what, (table, key, where) in wanted.items():
        if is_dry_run:
            with database.reading() as connection:
                counts[what] = connection.execute(select(func.count()).select_from(table).where(where)).scalar_one()
            continue
        while gone := database.write(partial(_some, table=table, key=key, where=where)):
            counts[what] = counts.get(what, 0) + gone
    return counts


def _over(before: datetime) -> ColumnElement[bool]:
    left = select(alert_messages.c.incident_id)
    return (incidents.c.resolved_at < before) & incidents.c.incident_id.notin_(left)


def _told_of(before: datetime) -> ColumnElement[bool]:
    over = select(incidents.c.incident_id).where(incidents.c.resolved_at < before)
    return alert_messages.c.incident_id.in_(over) & alert_messages.c.state.notin_(UNSENT)


def _some(connection: Connection, table: Table, key: Any, where: ColumnElement[bool]) -> int:
    ids: list[str] = list(connection.execute(select(key).where(where).limit(AT_ONCE)).scalars())
    if ids and table is samples:
        _into_totals(connection, ids)
    if ids:
        connection.execute(delete(table).where(key.in_(ids)))
    return len(ids)


def _into_totals(connection: Connection, sample_ids: list[str]) -> None:
    of_samples = sampled_records.c.sample_id.in_(sample_ids)
    by = (sampled_records.c.signal, sampled_records.c.step, sampled_records.c.verdict)
    counted: dict[str, Counter[Total]] = {}
    for row in connection.execute(select(*by, func.count().label("n")).where(of_samples).group_by(*by)):
        counted.setdefault(row.signal, Counter())[SAMPLED_RECORD, "", row.step, row.verdict, ""] += row.n
    for signal, totals in counted.items():
        add_totals(connection, signal, totals)
    connection.execute(delete(sampled_records).where(of_samples))
