"""Decides, without touching anything, which settled episodes the ledger may forget, and why it keeps the others.

An episode goes whole or not at all. What later decisions ask of the past is either kept with the episode or carried on
in `pruned_deeds`: what is ready asks only for open work; `follows` and `needs` ask within one episode, and an ended one
gets no further event; a cool-down and the lookup `earlier_work` ask for deliveries, which the deeds carry.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta

LEAST_KEPT = timedelta(days=14)  # longer than any window over settled work: SLA and samples look back seven days

YOUNG = "young"
EPISODE_OPEN = "episode_open"
ATTEMPT_OPEN = "attempt_open"
GROUP_OPEN = "group_open"
OPEN_STATES = ("waiting", "held", "dead")  # each of them is its own reason to stay


@dataclass(frozen=True)
class Episode:
    """What pruning has to know of one episode of one entity."""

    entity_id: str
    number: int
    changed_at: datetime  # of its newest event, or of the last settlement among its actions
    is_ended: bool  # resolved, or a later episode has begun
    states: Set[str] = frozenset()  # of its actions
    has_open_attempt: bool = False  # its own, or a group's
    has_open_group: bool = False  # work of a group that one of its actions belongs to


def why_kept(episode: Episode, before: datetime, ends_by_itself: bool) -> str:
    """Why an episode stays; empty where it may go.

    Parameters: the episode; the moment before which all of it has to lie; whether an episode that is not resolved can
    still have no further event that is acted upon (occurrences, in a playbook without steps on `escalated`).
    """
    if episode.changed_at >= before:
        return YOUNG
    if not (episode.is_ended or ends_by_itself):
        return EPISODE_OPEN
    for state in OPEN_STATES:
        if state in episode.states:
            return state
    if episode.has_open_attempt:
        return ATTEMPT_OPEN
    return GROUP_OPEN if episode.has_open_group else ""
