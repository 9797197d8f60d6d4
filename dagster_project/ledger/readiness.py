"""Brings the lanes of some entities up to date after anything in them changed: what is ready, stuck, suppressed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from dagster_project.contracts.playbook import PlaybookVersion, Step
from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.lanes import NEED_DEAD, LaneAction, LaneDecision, decide_lane
from dagster_project.ledger.row_counts import Counted, add_counts, counted_action
from dagster_project.ledger.schema import actions, playbook_versions
from dagster_project.ledger.transitions import Transition, apply_transitions, chunks

ACTOR = "loop"


@lru_cache(maxsize=256)
def _parsed(content_json: str) -> PlaybookVersion:
    return PlaybookVersion.model_validate(json.loads(content_json))


def load_versions(connection: Connection, versions: Iterable[str]) -> dict[str, PlaybookVersion]:
    """The stored playbook versions; immutable, so parsed once a process."""
    wanted = sorted(set(versions))
    rows = connection.execute(
        select(playbook_versions.c.version, playbook_versions.c.content_json).where(
            playbook_versions.c.version.in_(wanted)
        )
    )
    return {row.version: _parsed(row.content_json) for row in rows}


def step_of(versions: Mapping[str, PlaybookVersion], row: Any) -> Step:
    step = versions[row.playbook_version].playbook.step(row.step)
    if step is None:
        raise LookupError(
            f"action {row.action_id}: its playbook version {row.playbook_version} has no step {row.step!r}"
        )
    return step


def refresh_lanes(connection: Connection, signal: str, entity_ids: Iterable[str], now: datetime) -> None:
    """Recomputes readiness for the lanes of these entities and for the groups that their actions belong to."""
    for entities in chunks(sorted(set(entity_ids))):
        rows = _open_events_actions(connection, signal, entities)
        if rows:
            _refresh(connection, signal, rows, now)


def _open_events_actions(connection: Connection, signal: str, entities: list[str]) -> list[Row[Any]]:
    """All actions of every event that still has a waiting or held action, in these lanes."""
    in_lanes = (actions.c.signal == signal, actions.c.entity_id.in_(entities))
    open_events = select(actions.c.event_id).where(*in_lanes, actions.c.state.in_(("waiting", "held")))
    return list(connection.execute(select(actions).where(*in_lanes, actions.c.event_id.in_(open_events))))


def _refresh(connection: Connection, signal: str, rows: list[Row[Any]], now: datetime) -> None:
    versions = load_versions(connection, (row.playbook_version for row in rows))
    steps = {row.action_id: step_of(versions, row) for row in rows}
    followed = {step.follows for step in steps.values() if step.follows}
    delivered = _delivered(connection, signal, {row.entity_id for row in rows}, followed) if followed else {}
    decision = LaneDecision()
    for entity_id, lane in _by_entity(rows).items():
        found = decide_lane(
            [_lane_action(row, steps[row.action_id]) for row in lane], delivered.get(entity_id, frozenset())
        )
        _merge(decision, found)
    _apply(connection, {row.action_id: row for row in rows}, decision, now)
    refresh_groups(connection, {row.group_id for row in rows if row.group_id}, now)


def _by_entity(rows: list[Row[Any]]) -> dict[str, list[Row[Any]]]:
    lanes: dict[str, list[Row[Any]]] = {}
    for row in rows:
        lanes.setdefault(row.entity_id, []).append(row)
    return lanes


def _lane_action(row: Row[Any], step: Step) -> LaneAction:
    return LaneAction(
        action_id=row.action_id,
        event_id=row.event_id,
        build_no=row.build_no,
        episode=row.episode,
        step=row.step,
        step_index=row.step_index,
        state=ActionState(row.state),
        needs=step.needs,
        follows=step.follows,
        is_ready=row.is_ready,
        reason=row.reason,
    )


def _delivered(
    connection: Connection, signal: str, entities: set[str], steps: set[str]
) -> dict[str, frozenset[tuple[int, str]]]:
    rows = connection.execute(
        select(actions.c.entity_id, actions.c.episode, actions.c.step).where(
            actions.c.signal == signal,
            actions.c.entity_id.in_(sorted(entities)),
            actions.c.state == ActionState.DELIVERED.value,
            actions.c.step.in_(sorted(steps)),
        )
    )
    found: dict[str, set[tuple[int, str]]] = {}
    for row in rows:
        found.setdefault(row.entity_id, set()).add((row.episode, row.step))
    return {entity: frozenset(pairs) for entity, pairs in found.items()}


def _merge(total: LaneDecision, one: LaneDecision) -> None:
    total.now_ready |= one.now_ready
    total.no_longer_ready |= one.no_longer_ready
    total.now_stuck |= one.now_stuck
    total.no_longer_stuck |= one.no_longer_stuck
    total.suppressed |= one.suppressed


def _apply(connection: Connection, rows: Mapping[str, Row[Any]], decision: LaneDecision, now: datetime) -> None:
    _set(connection, decision.now_ready, is_ready=True)
    _set(connection, decision.no_longer_ready, is_ready=False)
    _give_reason(connection, [rows[action_id] for action_id in decision.now_stuck], NEED_DEAD)
    _give_reason(connection, [rows[action_id] for action_id in decision.no_longer_stuck], "")
    transitions = [
        Transition.of(rows[action_id], ActionState.SUPPRESSED, "suppressed", reason, detail)
        for action_id, (reason, detail) in decision.suppressed.items()
    ]
    apply_transitions(connection, transitions, ACTOR, now)


def _give_reason(connection: Connection, rows: Sequence[Row[Any]], reason: str) -> None:
    """Says why waiting actions wait; no change of state, so the audit trail has nothing to tell."""
    _set(connection, {row.action_id for row in rows}, reason=reason)
    changes: Counter[Counted] = Counter()
    for row in rows:
        changes[counted_action(row.signal, row.step, row.is_group, row.state, row.reason)] -= 1
        changes[counted_action(row.signal, row.step, row.is_group, row.state, reason)] += 1
    add_counts(connection, changes)


def _set(connection: Connection, action_ids: set[str], **values: Any) -> None:
    if action_ids:
        statement = update(actions).where(actions.c.action_id == bindparam("b_id")).values(**values)
        connection.execute(statement, [{"b_id": action_id} for action_id in sorted(action_ids)])


def refresh_groups(connection: Connection, group_ids: Iterable[str], now: datetime) -> None:
    """A group may go when every member that is still to be done may go; one without any such member is suppressed."""
    for ids in chunks(sorted(set(group_ids))):
        groups = connection.execute(
            select(actions).where(actions.c.action_id.in_(ids), actions.c.state.in_(("waiting", "held")))
        ).all()
        if not groups:
            continue  # asked for the members of none, SQLite would read all actions to find nothing
        members = connection.execute(
            select(actions.c.group_id, actions.c.state, actions.c.is_ready, actions.c.reason).where(
                actions.c.group_id.in_([group.action_id for group in groups])
            )
        ).all()
        for group in groups:
            _refresh_group(connection, group, [m for m in members if m.group_id == group.action_id], now)


def _refresh_group(connection: Connection, group: Row[Any], members: list[Row[Any]], now: datetime) -> None:
    to_do = [m for m in members if m.state == group.state and m.reason != NEED_DEAD]
    if not to_do and not group.is_sealed and not any(m.reason == NEED_DEAD for m in members):
        why = "every member was suppressed before the group was sent"
        gone = Transition.of(group, ActionState.SUPPRESSED, "suppressed", "no_members", why)
        apply_transitions(connection, [gone], ACTOR, now)
        return
    is_ready = bool(to_do) and all(m.is_ready for m in to_do)
    if group.state == "waiting" and is_ready != group.is_ready:
        _set(connection, {group.action_id}, is_ready=is_ready)
