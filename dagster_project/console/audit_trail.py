"""Reads the audit trail page by page, the newest first, without ever walking through all of it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, false, func, select, text

from dagster_project.ledger.schema import audit

PAGE_ROWS = 100
WALKED = 50_000  # entries that one page looks through at most

# The condition of the index audit_people, in its own words.
BY_PEOPLE = text("actor <> 'loop' and substr(actor, 1, 4) <> 'run:'")


@dataclass(frozen=True)
class TrailFilter:
    """Which entries; empty text means any. `seen` are the signals that the person may see, None for all."""

    actor: str = ""
    verb: str = ""
    signal: str = ""
    action_id: str = ""
    is_by_people: bool = False
    seen: frozenset[str] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        given = {
            audit.c.actor: self.actor,
            audit.c.verb: self.verb,
            audit.c.signal: self.signal,
            audit.c.action_id: self.action_id,
        }
        where: list[ColumnElement[bool]] = [column == value for column, value in given.items() if value]
        if self.seen is not None:
            where.append(audit.c.signal.in_(sorted(self.seen)) if self.seen else false())
        return where


@dataclass(frozen=True)
class TrailPage:
    rows: Sequence[Row[Any]]
    before: int | None  # where the next page begins; None at the end of the trail
    is_cut: bool  # the page ended because enough was looked through, not because it was full


def read_trail(connection: Connection, wanted: TrailFilter, before: int | None) -> TrailPage:
    """One page of entries older than `before`, or the newest."""
    newest: int = connection.execute(select(func.max(audit.c.seq))).scalar_one() or 0
    top = newest + 1 if before is None else before
    query = select(audit).where(audit.c.seq < top, *wanted.conditions())
    if wanted.is_by_people:
        query = query.where(BY_PEOPLE)
    is_found_by_index = wanted.is_by_people or bool(wanted.action_id)
    floor = 0 if is_found_by_index else max(top - WALKED, 0)
    rows = connection.execute(query.where(audit.c.seq >= floor).order_by(audit.c.seq.desc()).limit(PAGE_ROWS + 1)).all()
    if len(rows) > PAGE_ROWS:
        return TrailPage(rows[:PAGE_ROWS], rows[PAGE_ROWS - 1].seq, is_cut=False)
    return TrailPage(rows, floor if floor > 0 else None, is_cut=floor > 0)
