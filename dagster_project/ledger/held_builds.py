"""Keeps what detection last saw of builds that the warehouse holds, so that a look at the ledger alone shows them.

A held build has brought nothing: without this the ledger would say that all is well while a signal stands still.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from dagster_project.detect.warehouse_reading import UnreleasedBuild
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import facts

# A build is unreleased between its capture and its tests; only after so long does it count as left untested.
TESTED_WITHIN = timedelta(hours=1)
UNTESTED = "its tests have not run"


@dataclass(frozen=True)
class HeldBuilds:
    """Builds of one signal that bring nothing until a later one passes its tests."""

    first_no: int
    last_no: int
    reason: str
    noted_at: datetime  # when detection saw them so first

    def __str__(self) -> str:
        which = (
            f"build {self.last_no} is"
            if self.first_no == self.last_no
            else f"builds {self.first_no} to {self.last_no} are"
        )
        return f"{which} held: {self.reason} (seen {self.noted_at:%Y-%m-%d %H:%M} UTC)"


def held_of(unreleased: Sequence[UnreleasedBuild], now: datetime) -> HeldBuilds | None:
    """What of a signal's unreleased builds waits for a person, with the newest reason. Parameters: oldest first."""
    held = [one for one in unreleased if one.held_reason or one.captured_at <= now - TESTED_WITHIN]
    if not held:
        return None
    reasons = [one.held_reason for one in held if one.held_reason]
    return HeldBuilds(held[0].build_no, held[-1].build_no, reasons[-1] if reasons else UNTESTED, now)


def note_held_builds(database: Database, signal: str, unreleased: Sequence[UnreleasedBuild]) -> None:
    """Keeps what the warehouse holds of a signal, or that it holds nothing; writes only where that has changed."""
    found = held_of(unreleased, database.now())
    with database.reading() as connection:
        if _same(read_held_builds(connection, signal), found):
            return
    database.write(lambda connection: _note(connection, signal, found), over=signal)


def _same(before: HeldBuilds | None, found: HeldBuilds | None) -> bool:
    if before is None or found is None:
        return before is found
    return (before.first_no, before.last_no, before.reason) == (found.first_no, found.last_no, found.reason)


def _note(connection: Connection, signal: str, found: HeldBuilds | None) -> None:
    connection.execute(delete(facts).where(facts.c.name == _name(signal)))
    if found is None:
        return
    value = {"first": found.first_no, "last": found.last_no, "reason": found.reason, "at": found.noted_at.isoformat()}
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = {"name": _name(signal), "value": json.dumps(value)}
    connection.execute(dialect.insert(facts).values(row).on_conflict_do_nothing())  # another process saw it too


def read_held_builds(connection: Connection, signal: str) -> HeldBuilds | None:
    """What detection last saw the warehouse hold of a signal; None where it held nothing."""
    found = connection.execute(select(facts.c.value).where(facts.c.name == _name(signal))).scalar()
    if found is None:
        return None
    kept = json.loads(found)
    return HeldBuilds(kept["first"], kept["last"], kept["reason"], datetime.fromisoformat(kept["at"]))


def _name(signal: str) -> str:
    return f"held_builds:{signal}"
