"""Moves actions on by what an attempt came to, the members of a group with it, and their lanes after them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.readiness import refresh_groups, refresh_lanes
from dagster_project.ledger.retry_policy import UNKNOWN_OUTCOME, Consequence
from dagster_project.ledger.schema import actions
from dagster_project.ledger.transitions import Transition, apply_transitions, chunks

ACTOR = "loop"
VERBS = {
    ActionState.DELIVERED: "delivered",
    ActionState.WAITING: "retried",
    ActionState.HELD: "held",
    ActionState.DEAD: "died",
    ActionState.SUPPRESSED: "suppressed",
}


def move_on(
    connection: Connection,
    changes: Sequence[tuple[Row[Any], Consequence, str, Outcome | None]],
    now: datetime,
) -> None:
    """Moves actions on; the members of a group inherit what became of it."""
    transitions: list[Transition] = []
    for row, consequence, detail, outcome in changes:
        columns = _columns(row, consequence, outcome, now)
        transitions.append(_transition(row, consequence, detail, columns))
    members = members_of(connection, [row.action_id for row, *_ in changes if row.is_group])
    for row, consequence, detail, outcome in changes:
        for member in members.get(row.action_id, ()):
            columns = _columns(row, consequence, outcome, now) | {"is_ready": False}  # a member goes with its group
            transitions.append(_transition(member, consequence, detail, columns))
    apply_transitions(connection, transitions, ACTOR, now)


def _transition(row: Row[Any], consequence: Consequence, detail: str, columns: Mapping[str, Any]) -> Transition:
    return Transition.of(row, consequence.state, VERBS[consequence.state], consequence.reason, detail, columns)


def _columns(row: Row[Any], consequence: Consequence, outcome: Outcome | None, now: datetime) -> dict[str, Any]:
    counted = outcome is not None and consequence.is_counted
    columns: dict[str, Any] = {
        "attempts": row.attempts + (1 if counted else 0),
        "due_at": now + timedelta(seconds=consequence.due_in),
    }
    if outcome is not None and outcome.verdict is Verdict.DELIVERED:
        columns |= {
            "external_id": outcome.external_id,
            "url": outcome.url,
            "result_json": json.dumps(dict(outcome.result), sort_keys=True) if outcome.result else "{}",
        }
    if consequence.state is ActionState.WAITING:
        columns |= {"settled_at": None, "lease_token": None, "lease_until": None, "is_ready": True}
    if consequence.reason == UNKNOWN_OUTCOME:
        columns["is_ready"] = True  # on a held action: the destination has not yet been asked whether it happened
    return columns


def members_of(connection: Connection, group_ids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    found: dict[str, list[Row[Any]]] = {}
    for ids in chunks(group_ids):
        unsettled = (actions.c.group_id.in_(ids), actions.c.state.in_(("waiting", "held")))
        for row in connection.execute(select(actions).where(*unsettled)):
            found.setdefault(row.group_id, []).append(row)
    return found


def refresh_after(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> None:
    """After something settled: what may go next in the lanes it belongs to, a group's members included."""
    by_signal: dict[str, set[str]] = {}
    for row in rows:
        if row.entity_id is not None:
            by_signal.setdefault(row.signal, set()).add(row.entity_id)
    for ids in chunks([row.action_id for row in rows if row.is_group]):
        lanes = select(actions.c.signal, actions.c.entity_id).where(actions.c.group_id.in_(ids))
        for lane in connection.execute(lanes):
            by_signal.setdefault(lane.signal, set()).add(lane.entity_id)
    for signal, entities in by_signal.items():
        refresh_lanes(connection, signal, entities, now)
    groups = {row.group_id for row in rows if row.group_id is not None}
    refresh_groups(connection, groups, now)
