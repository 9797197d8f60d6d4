"""The one way an action changes state: the row and its audit entry in the same transaction (invariant 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, update

from dagster_project.contracts.vocabulary import SETTLED, ActionState
from dagster_project.ledger import audit_chain
from dagster_project.ledger.row_counts import Counted, add_counts, counted_action
from dagster_project.ledger.row_writing import update_rows
from dagster_project.ledger.schema import actions

CHUNK = 400  # rows named in one statement; below every database's limit on parameters


@dataclass(frozen=True)
class Transition:
    action_id: str
    signal: str
    build_id: str
    step: str
    is_group: bool
    from_state: ActionState
    from_reason: str
    to_state: ActionState
    verb: str
    reason: str = ""
    detail: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)  # what else changes on the row

    @classmethod
    def of(
        cls,
        row: Row[Any],
        to_state: ActionState,
        verb: str,
        reason: str = "",
        detail: str = "",
        columns: Mapping[str, Any] | None = None,
    ) -> Transition:
        """The transition of an action or group as the caller's transaction has read it."""
        return cls(
            action_id=row.action_id,
            signal=row.signal,
            build_id=row.build_id,
            step=row.step,
            is_group=row.is_group,
            from_state=ActionState(row.state),
            from_reason=row.reason,
            to_state=to_state,
            verb=verb,
            reason=reason,
            detail=detail,
            columns=columns or {},
        )


def chunks(values: Iterable[Any], size: int = CHUNK) -> Iterable[list[Any]]:
    everything = list(values)
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


def apply_transitions(connection: Connection, transitions: Sequence[Transition], actor: str, now: datetime) -> None:
    """Changes the rows and writes their audit entries.

    A settled or held action gives up its lease and is not ready; what `columns` say comes last.
    """
    by_shape: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for transition in transitions:
        values = _row_values(transition, now)
        by_shape.setdefault(tuple(values), []).append({"action_id": transition.action_id, **values})
    for rows in by_shape.values():
        _change(connection, rows)
    add_counts(connection, count_changes(transitions))
    write_audit(connection, [audit_row(t, actor, now) for t in transitions])


def count_changes(transitions: Iterable[Transition]) -> dict[Counted, int]:
    """By how much the counts of each state change."""
    changes: Counter[Counted] = Counter()
    for t in transitions:
        changes[counted_action(t.signal, t.step, t.is_group, t.from_state.value, t.from_reason)] -= 1
        changes[counted_action(t.signal, t.step, t.is_group, t.to_state.value, t.reason)] += 1
    return changes


def _change(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes what is the same in all rows at once, and row by row only what differs, which is mostly an external id."""
    first = rows[0]
    shared = {name for name in first if name != "action_id" and all(row[name] == first[name] for row in rows)}
    if shared:
        values = {name: first[name] for name in shared}
        for ids in chunks(row["action_id"] for row in rows):
            connection.execute(update(actions).where(actions.c.action_id.in_(ids)).values(values))
    if len(shared) + 1 < len(first):
        differing = [{name: value for name, value in row.items() if name not in shared} for row in rows]
        update_rows(connection, actions, "action_id", differing)


def _row_values(transition: Transition, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "state": transition.to_state.value,
        "reason": transition.reason,
        "detail": transition.detail,
    }
    if transition.to_state in SETTLED or transition.to_state is ActionState.HELD:
        values |= {"is_ready": False, "lease_token": None, "lease_until": None}
    if transition.to_state in SETTLED:
        values["settled_at"] = now
    return values | dict(transition.columns)


def audit_row(transition: Transition, actor: str, now: datetime) -> dict[str, Any]:
    return {
        "at": now,
        "actor": actor,
        "verb": transition.verb,
        "signal": transition.signal,
        "build_id": transition.build_id,
        "action_id": transition.action_id,
        "from_state": transition.from_state.value,
        "to_state": transition.to_state.value,
        "reason": transition.reason,
        "detail": transition.detail,
    }


def write_audit(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        blank = dict.fromkeys(("signal", "build_id", "action_id", "from_state", "to_state")) | {
            "reason": "",
            "detail": "",
        }
        audit_chain.append(connection, [{**blank, **row} for row in rows])
