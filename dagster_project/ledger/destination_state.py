"""What is known about a destination as a whole: its circuit, its Retry-After, and pauses that its answers call for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from dagster_project.contracts.destination import ReasonFor
from dagster_project.ledger.blame import FAILING, Answer, failures_shown
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import destinations, pauses
from dagster_project.ledger.transitions import write_audit

ACTOR = "loop"


@dataclass(frozen=True)
class CircuitPolicy:
    opens_after: int  # failures in a row
    base_seconds: float
    cap_seconds: float

    def open_for(self, failures: int) -> float:
        """Seconds for which the circuit stays open after so many failures in a row; one call then tries again."""
        steps = max(0, failures - self.opens_after)
        return min(self.cap_seconds, self.base_seconds * 2.0 ** min(steps // self.opens_after, 30))


@dataclass(frozen=True)
class DestinationNews:
    """What a batch of outcomes says about the destination."""

    failures: int = 0  # in a row at the batch's end
    had_success: bool = False
    retry_after: float | None = None  # seconds
    is_unauthorized: bool = False
    reason: str = ""
    detail: str = ""


def news_from(answers: Sequence[Answer]) -> DestinationNews:
    """Sums up a batch in the order in which it was answered, blame already given.

    A 429 is no failure; a rejected row is none either.
    """
    outcomes = [outcome for answer in answers for outcome in answer.outcomes]
    waits = [o.retry_after for o in outcomes if o.retry_after is not None and o.scope == "destination"]
    refused = next((o for o in outcomes if o.reason == ReasonFor.UNAUTHORIZED), None)
    failures = failures_shown(answers)
    failed = [o for o in outcomes if o.reason in FAILING]
    shown = refused or (failed[-1] if failures else None)
    return DestinationNews(
        failures=failures,
        had_success=any(answer.is_answered for answer in answers),
        retry_after=max(waits) if waits else None,
        is_unauthorized=refused is not None,
        reason=shown.reason if shown else "",
        detail=shown.detail if shown else "",
    )


def record_news(database: Database, destination: str, news: DestinationNews, policy: CircuitPolicy) -> None:
    """Opens or closes the circuit, notes Retry-After, and pauses a destination that refuses our credentials."""
    if not (news.failures or news.had_success or news.retry_after is not None or news.is_unauthorized):
        return

    def work(connection: Connection) -> None:
        now = database.now()
        row = connection.execute(select(destinations).where(destinations.c.destination == destination)).first()
        if row is None and not _is_worth_a_row(news):
            return
        before = 0 if row is None or news.had_success else row.failures
        waits_until = row.not_before if row is not None else None
        # Calls that fail side by side are one look at the destination, however many were under way.
        values = _values(before + min(news.failures, policy.opens_after), waits_until, news, policy, now)
        if row is None:
            connection.execute(insert(destinations), {"destination": destination, **values})
        elif _differs(row, values):
            connection.execute(update(destinations).where(destinations.c.destination == destination).values(**values))
        was_open = row is not None and row.failures >= policy.opens_after
        _audit_circuit(connection, destination, was_open, values, now)
        if news.is_unauthorized:
            _pause(connection, destination, news.detail, now)

    database.write(work, over=f"destination {destination}")


def on_trial(database: Database, names: Collection[str], policy: CircuitPolicy) -> set[str]:
    """Which of these destinations have an open circuit, or had one and have not answered since: a single call tries."""
    with database.reading() as connection:
        failing = (destinations.c.destination.in_(sorted(names)), destinations.c.failures >= policy.opens_after)
        return set(connection.execute(select(destinations.c.destination).where(*failing)).scalars())


def _is_worth_a_row(news: DestinationNews) -> bool:
    return bool(news.failures or news.retry_after is not None or news.is_unauthorized)


def _values(
    failures: int, waits_until: datetime | None, news: DestinationNews, policy: CircuitPolicy, now: datetime
) -> dict[str, Any]:
    """The row's new values; a wait that was asked for holds to its end, whatever other runs report meanwhile."""
    is_open = failures >= policy.opens_after
    asked = now + timedelta(seconds=news.retry_after) if news.retry_after is not None else None
    waits = [moment for moment in (asked, waits_until) if moment is not None and moment > now]
    return {
        "failures": failures,
        "open_until": now + timedelta(seconds=policy.open_for(failures)) if is_open else None,
        "not_before": max(waits, default=None),
        "reason": news.reason,
        "detail": news.detail[:500],
        "changed_at": now,
    }


def _differs(row: Any, values: dict[str, Any]) -> bool:
    """A healthy destination that stays healthy is not written again and again."""
    names = ("failures", "open_until", "not_before", "reason")
    return any(getattr(row, name) != values[name] for name in names)


def _audit_circuit(
    connection: Connection, destination: str, was_open: bool, values: dict[str, Any], now: datetime
) -> None:
    is_open = values["open_until"] is not None
    if is_open != was_open:
        verb = "circuit_opened" if is_open else "circuit_closed"
        detail = f"{destination}: {values['detail']}" if is_open else destination
        write_audit(
            connection, [{"at": now, "actor": ACTOR, "verb": verb, "reason": values["reason"], "detail": detail}]
        )


def _pause(connection: Connection, destination: str, detail: str, now: datetime) -> None:
    subject = f"destination:{destination}"
    if connection.execute(select(pauses.c.subject).where(pauses.c.subject == subject)).first() is None:
        why = f"unauthorized: {detail}. Mend the credentials, then `loopctl resume {subject}`."
        connection.execute(insert(pauses), {"subject": subject, "by": ACTOR, "why": why, "paused_at": now})
        write_audit(
            connection,
            [{"at": now, "actor": ACTOR, "verb": "paused", "reason": ReasonFor.UNAUTHORIZED.value, "detail": subject}],
        )
