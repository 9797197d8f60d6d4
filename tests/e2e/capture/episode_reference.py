"""The episode rules in plain Python, written from their description alone, to judge the SQL by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

SEVERITIES = ["low", "medium", "high", "critical"]


@dataclass(frozen=True)
class Patience:
    """How many captured builds, and how long in data time, a change must last; both must hold."""

    builds: int = 1
    time: timedelta = timedelta(0)


@dataclass(frozen=True)
class Rules:
    """What one signal's settings say about its episodes."""

    open_after: Patience = Patience()
    resolve_after: Patience = Patience()
    is_occurrence: bool = False


@dataclass
class Since:
    """When a change was first seen: in which build, and as of when."""

    build_no: int
    as_of: datetime

    def has_lasted(self, patience: Patience, build_no: int, as_of: datetime) -> bool:
        return build_no - self.build_no + 1 >= patience.builds and as_of - self.as_of >= patience.time


@dataclass
class Entity:
    """One entity as one signal knows it."""

    episode: int = 0
    is_open: bool = False
    peak: int = -1
    noticed: Since | None = None
    missing: Since | None = None


@dataclass(frozen=True)
class Event:
    """What an entity's episode did in a build."""

    entity_id: str
    episode: int
    kind: str
    severity: str


@dataclass
class EpisodeReference:
    """All entities of one signal, moved on by one captured build after the other."""

    rules: Rules
    entities: dict[str, Entity] = field(default_factory=dict)
    build_no: int = 0

    def build(self, as_of: datetime, flagged: Mapping[str, str]) -> list[Event]:
        """Take in one captured build.

        Args:
            as_of: how new the data is; never earlier than in the build before.
            flagged: the severity of each entity that is in the condition now.
        """
        self.build_no += 1
        events = []
        for entity_id in sorted(self.entities.keys() | flagged.keys()):
            entity = self.entities.setdefault(entity_id, Entity())
            if entity_id in flagged:
                kind = self._is_here(entity, SEVERITIES.index(flagged[entity_id]), as_of)
            else:
                kind = self._is_away(entity, as_of)
            if kind:
                severity = SEVERITIES[entity.peak] if kind == "resolved" else flagged[entity_id]
                events.append(Event(entity_id, entity.episode, kind, severity))
        return events

    def _is_here(self, entity: Entity, rank: int, as_of: datetime) -> str | None:
        if entity.is_open:
            entity.missing = None
            if rank <= entity.peak:
                return None
            entity.peak = rank
            return "escalated"
        entity.noticed = entity.noticed or Since(self.build_no, as_of)
        is_baseline = self.build_no == 1
        if not is_baseline and not entity.noticed.has_lasted(self.rules.open_after, self.build_no, as_of):
            return None
        entity.episode, entity.is_open, entity.peak, entity.noticed = entity.episode + 1, True, rank, None
        return "opened"

    def _is_away(self, entity: Entity, as_of: datetime) -> str | None:
        entity.noticed = None
        if not entity.is_open or self.rules.is_occurrence:
            return None
        entity.missing = entity.missing or Since(self.build_no, as_of)
        if not entity.missing.has_lasted(self.rules.resolve_after, self.build_no, as_of):
            return None
        entity.is_open, entity.missing = False, None
        return "resolved"
