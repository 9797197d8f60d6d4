"""Builds and signal events as they come out of the warehouse, and the identities that follow from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from dagster_project.contracts.vocabulary import Kind, Severity

CLOUDEVENT_SCHEMA_VERSION = "1"


class BuildRefused(Exception):
    """A build that is not taken in as it is. What the ledger has is none the worse for it and goes on."""


@dataclass(frozen=True)
class Build:
    """One captured and released build of a signal; the counts are what its capture wrote."""

    build_id: str
    signal: str
    build_no: int
    is_baseline: bool
    code_version: str
    criteria_version: str
    data_as_of: datetime
    population: int | None
    flagged: int
    opened: int
    escalated: int
    resolved: int
    captured_at: datetime
    released_at: datetime

    @property
    def event_count(self) -> int:
        return self.opened + self.escalated + self.resolved

    def count_of(self, kind: Kind) -> int:
        return {Kind.OPENED: self.opened, Kind.ESCALATED: self.escalated, Kind.RESOLVED: self.resolved}[kind]


@dataclass(frozen=True)
class SignalEvent:
    """An immutable fact about an episode, with the row as it was."""

    event_id: str
    build_id: str
    signal: str
    entity_id: str
    episode: int
    kind: Kind
    severity: Severity
    score: float | None
    observed_at: datetime
    emitted_at: datetime
    row_json: str

    @cached_property
    def row(self) -> Mapping[str, Any]:
        parsed = json.loads(self.row_json)
        return parsed if isinstance(parsed, dict) else {}

    def scope(self) -> dict[str, Any]:
        """What conditions and templates see of the event: its own fields, and the row's columns under `row`."""
        return {
            "kind": self.kind.value,
            "severity": self.severity.value,
            "score": self.score,
            "episode": self.episode,
            "row": self.row,
            "event": self.template_fields(),
        }

    def template_fields(self) -> dict[str, Any]:
        return {
            "id": self.event_id,
            "signal": self.signal,
            "entity_id": self.entity_id,
            "kind": self.kind.value,
            "episode": self.episode,
            "severity": self.severity.value,
            "score": self.score,
            "observed_at": self.observed_at,
            "emitted_at": self.emitted_at,
            "reason": self.row.get("reason", ""),
        }


EVENT_FIELDS = (
    "id",
    "signal",
    "entity_id",
    "kind",
    "episode",
    "severity",
    "score",
    "observed_at",
    "emitted_at",
    "reason",
)


def action_id_for(event_id: str, step: str) -> str:
    """The idempotency key of one step for one event; every retry carries it."""
    return hashlib.sha256(f"action|{event_id}|{step}".encode()).hexdigest()[:32]


def group_id_for(build_id: str, step: str, value: str) -> str:
    """The idempotency key of one group: the events of one build that share a value, for one step."""
    return hashlib.sha256(f"group|{build_id}|{step}|{value}".encode()).hexdigest()[:32]
