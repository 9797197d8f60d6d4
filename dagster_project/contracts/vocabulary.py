"""The closed word lists of the loop, each with the one order that matters about it."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """1 (low) to 4 (critical)."""
        return list(Severity).index(self) + 1


class Kind(StrEnum):
    """What happened to an episode."""

    OPENED = "opened"
    ESCALATED = "escalated"
    RESOLVED = "resolved"


class Lifecycle(StrEnum):
    STATE = "state"  # the row leaves when the condition ends
    OCCURRENCE = "occurrence"  # it happens once and never resolves


class Mode(StrEnum):
    SHADOW = "shadow"
    LIVE = "live"


class ActionState(StrEnum):
    WAITING = "waiting"
    HELD = "held"
    DEAD = "dead"
    DELIVERED = "delivered"
    SUPPRESSED = "suppressed"


# Invariant 1: an event's state is the first of these that any of its actions is in.
STATE_PRECEDENCE = (
    ActionState.HELD,
    ActionState.WAITING,
    ActionState.DEAD,
    ActionState.DELIVERED,
    ActionState.SUPPRESSED,
)

# States in which nothing will be sent any more unless a person replays it.
SETTLED = frozenset({ActionState.DEAD, ActionState.DELIVERED, ActionState.SUPPRESSED})


def event_state(action_states: set[ActionState]) -> ActionState:
    """The state of an event from the states of its actions; an event without actions was suppressed."""
    return next((state for state in STATE_PRECEDENCE if state in action_states), ActionState.SUPPRESSED)
