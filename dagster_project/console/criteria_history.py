"""Reads what holds for each threshold, who changed it when and why, and from which build on that was so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Row, select

from dagster_project.contracts.catalog import Catalog
from dagster_project.ledger.criteria import IN_FORCE, PROPOSED, SUPERSEDED, versions
from dagster_project.ledger.schema import builds

BUILDS_LOOKED_AT = 400  # of each signal
CHANGES_SHOWN = 50


@dataclass(frozen=True)
class Version:
    """One version of a threshold as the ledger keeps it. `preview` has what its author saw, by signal."""

    name: str
    number: int
    value: Any
    state: str
    why: str
    preview: Mapping[str, Any]
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_why: str | None
    decided_at: datetime | None


@dataclass(frozen=True)
class Threshold:
    name: str
    default: Any  # the repository's; None where it has no such threshold any more
    is_known: bool  # the repository has it
    versions: tuple[Version, ...]  # the newest first
    readers: tuple[str, ...]  # the signals that it decides on

    @property
    def in_force(self) -> Version | None:
        return next((one for one in self.versions if one.state == IN_FORCE), None)

    @property
    def value(self) -> Any:
        return self.default if self.in_force is None else self.in_force.value

    @property
    def is_drifted(self) -> bool:
        return self.in_force is not None and (not self.is_known or self.in_force.value != self.default)

    def value_before(self, version: Version) -> Any:
        """What held, or holds, without this version."""
        accepted = (IN_FORCE, SUPERSEDED)
        earlier = (one for one in self.versions if one.number < version.number and one.state in accepted)
        found = next(earlier, None)
        return self.default if found is None else found.value

    @property
    def proposals(self) -> tuple[Version, ...]:
        return tuple(one for one in self.versions if one.state == PROPOSED)

    @property
    def last_change(self) -> Version | None:
        """The decision that made it what it is now."""
        decided = [one for one in self.versions if one.decided_at is not None and one.state != "refused"]
        return max(decided, key=lambda one: one.decided_at or one.proposed_at, default=None)


@dataclass(frozen=True)
class Effect:
    """A build from which on a signal was made with other criteria."""

    signal: str
    build_no: int
    captured_at: datetime
    criteria_version: str


def read_thresholds(connection: Connection, catalog: Catalog, seen: frozenset[str] | None) -> list[Threshold]:
    """Every threshold that the repository or the ledger knows, as far as it decides on what the person may see."""
    by_name: dict[str, list[Version]] = {}
    for row in versions(connection):
        by_name.setdefault(row.name, []).append(_version(row, seen))
    names = [*catalog.thresholds, *sorted(set(by_name) - set(catalog.thresholds))]
    found = [
        Threshold(
            name,
            catalog.thresholds.get(name),
            name in catalog.thresholds,
            tuple(sorted(by_name.get(name, []), key=lambda one: -one.number)),
            tuple(catalog.readers_of(name)),
        )
        for name in names
    ]
    return [one for one in found if seen is None or seen & set(one.readers)]


def _version(row: Row[Any], seen: frozenset[str] | None) -> Version:
    preview = {name: told for name, told in json.loads(row.preview_json).items() if seen is None or name in seen}
    return Version(
        name=row.name,
        number=row.number,
        value=json.loads(row.value_json),
        state=row.state,
        why=row.why,
        preview=preview,
        proposed_by=row.proposed_by,
        proposed_at=row.proposed_at,
        decided_by=row.decided_by,
        decided_why=row.decided_why,
        decided_at=row.decided_at,
    )


def newest_changes(thresholds: Iterable[Threshold]) -> list[Version]:
    """All versions, whatever was done last first."""
    every = [version for one in thresholds for version in one.versions]
    return sorted(every, key=lambda one: one.decided_at or one.proposed_at, reverse=True)[:CHANGES_SHOWN]


def read_effects(connection: Connection, signals: Sequence[str]) -> list[Effect]:
    """The builds of these signals whose criteria differ from those of the build before, the newest first.

    They also tell of a change in the repository, which nobody proposed here.
    """
    found: list[Effect] = []
    columns = (builds.c.signal, builds.c.build_no, builds.c.captured_at, builds.c.criteria_version)
    for signal in signals:
        newest = select(*columns).where(builds.c.signal == signal).order_by(builds.c.build_no.desc())
        rows = connection.execute(newest.limit(BUILDS_LOOKED_AT)).all()
        for row, before in pairwise(rows):
            if row.criteria_version != before.criteria_version:
                found.append(Effect(signal, row.build_no, row.captured_at, row.criteria_version or ""))
    return sorted(found, key=lambda one: one.captured_at, reverse=True)
