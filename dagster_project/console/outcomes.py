"""Answers in one sentence what came of each event of a story, so that nobody has to read it whole to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from dagster_project.console.wording import reason_in_words
from dagster_project.contracts.vocabulary import ActionState, event_state
from dagster_project.ledger.schema import attempts, builds, events


@dataclass(frozen=True)
class EventOutcome:
    """One event with its build, its state, and the sentence."""

    event: Row[Any]
    state: str
    told: str


def read_outcomes(connection: Connection, event_ids: Sequence[str], steps: Sequence[Row[Any]]) -> list[EventOutcome]:
    """What came of these events, in their order. Parameters: the events' ids; their steps."""
    query = (
        select(events, builds.c.build_no, builds.c.handling)
        .outerjoin(builds, builds.c.build_id == events.c.build_id)
        .where(events.c.event_id.in_(event_ids))
    )
    found = {row.event_id: row for row in connection.execute(query)}
    by_event: dict[str, list[Row[Any]]] = {}
    for step in steps:
        by_event.setdefault(step.event_id, []).append(step)
    return [_outcome(found[one], by_event.get(one, [])) for one in event_ids if one in found]


def _outcome(event: Row[Any], steps: Sequence[Row[Any]]) -> EventOutcome:
    state = event_state({ActionState(step.state) for step in steps}).value
    if not steps:
        return EventOutcome(event, state, f"Nothing was planned: {_because(event.reason)}")
    parts = [f"{step.step} {_state_in_words(step)}" for step in steps]
    head = "Nothing was sent: " if all(step.state == "suppressed" for step in steps) else ""
    return EventOutcome(event, state, head + "; ".join(parts))


def _state_in_words(step: Row[Any]) -> str:
    if step.state == "delivered":
        return "was done"
    word = {"dead": "is dead", "held": "waits for a person", "waiting": "is still to be done"}.get(step.state)
    return f"{word or 'was not done'}" + (f" ({_because(step.reason)})" if step.reason else "")


def _because(reason: str) -> str:
    words = reason_in_words(reason)
    return f"{reason}, {words}" if words else reason or "no step of the playbook applies"


def newest_runs(connection: Connection, steps: Sequence[Row[Any]]) -> dict[str, str]:
    """The run that tried each step last, by the action's id; a group's member was tried as its group."""
    sent_as = {step.action_id: step.group_id or step.action_id for step in steps}
    query = select(attempts.c.action_id, attempts.c.run_id).where(attempts.c.action_id.in_(set(sent_as.values())))
    newest = {row.action_id: row.run_id for row in connection.execute(query.order_by(attempts.c.number))}
    return {action_id: newest[one] for action_id, one in sent_as.items() if one in newest}
