"""Keeps what is wrong as incidents, each told once when it begins and once when it ends, through an outbox.

A message obeys the rules of an action: its key never changes, its intent is recorded before the call and its outcome
after it, and what nobody knows the outcome of is asked about and never sent blindly a second time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.ledger.database import Database
from dagster_project.ledger.retry_policy import RetryPolicy
from dagster_project.ledger.schema import alert_messages, incidents
from dagster_project.ledger.transitions import write_audit

OVER = "alerts"
ACTOR = "loop"
OPENED, RESOLVED = "opened", "resolved"
WAITING, SENDING, DELIVERED, UNKNOWN, DEAD, NOT_NEEDED = (
    "waiting",
    "sending",
    "delivered",
    "unknown",
    "dead",
    "not_needed",  # the incident ended before anybody was told of it
)


@dataclass(frozen=True)
class Condition:
    """Something that is wrong now."""

    kind: str
    subject: str  # the signal, destination or check
    summary: str  # one sentence with counts, never with personal data
    signal: str | None = None


@dataclass(frozen=True)
class Incident:
    """A condition with its beginning and, once it is over, its end."""

    incident_id: str
    kind: str
    subject: str
    summary: str
    opened_at: datetime
    resolved_at: datetime | None = None


Compose = Callable[[Incident, str], Mapping[str, Mapping[str, Any]]]  # (incident, phase) -> arguments by role


@dataclass(frozen=True)
class Changes:
    opened: tuple[Incident, ...] = ()
    resolved: tuple[Incident, ...] = ()


def observe(database: Database, conditions: Sequence[Condition], kinds: frozenset[str], compose: Compose) -> Changes:
    """Opens an incident for each new condition and ends those whose condition is gone, messages included.

    Parameters: what is wrong now; the kinds that were looked at, of which alone an incident can end; what to tell whom.
    """
    with database.reading() as connection:
        known = {(row.kind, row.subject) for row in _open_rows(connection, kinds)}
    if known == {(one.kind, one.subject) for one in conditions}:
        return Changes()

    def work(connection: Connection) -> Changes:
        now = database.now()
        before = {(row.kind, row.subject): row for row in _open_rows(connection, kinds)}
        seen = {(one.kind, one.subject): one for one in conditions}
        opened = [_open(connection, one, now) for key, one in seen.items() if key not in before]
        resolved = [_resolve(connection, row, now) for key, row in before.items() if key not in seen]
        for incident in opened:
            _put(connection, incident, OPENED, compose(incident, OPENED), now)
        for incident in resolved:
            _tell_of_end(connection, incident, compose(incident, RESOLVED), now)
        return Changes(tuple(opened), tuple(resolved))

    return database.write(work, over=OVER)


def open_incidents(database: Database) -> list[Incident]:
    """What is wrong, the oldest first."""
    with database.reading() as connection:
        return read_open_incidents(connection)


def read_open_incidents(connection: Connection) -> list[Incident]:
    """As `open_incidents`, within one snapshot with other things."""
    query = select(incidents).where(incidents.c.resolved_at.is_(None)).order_by(incidents.c.opened_at)
    return [_incident(row) for row in connection.execute(query)]


def _open_rows(connection: Connection, kinds: frozenset[str]) -> Sequence[Row[Any]]:
    is_open = (incidents.c.resolved_at.is_(None), incidents.c.kind.in_(sorted(kinds)))
    return connection.execute(select(incidents).where(*is_open)).all()


def _incident(row: Row[Any]) -> Incident:
    return Incident(row.incident_id, row.kind, row.subject, row.summary, row.opened_at, row.resolved_at)


def _open(connection: Connection, condition: Condition, now: datetime) -> Incident:
    identity = f"incident|{condition.kind}|{condition.subject}|{now.isoformat()}"
    incident = Incident(
        hashlib.sha256(identity.encode()).hexdigest()[:32], condition.kind, condition.subject, condition.summary, now
    )
    row = {
        "incident_id": incident.incident_id,
        "kind": incident.kind,
        "subject": incident.subject,
        "summary": incident.summary,
        "opened_at": now,
    }
    connection.execute(insert(incidents), row)
    _audit(connection, incident, "incident_opened", now)
    return incident


def _resolve(connection: Connection, row: Row[Any], now: datetime) -> Incident:
    is_it = incidents.c.incident_id == row.incident_id
    connection.execute(update(incidents).where(is_it).values(resolved_at=now))
    incident = Incident(row.incident_id, row.kind, row.subject, row.summary, row.opened_at, now)
    _audit(connection, incident, "incident_resolved", now)
    return incident


def _audit(connection: Connection, incident: Incident, verb: str, now: datetime) -> None:
    detail = f"{incident.subject}: {incident.summary}"
    write_audit(connection, [{"at": now, "actor": ACTOR, "verb": verb, "reason": incident.kind, "detail": detail}])


def _put(
    connection: Connection,
    incident: Incident,
    phase: str,
    messages: Mapping[str, Mapping[str, Any]],
    now: datetime,
) -> None:
    rows = [
        {
            "message_id": message_id(incident.incident_id, phase, role),
            "incident_id": incident.incident_id,
            "phase": phase,
            "role": role,
            "arguments_json": json.dumps(arguments, sort_keys=True),
            "state": WAITING,
            "due_at": now,
            "made_at": now,
        }
        for role, arguments in messages.items()
    ]
    if rows:
        connection.execute(insert(alert_messages), rows)


def _tell_of_end(
    connection: Connection, incident: Incident, messages: Mapping[str, Mapping[str, Any]], now: datetime
) -> None:
    """Tells of the end whoever was, or may have been, told of the beginning; others need not hear of it at all."""
    of_incident = (alert_messages.c.incident_id == incident.incident_id, alert_messages.c.phase == OPENED)
    untold = (*of_incident, alert_messages.c.state == WAITING)
    connection.execute(update(alert_messages).where(*untold).values(state=NOT_NEEDED, settled_at=now))
    told = select(alert_messages.c.role).where(*of_incident, alert_messages.c.state.in_((SENDING, DELIVERED, UNKNOWN)))
    roles: set[str] = set(connection.execute(told).scalars())
    _put(connection, incident, RESOLVED, {role: said for role, said in messages.items() if role in roles}, now)


def message_id(incident_id: str, phase: str, role: str) -> str:
    """The idempotency key that every attempt to send the message carries."""
    return hashlib.sha256(f"alert|{incident_id}|{phase}|{role}".encode()).hexdigest()[:32]


# --- the outbox


def due_messages(database: Database, roles: Sequence[str], limit: int) -> Sequence[Row[Any]]:
    """Messages that may be sent now by these roles, in the order in which they were made."""
    due = (
        alert_messages.c.state == WAITING,
        alert_messages.c.due_at <= database.now(),
        alert_messages.c.role.in_(list(roles)),
    )
    with database.reading() as connection:
        return connection.execute(
            select(alert_messages).where(*due).order_by(alert_messages.c.made_at).limit(limit)
        ).all()


def unsent_messages(database: Database) -> Sequence[Row[Any]]:
    """Messages of open incidents that did not arrive, or of which nobody knows whether they did."""
    with database.reading() as connection:
        query = (
            select(alert_messages)
            .join(incidents, incidents.c.incident_id == alert_messages.c.incident_id)
            .where(alert_messages.c.state.notin_((DELIVERED, NOT_NEEDED)), incidents.c.resolved_at.is_(None))
            .order_by(alert_messages.c.made_at)
        )
        return connection.execute(query).all()


def left_open(database: Database, older_than: timedelta) -> Sequence[Row[Any]]:
    """Messages whose call was begun so long ago that its run is gone, and whose outcome nobody knows."""
    begun = (alert_messages.c.state == SENDING, alert_messages.c.begun_at <= database.now() - older_than)
    with database.reading() as connection:
        return connection.execute(select(alert_messages).where(*begun)).all()


def intend(database: Database, message: Row[Any]) -> bool:
    """Records that a message is about to be sent; False where another run has taken it."""

    def work(connection: Connection) -> bool:
        untaken = (alert_messages.c.message_id == message.message_id, alert_messages.c.state == WAITING)
        values = {"state": SENDING, "begun_at": database.now(), "attempts": alert_messages.c.attempts + 1}
        return connection.execute(update(alert_messages).where(*untaken).values(**values)).rowcount == 1

    return database.write(work, over=OVER)


def settle_message(
    database: Database,
    message: Row[Any],
    outcome: Outcome,
    policy: RetryPolicy,
    random: Random,
    is_final: bool = False,
) -> str:
    """Records what came of a message; returns the state that it is in now.

    Parameters: the message; the outcome; how often and when to try again; whether an unknown outcome stays unknown,
    because the destination has no means to tell.
    """

    def work(connection: Connection) -> str:
        now = database.now()
        of_message = alert_messages.c.message_id == message.message_id
        row = connection.execute(select(alert_messages).where(of_message)).one()
        if row.state != SENDING:
            return str(row.state)  # another run has settled it meanwhile
        state = next_state(outcome, row.attempts, policy, is_final)
        values: dict[str, Any] = {"state": state, "reason": outcome.reason, "detail": outcome.detail[:500]}
        if state == WAITING:
            wait = max(outcome.retry_after or 0.0, policy.delay(row.attempts, random))
            values["due_at"] = now + timedelta(seconds=wait)
        elif state != SENDING:
            values |= {"settled_at": now, "external_id": outcome.external_id}
        connection.execute(update(alert_messages).where(of_message).values(**values))
        return state

    return database.write(work, over=OVER)


def next_state(outcome: Outcome, attempts: int, policy: RetryPolicy, is_final: bool = False) -> str:
    """The state that an outcome leads to; what lies with the whole destination is tried for as long as it lasts."""
    if outcome.verdict is Verdict.DELIVERED:
        return DELIVERED
    if outcome.verdict is Verdict.REJECTED:
        return DEAD
    if outcome.verdict is Verdict.UNKNOWN:
        return UNKNOWN if is_final else SENDING  # asked about later
    return WAITING if outcome.scope == "destination" or attempts < policy.max_attempts else DEAD
