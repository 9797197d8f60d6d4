"""Tells which runs are gone although nobody has said so: their lease has ended, and they try nothing any more."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import or_, select

from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import actions, attempts
from dagster_project.ledger.transitions import chunks


def runs_gone(database: Database, run_ids: Collection[str], lease_within: timedelta) -> set[str]:
    """Which of these runs hold no lease and have begun and ended no attempt for as long as a lease holds.

    Parameters: runs that began longer ago than a lease holds; how long that is. A run that is at work renews its lease,
    so that one which is not may be a zombie at most: it may close its own attempts and nothing else.
    """
    now = database.now()
    recent = or_(attempts.c.begun_at > now - lease_within, attempts.c.ended_at > now - lease_within)
    by_token = actions.c.lease_token == attempts.c.lease_token
    present: set[str] = set()
    with database.reading() as connection:
        for ids in chunks(sorted(run_ids)):
            tried = select(attempts.c.run_id).where(attempts.c.run_id.in_(ids)).distinct()
            present |= set(connection.execute(tried.where(recent)).scalars())
            leased = tried.join(actions, by_token).where(actions.c.lease_until > now)
            present |= set(connection.execute(leased).scalars())
    return set(run_ids) - present
