"""What an episode's end does to its work that was not sent: it is suppressed, with `superseded` as reason.

Where the end itself is in doubt, because a wave of ends exceeds the signal's guard, the work is held for a person:
sent, it would go to everybody who has resolved, and suppressed, it would be lost to a bad load.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from dagster_project.contracts.destination import Verdict
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.vocabulary import ActionState, Kind
from dagster_project.ledger.planning import RESTORED_LEDGER, guards_ends
from dagster_project.ledger.readiness import refresh_groups
from dagster_project.ledger.schema import actions, attempts, builds, events
from dagster_project.ledger.transitions import Transition, apply_transitions, chunks

ACTOR = "loop"
SUPERSEDED = "superseded"
RESOLVED_WAVE = "resolved_wave"  # why work is held whose episode may have ended: its end came in a wave that is held


def supersede(
    connection: Connection, build: Build, resolved: Sequence[SignalEvent], now: datetime, doubt: str = ""
) -> None:
    """Suppresses the unsent work of the episodes that these events end, or holds it where the ends are in doubt.

    Left alone: what has an open intent, an unknown outcome or is held by a restored ledger (it may have happened), the
    members of a sealed group (its content is frozen; a person who holds it sees that an entity has resolved in the
    audit trail), and what an earlier end asked for: a compensation is due also after the next episode.
    Parameters: the build; its ends; the moment of the transaction; which guard they exceed, in words, or nothing.
    """
    episodes = {event.entity_id: event.episode for event in resolved}
    touched_groups: set[str] = set()
    for entities in chunks(sorted(episodes)):
        rows = connection.execute(
            select(actions).where(
                actions.c.signal == build.signal,
                actions.c.entity_id.in_(entities),
                actions.c.kind != Kind.RESOLVED.value,
                actions.c.state.in_(("waiting", "held")),
                actions.c.reason.notin_(("unknown_outcome", RESTORED_LEDGER)),
            )
        ).all()
        rows = [row for row in rows if row.episode <= episodes[row.entity_id]]
        kept = may_have_happened(connection, [row.action_id for row in rows]) | _sealed(
            connection, {r.group_id for r in rows}
        )
        unsent = [row for row in rows if row.action_id not in kept and row.group_id not in kept]
        touched_groups |= {row.group_id for row in unsent if row.group_id}
        apply_transitions(connection, [_ended(row, build, doubt) for row in unsent], ACTOR, now)
    refresh_groups(connection, touched_groups, now)


def _ended(row: Row[Any], build: Build, doubt: str) -> Transition:
    by = f"resolved by build {build.build_no}"
    if not doubt:
        return Transition.of(row, ActionState.SUPPRESSED, "suppressed", SUPERSEDED, by)
    # A held member leaves its group, which goes on without it; approved, it is a group of one.
    left = {"group_id": None} if row.group_id else {}
    return Transition.of(row, ActionState.HELD, "held", RESOLVED_WAVE, f"{by}: {doubt}", left)


def ends_of(connection: Connection, signal: str, rows: Sequence[Row[Any]]) -> dict[str, str]:
    """Of these actions those whose episode has ended, each with the guard that its end exceeds, or nothing.

    Parameters: the signal; single actions with their entity and episode.
    """
    found: dict[tuple[str, int], str] = {}
    for entities in chunks(sorted({row.entity_id for row in rows})):
        ends = (events.c.signal == signal, events.c.entity_id.in_(entities), events.c.kind == Kind.RESOLVED.value)
        query = select(events.c.entity_id, events.c.episode, builds.c.detail).where(*ends)
        for end in connection.execute(query.join(builds, builds.c.build_id == events.c.build_id)):
            found[end.entity_id, end.episode] = end.detail if guards_ends(end.detail) else ""
    lanes = {row.action_id: (row.entity_id, row.episode) for row in rows}
    return {action_id: found[lane] for action_id, lane in lanes.items() if lane in found}


def may_have_happened(connection: Connection, action_ids: Sequence[str]) -> set[str]:
    """Actions of which some attempt had its effect or may have had it: one that a late run reports counts too."""
    found: set[str] = set()
    for ids in chunks(action_ids):
        may_be_done = (Verdict.UNKNOWN.value, Verdict.DELIVERED.value)
        is_open = or_(attempts.c.verdict.is_(None), attempts.c.verdict.in_(may_be_done))
        open_intents = select(attempts.c.action_id).where(attempts.c.action_id.in_(ids), is_open)
        found |= set(connection.execute(open_intents).scalars())
    return found


def _sealed(connection: Connection, group_ids: set[str | None]) -> set[str]:
    ids = sorted(group_id for group_id in group_ids if group_id)
    if not ids:
        return set()
    sealed = select(actions.c.action_id).where(actions.c.action_id.in_(ids), actions.c.is_sealed)
    return set(connection.execute(sealed).scalars())
