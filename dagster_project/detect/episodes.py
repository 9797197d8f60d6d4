"""What a set of flagged rows would mean for the episodes that are known: the capture's rule, for looking ahead only.

The capture in the warehouse decides what happens; this tells a person beforehand what it would. Patience
(`open_after`, `resolve_after`) is left out: a row that would only be noticed at first is told as entering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_project.contracts.vocabulary import Kind, Lifecycle, Severity


@dataclass(frozen=True)
class KnownEpisode:
    """An open episode as `signal_state` has it."""

    entity_id: str
    episode: int
    peak: Severity
    last_row: str


@dataclass(frozen=True)
class Foreseen:
    """One event that the next build would bring."""

    kind: Kind
    entity_id: str
    episode: int
    severity: Severity
    row: Mapping[str, Any] | None  # None for what resolves: its last row is known


def foresee(
    rows: Sequence[Mapping[str, Any]],
    open_episodes: Mapping[str, KnownEpisode],
    closed_episodes: Mapping[str, int],
    lifecycle: Lifecycle,
) -> list[Foreseen]:
    """The events that these rows would lead to.

    Parameters: the flagged rows, with entity_id and severity; the open episodes by entity; of entities whose last
    episode is closed, its number; the signal's lifecycle.
    """
    foreseen: list[Foreseen] = []
    for row in rows:
        entity, severity = str(row["entity_id"]), Severity(row["severity"])
        known = open_episodes.get(entity)
        if known is None:
            foreseen.append(Foreseen(Kind.OPENED, entity, closed_episodes.get(entity, 0) + 1, severity, row))
        elif severity.rank > known.peak.rank:
            foreseen.append(Foreseen(Kind.ESCALATED, entity, known.episode, severity, row))
    if lifecycle is Lifecycle.STATE:
        here = {str(row["entity_id"]) for row in rows}
        gone = (known for entity, known in open_episodes.items() if entity not in here)
        foreseen += [Foreseen(Kind.RESOLVED, k.entity_id, k.episode, k.peak, None) for k in gone]
    return foreseen
