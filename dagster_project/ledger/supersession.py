"""What an episode's end does to its work that was not sent: it is suppressed, with `superseded` as reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, or_, select

from dagster_project.contracts.destination import Verdict
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.vocabulary import ActionState
from dagster_project.ledger.planning import RESTORED_LEDGER
from dagster_project.ledger.readiness import refresh_groups
from dagster_project.ledger.schema import actions, attempts
from dagster_project.ledger.transitions import Transition, apply_transitions, chunks

ACTOR = "loop"


def supersede(connection: Connection, build: Build, resolved: Sequence[SignalEvent], now: datetime) -> None:
    """Suppresses the unsent work of the episodes that these events end.

    Left alone: what has an open intent, an unknown outcome or is held by a restored ledger (it may have happened), and
    the members of a sealed group (its content is frozen; a person who holds it sees that an entity has resolved in the
    audit trail).
    """
    episodes = {event.entity_id: event.episode for event in resolved}
    touched_groups: set[str] = set()
    for entities in chunks(sorted(episodes)):
        rows = connection.execute(
            select(actions).where(
                actions.c.signal == build.signal,
                actions.c.entity_id.in_(entities),
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
        transitions = [
            Transition.of(
                row, ActionState.SUPPRESSED, "suppressed", "superseded", f"resolved by build {build.build_no}"
            )
            for row in unsent
        ]
        apply_transitions(connection, transitions, ACTOR, now)
    refresh_groups(connection, touched_groups, now)


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
