"""The queues: what waits for a person, what is dead, what is delayed and what was suppressed, each by its causes."""

from __future__ import annotations

from starlette.responses import Response

from dagster_project.console.queues import (
    FARTHEST_PAGE,
    QUEUES,
    WAITS,
    Filter,
    Waiting,
    WhyWaiting,
    count_waiting,
    read_causes,
    read_members,
    read_page,
    read_waiting,
)
from dagster_project.console.rendering import page, told
from dagster_project.console.visit import Visit
from dagster_project.contracts.roles import Right

# Which levers a queue offers, with the right that each needs.
LEVERS = {
    "held": (Right.APPROVE, Right.REJECT),
    "dead": (Right.REPLAY, Right.DISCARD),
    "waiting": (Right.DISCARD,),
    "suppressed": (),
}


def show(visit: Visit) -> Response:
    state = visit.path["state"]
    if state not in QUEUES:
        return told(visit, "No such queue", f"There are: {', '.join(QUEUES)}.", 404)
    asked = {name: visit.asked(name) for name in ("signal", "reason", "destination")}
    everything = Filter(state, asked["signal"] or None, seen=visit.seen_signals())
    narrowing = {name: value or None for name, value in asked.items()}
    wanted = Filter(state, **narrowing, seen=visit.seen_signals())
    with visit.desk.database.reading() as connection:
        causes = read_causes(connection, everything)
        found = read_page(connection, wanted, visit.asked("after"))
        members = read_members(connection, [row.action_id for row in found.rows if row.is_group])
    return page(
        visit,
        "queue.html",
        area=state,
        causes=causes,
        rows=found.rows,
        following=found.following,
        members=members,
        asked=asked,
        levers=[right.value for right in LEVERS[state] if visit.may(right)],
        signals=_signals(visit),
    )


def show_waiting(visit: Visit) -> Response:
    kind = visit.asked("kind") or "later"
    kind = kind if kind in WAITS else "later"
    signal = visit.asked("signal") or None
    number = visit.asked("page") or "0"
    at_page = min(int(number), FARTHEST_PAGE) if number.isdecimal() and len(number) < 6 else 0
    declared = {name: one.spec.mode for name, one in visit.catalog.signals.items()}
    kinds = {name: Waiting(name, visit.at, signal, visit.seen_signals(), at_page) for name in WAITS}
    with visit.desk.database.reading() as connection:
        counts = {name: count_waiting(connection, wanted) for name, wanted in kinds.items()}
        rows, is_more = read_waiting(connection, kinds[kind])
        why = WhyWaiting(connection, declared, visit.at)
        reasons = {row.action_id: why(row) for row in rows}
    return page(
        visit,
        "waiting.html",
        area="waiting",
        kind=kind,
        kinds=WAITS,
        counts=counts,
        rows=rows,
        reasons=reasons,
        number=at_page,
        is_more=is_more,
        signal=signal,
        signals=_signals(visit),
        levers=[right.value for right in LEVERS["waiting"] if visit.may(right)],
    )


def _signals(visit: Visit) -> list[str]:
    return sorted(name for name in visit.catalog.signals if visit.sees(name))
