"""The console's sessions: begun at a sign-in, ended by the person, by time, or with the token they were begun with."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from dagster_project.ledger.access import is_good
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import access_tokens, sessions
from dagster_project.ledger.transitions import write_audit

SESSION_WITHIN = timedelta(hours=12)  # after the sign-in, whatever happens
IDLE_WITHIN = timedelta(hours=1)  # without a page
LOOPBACK = "loopback"
SEEN_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Session:
    person: str
    way_in: str  # token | proxy | loopback


def begin_session(database: Database, person: str, way_in: str, token_id: str | None = None) -> str:
    """Begins a session and returns the cookie's value, of which the ledger keeps a hash only."""
    secret = secrets.token_urlsafe(32)

    def work(connection: Connection) -> None:
        now = database.now()
        is_over = or_(sessions.c.began_at <= now - SESSION_WITHIN, sessions.c.seen_at <= now - IDLE_WITHIN)
        connection.execute(delete(sessions).where(is_over))
        row: Mapping[str, Any] = {"session_hash": _hashed(secret), "person": person, "way_in": way_in}
        connection.execute(insert(sessions), {**row, "token_id": token_id, "began_at": now, "seen_at": now})
        if way_in != LOOPBACK:  # there nobody has proven anything
            entry = {"at": now, "actor": person, "verb": "signed_in", "reason": way_in, "detail": token_id or ""}
            write_audit(connection, [entry])

    database.write(work)
    return secret


def session_of(database: Database, secret: str) -> Session | None:
    """The session that a cookie's value belongs to; None where it is unknown or over."""
    hashed, now = _hashed(secret), database.now()
    with database.reading() as connection:
        row = connection.execute(select(sessions).where(sessions.c.session_hash == hashed)).first()
        if row is None or row.began_at <= now - SESSION_WITHIN or row.seen_at <= now - IDLE_WITHIN:
            return None
        if row.token_id is not None:
            this = select(access_tokens).where(access_tokens.c.token_id == row.token_id)
            token = connection.execute(this).first()
            if token is None or not is_good(token, now):
                return None
    if now - row.seen_at > SEEN_NOTED_EVERY:
        seen = update(sessions).where(sessions.c.session_hash == hashed).values(seen_at=now)
        database.write(lambda connection: connection.execute(seen))
    return Session(row.person, row.way_in)


def end_session(database: Database, secret: str) -> bool:
    """Ends a session at the person's wish. False where there was none."""
    hashed = _hashed(secret)

    def work(connection: Connection) -> bool:
        person = connection.execute(select(sessions.c.person).where(sessions.c.session_hash == hashed)).scalar()
        if person is None:
            return False
        connection.execute(delete(sessions).where(sessions.c.session_hash == hashed))
        write_audit(connection, [{"at": database.now(), "actor": person, "verb": "signed_out"}])
        return True

    return database.write(work)


def form_key(secret: str) -> str:
    """What a form must carry to be believed: follows from the cookie, and the cookie does not follow from it."""
    return hashlib.sha256(f"form|{secret}".encode()).hexdigest()


def _hashed(secret: str) -> str:
    return hashlib.sha256(f"session|{secret}".encode()).hexdigest()
