"""Decides, without touching anything, what may go next in a lane: the events of one entity and one signal, in order.

Invariant 6 is kept here: nothing of a later event is ready while an earlier event has work that is waiting or held.
An earlier event whose remaining work waits only for a dead step does not block; it goes on if that step is replayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from dagster_project.contracts.vocabulary import ActionState

# What `reason` says on a waiting action whose need is dead.
NEED_DEAD = "need_dead"


@dataclass(frozen=True)
class LaneAction:
    action_id: str
    event_id: str
    build_no: int
    episode: int
    step: str
    step_index: int
    state: ActionState
    needs: tuple[str, ...]
    follows: str | None
    is_ready: bool
    reason: str = ""


@dataclass
class LaneDecision:
    """Only what changes; an action that is right already is in none of them."""

    now_ready: set[str] = field(default_factory=set)
    no_longer_ready: set[str] = field(default_factory=set)
    now_stuck: set[str] = field(default_factory=set)
    no_longer_stuck: set[str] = field(default_factory=set)
    suppressed: dict[str, tuple[str, str]] = field(default_factory=dict)  # action id -> (reason, detail)


def decide_lane(actions: Sequence[LaneAction], delivered: Set[tuple[int, str]]) -> LaneDecision:
    """What changes in one lane.

    Parameters: all actions of those events of the lane that have any waiting or held action; the (episode, step) pairs
    of the lane that were delivered, for `follows`.
    """
    decision = LaneDecision()
    by_event: dict[tuple[int, str], list[LaneAction]] = {}
    for action in actions:
        by_event.setdefault((action.build_no, action.event_id), []).append(action)
    is_blocked = False
    for key in sorted(by_event):
        event = sorted(by_event[key], key=lambda a: a.step_index)
        states = _decide_event(event, delivered, is_blocked, decision)
        is_blocked = is_blocked or any(state in ("held", "waiting") for state in states.values())
    return decision


def _decide_event(
    event: Sequence[LaneAction], delivered: Set[tuple[int, str]], is_blocked: bool, decision: LaneDecision
) -> Mapping[str, str]:
    """Decides one event's actions in step order; returns the state each step comes to ("stuck" where it waits for a
    dead one)."""
    states: dict[str, str] = {}
    for action in event:
        states[action.step] = action.state.value
        if action.state is not ActionState.WAITING:
            continue
        needs = [states.get(need, "suppressed") for need in action.needs]
        if not is_blocked and (why := _why_never(action, needs, delivered)):
            decision.suppressed[action.action_id] = why
            states[action.step] = "suppressed"
            continue
        is_stuck = "dead" in needs or "stuck" in needs
        if is_stuck:
            states[action.step] = "stuck"
        _note(action, is_stuck, not is_blocked and all(need == "delivered" for need in needs), decision)
    return states


def _why_never(action: LaneAction, needs: Sequence[str], delivered: Set[tuple[int, str]]) -> tuple[str, str] | None:
    if "suppressed" in needs:
        return "need_suppressed", f"{action.needs[needs.index('suppressed')]} will not be done"
    if action.follows is not None and (action.episode, action.follows) not in delivered:
        return "nothing_to_follow", f"{action.follows} was not delivered in episode {action.episode}"
    return None


def _note(action: LaneAction, is_stuck: bool, is_ready: bool, decision: LaneDecision) -> None:
    if is_ready and not action.is_ready:
        decision.now_ready.add(action.action_id)
    if action.is_ready and not is_ready:
        decision.no_longer_ready.add(action.action_id)
    if is_stuck and action.reason != NEED_DEAD:
        decision.now_stuck.add(action.action_id)
    if action.reason == NEED_DEAD and not is_stuck:
        decision.no_longer_stuck.add(action.action_id)
