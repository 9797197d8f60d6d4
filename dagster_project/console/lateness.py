"""Says of late events why they are late: what stands in the way now, or what took so long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from dagster_project.console.queues import WhyWaiting
from dagster_project.console.wording import reason_in_words
from dagster_project.contracts.durations import span
from dagster_project.ledger.schema import actions, attempts, builds
from dagster_project.verify.sla import EventTiming, held_time

WORST_FIRST = ("dead", "held", "waiting", "delivered")


@dataclass(frozen=True)
class Late:
    """One late event, the step that made it late, and why."""

    timing: EventTiming
    step: str
    why: str
    held: timedelta  # how long of it was spent waiting for a person


def explain_late(
    connection: Connection, timings: Sequence[EventTiming], declared: Mapping[str, Any], now: datetime
) -> list[Late]:
    """Parameters: the late events; the mode that each signal's file declares; the moment."""
    ids = [timing.event_id for timing in timings]
    steps = _steps(connection, ids)
    sent_as = {row.group_id or row.action_id for rows in steps.values() for row in rows}
    tries: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(
        select(attempts).where(attempts.c.action_id.in_(sent_as)).order_by(attempts.c.number)
    ):
        tries.setdefault(row.action_id, []).append(row)
    waits = WhyWaiting(connection, declared, now)
    held = held_time(connection, timings, now)
    return [
        _late(timing, steps.get(timing.event_id, []), tries, waits, held.get(timing.event_id, timedelta(0)))
        for timing in timings
    ]


def _steps(connection: Connection, event_ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """The required steps of each event, whatever is worst first."""
    query = (
        select(actions, builds.c.captured_at)
        .join(builds, builds.c.build_id == actions.c.build_id)
        .where(actions.c.event_id.in_(event_ids), actions.c.is_required, actions.c.state != "suppressed")
    )
    found: dict[str, list[Row[Any]]] = {}
    for row in sorted(connection.execute(query), key=_order):
        found.setdefault(row.event_id, []).append(row)
    return found


def _order(row: Row[Any]) -> tuple[int, float]:
    settled = row.settled_at.timestamp() if row.settled_at else 0.0
    return WORST_FIRST.index(row.state), -settled


def _late(
    timing: EventTiming,
    steps: Sequence[Row[Any]],
    tries: Mapping[str, Sequence[Row[Any]]],
    waits: WhyWaiting,
    held: timedelta,
) -> Late:
    if not steps:
        return Late(timing, "", "its steps are not in the ledger any more", held)
    worst = steps[0]
    if worst.state == "waiting":
        why = waits(worst) + (f" ({_reason(worst)})" if worst.reason else "")
    elif worst.state == "held":
        why = f"waits for a person: {_reason(worst)}"
    elif worst.state == "dead":
        why = f"is dead: {_reason(worst)}"
    else:
        worst = _slowest(steps, tries)
        why = _what_took_so_long(timing.total, held, worst, tries.get(worst.group_id or worst.action_id, []))
    return Late(timing, worst.step, why, held)


def _slowest(steps: Sequence[Row[Any]], tries: Mapping[str, Sequence[Row[Any]]]) -> Row[Any]:
    """Of steps that are done, the one that was tried most often; else the one that was done last."""
    return max(steps, key=lambda row: (len(tries.get(row.group_id or row.action_id, ())), row.settled_at.timestamp()))


def _what_took_so_long(total: timedelta, held: timedelta, last: Row[Any], tries: Sequence[Row[Any]]) -> str:
    if held * 2 >= total:
        return f"was held for {span(held)} until a person decided"
    failed = Counter(one.reason or one.verdict for one in tries if one.verdict not in (None, "delivered"))
    if failed:
        told = ", ".join(f"{count} by {reason}" for reason, count in failed.most_common())
        return f"needed {len(tries)} attempts; failed: {told}"
    if tries:
        return f"was tried first {span(tries[0].begun_at - last.captured_at)} after its build"
    return "was done without an attempt of its own"


def _reason(row: Row[Any]) -> str:
    words = reason_in_words(row.reason)
    return f"{row.reason}, {words}" if words else row.reason or "no reason given"
