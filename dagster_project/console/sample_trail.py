"""Reads the samples of records that were read back, the newest first, by signal, verdict and day."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, false, func, or_, select

from dagster_project.ledger.schema import actions, sampled_records, samples

PAGE_ROWS = 50
WINDOW = timedelta(days=14)
R = sampled_records.c
CHECKED_BY = ("nobody", "somebody")


@dataclass(frozen=True)
class SampleFilter:
    """Which sampled records; empty text means any. `seen` are the signals that the person may see, None for all."""

    signal: str = ""
    verdict: str = ""
    day: date | None = None
    checked_by: str = ""  # one of CHECKED_BY
    seen: frozenset[str] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        where: list[ColumnElement[bool]] = []
        if self.signal:
            where.append(R.signal == self.signal)
        if self.verdict:
            where.append(effective_verdict() == self.verdict)
        if self.day is not None:
            begins = datetime.combine(self.day, time(), UTC)
            where += [R.checked_at >= begins, R.checked_at < begins + timedelta(days=1)]
        if self.checked_by:
            where.append(R.person.is_(None) if self.checked_by == "nobody" else R.person.is_not(None))
        if self.seen is not None:
            where.append(R.signal.in_(sorted(self.seen)) if self.seen else false())
        return where


def effective_verdict() -> ColumnElement[str]:
    """A person's verdict goes before the loop's own."""
    return func.coalesce(R.person_verdict, R.verdict)


@dataclass(frozen=True)
class SamplePage:
    rows: Sequence[Row[Any]]
    following: str | None  # where the next page begins


def read_samples(connection: Connection, wanted: SampleFilter, after: str = "") -> SamplePage:
    """One page of sampled records with the entity and the drawing. `after` is where the page before ended."""
    query = (
        select(sampled_records, actions.c.entity_id, actions.c.url, samples.c.cadence)
        .outerjoin(actions, actions.c.action_id == R.action_id)
        .outerjoin(samples, samples.c.sample_id == R.sample_id)
        .where(*wanted.conditions())
        .order_by(R.checked_at.desc(), R.sample_id, R.action_id)
    )
    if (begin := _decoded(after)) is not None:
        moment, sample_id, action_id = begin
        later = or_(R.sample_id > sample_id, and_(R.sample_id == sample_id, R.action_id > action_id))
        query = query.where(R.checked_at <= moment, or_(R.checked_at < moment, later))
    rows = connection.execute(query.limit(PAGE_ROWS + 1)).all()
    following = _encoded(rows[PAGE_ROWS - 1]) if len(rows) > PAGE_ROWS else None
    return SamplePage(rows[:PAGE_ROWS], following)


def _encoded(row: Row[Any]) -> str:
    return f"{row.checked_at.isoformat()}~{row.sample_id}~{row.action_id}"


def _decoded(after: str) -> tuple[datetime, str, str] | None:
    """What `_encoded` made; None for nothing and for what it never made."""
    try:
        moment, sample_id, action_id = after.split("~")
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return None if at.tzinfo is None else (at, sample_id, action_id)


def count_verdicts(connection: Connection, now: datetime, seen: frozenset[str] | None) -> Mapping[str, int]:
    """How many records have which verdict, of those that were looked at in the last 14 days."""
    where: list[ColumnElement[bool]] = [R.checked_at >= now - WINDOW]
    if seen is not None:
        where.append(R.signal.in_(sorted(seen)) if seen else false())
    verdict = effective_verdict()
    query = select(verdict.label("verdict"), func.count().label("n")).where(*where).group_by(verdict)
    return {row.verdict: row.n for row in connection.execute(query)}


def read_record(connection: Connection, sample_id: str, action_id: str) -> Row[Any] | None:
    """One sampled record with its drawing."""
    query = (
        select(sampled_records, samples.c.cadence, samples.c.seed, samples.c.since, samples.c.until)
        .outerjoin(samples, samples.c.sample_id == R.sample_id)
        .where(R.sample_id == sample_id, R.action_id == action_id)
    )
    return connection.execute(query).first()


@dataclass(frozen=True)
class Compared:
    """One thing that the request wrote, and what stood there when the record was read back."""

    name: str
    written: str | None
    found: str | None
    is_different: bool


def compared(read_json: str | None, findings: Sequence[str]) -> list[Compared]:
    """What was written beside what was found; empty where nothing was read back or it was erased since."""
    read = json.loads(read_json) if read_json else {}
    if "expected" not in read:
        return []
    expected, found = read["expected"], read["found"]
    different = {one.partition(": ")[2] for one in findings if one.startswith(("differs: ", "was added: "))}
    names = [*expected, *(name for name in found if name not in expected)]
    lines = [Compared(name, expected.get(name), found.get(name), name in different) for name in names]
    return sorted(lines, key=lambda one: not one.is_different)
