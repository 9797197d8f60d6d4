"""The closed word lists of the loop, each with the one order that matters about it."""

from __future__ import annotations

from collections.abc import Mapping
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


# Every verb of the audit trail, with what it says that its actor did. A test holds the ledger's writers to this list.
AUDIT_VERBS: Mapping[str, str] = {
    "approved": "let held work be sent",
    "rejected": "ended held work for good",
    "replayed": "let dead work be tried anew",
    "discarded": "ended work for good",
    "paused": "kept work from going out",
    "resumed": "let work go out again",
    "decided": "took a signal live or into shadow",
    "criteria_proposed": "proposed another value for a threshold",
    "criteria_accepted": "put a threshold's value into force",
    "criteria_refused": "ended a proposed value",
    "criteria_rolled_back": "took a threshold's value back",
    "checked": "gave a verdict on a record that was read back",
    "erased": "emptied personal data",
    "pruned": "took ended history out, leaving totals",
    "proposed": "asked for actions on events of the past",
    "reopened": "let an action of the past be planned anew",
    "restored": "found the ledger older than its mark",
    "looked": "was shown personal data",
    "refused": "tried what the rules do not let them",
    "person_set": "gave a person roles",
    "person_removed": "took a person out",
    "token_created": "made a token",
    "token_revoked": "ended a token",
    "signed_in": "began a session",
    "signed_out": "ended a session",
    "declared": "took over the mode that a signal's file says",
    "ingested": "took in a build",
    "planned": "planned an action",
    "attempted": "called a destination",
    "delivered": "settled an action as done",
    "retried": "put an action back to be tried again",
    "held": "left an action to a person",
    "died": "gave an action up",
    "suppressed": "chose not to act",
    "listed": "put a contact on the do-not-contact list",
    "unlisted": "took a contact off the do-not-contact list",
    "circuit_opened": "stopped calling a destination that fails",
    "circuit_closed": "called a destination again that had failed",
    "sampled": "read records back",
    "incident_opened": "noticed that something is wrong",
    "incident_resolved": "noticed that it is over",
}
