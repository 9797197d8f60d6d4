"""Reads what waits, is held, is dead or was suppressed, by index only, so that a million actions make no page slow."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, false, func, select, tuple_

from dagster_project.ledger.controls import Selection
from dagster_project.ledger.gates import blocked_destinations, pause_subjects
from dagster_project.ledger.modes import mode_of
from dagster_project.ledger.schema import IN_QUEUE, IS_DUE_KIND, actions, pauses, requests

QUEUES = ("held", "dead", "waiting", "suppressed")
PAGE_ROWS = 50
COUNTED_UP_TO = 10_000  # more than that is told as `10,000+`
WAITING_COUNTED_UP_TO = 1_000  # of these each row has to be looked at, three times for a page
MOST_CAUSES = 200
CHUNK_IDS = 5000

A = actions.c
CAUSE = (A.signal, A.reason, A.destination)
ORDER = (*CAUSE, A.planned_at, A.action_id)


@dataclass(frozen=True)
class Cause:
    """Work of one state that has one reason at one destination."""

    signal: str
    reason: str
    destination: str
    count: int
    is_more: bool  # the count stopped at its limit
    oldest: datetime

    @property
    def counted(self) -> str:
        return f"{self.count:,}" + ("+" if self.is_more else "")

    def as_query(self) -> dict[str, str]:
        return {"signal": self.signal, "reason": self.reason, "destination": self.destination}


@dataclass(frozen=True)
class Filter:
    """Which rows of a queue. `seen` are the signals that the person may see, None for all."""

    state: str
    signal: str | None = None
    reason: str | None = None
    destination: str | None = None
    seen: frozenset[str] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        where: list[ColumnElement[bool]] = [A.state == self.state]
        given = {A.signal: self.signal, A.reason: self.reason, A.destination: self.destination}
        where += [column == value for column, value in given.items() if value is not None]
        if self.seen is not None:
            where.append(A.signal.in_(sorted(self.seen)) if self.seen else false())
        return where

    def is_after(self, columns: Sequence[Any], values: Sequence[Any]) -> ColumnElement[bool]:
        """Whatever stands behind a place in the index; a column that is fixed anyway would keep the index from it."""
        fixed = {A.signal: self.signal, A.reason: self.reason, A.destination: self.destination}
        pairs = [pair for pair in zip(columns, values, strict=True) if fixed.get(pair[0]) is None]
        if not pairs:
            return false()
        free, after = zip(*pairs, strict=True)
        return tuple_(*free) > tuple_(*after)

    def selection(self, until: datetime) -> Selection:
        """What a lever takes hold of for it: what was planned before the moment at which the person looked."""
        return Selection(signal=self.signal, reason=self.reason, destination=self.destination, until=until)


@dataclass(frozen=True)
class QueuePage:
    rows: Sequence[Row[Any]]
    following: str | None  # where the next page begins


def read_causes(connection: Connection, wanted: Filter) -> list[Cause]:
    """What a queue is made of, cause by cause; found by leaping from one cause to the next in the index."""
    found = []
    for row in _leaps(connection, wanted):
        of_cause = and_(A.state == wanted.state, A.signal == row.signal, A.reason == row.reason)
        some = select(A.action_id).where(of_cause, A.destination == row.destination, IN_QUEUE)
        count = connection.execute(
            select(func.count()).select_from(some.limit(COUNTED_UP_TO + 1).subquery())
        ).scalar_one()
        is_more = count > COUNTED_UP_TO
        shown = min(count, COUNTED_UP_TO)
        found.append(Cause(row.signal, row.reason, row.destination, shown, is_more, row.planned_at))
    return found


def _leaps(connection: Connection, wanted: Filter) -> Iterator[Row[Any]]:
    query = select(*CAUSE, A.planned_at).where(*wanted.conditions(), IN_QUEUE).order_by(*ORDER).limit(1)
    row = connection.execute(query).first()
    for _ in range(MOST_CAUSES):
        if row is None:
            return
        yield row
        row = connection.execute(query.where(wanted.is_after(CAUSE, row[:3]))).first()


def read_page(connection: Connection, wanted: Filter, after: str = "", limit: int = PAGE_ROWS) -> QueuePage:
    """One page of a queue, in the order of its causes, the oldest first.

    Parameters: the filter; where the page begins, as the page before told it; how many rows.
    """
    query = select(actions).where(*wanted.conditions(), IN_QUEUE).order_by(*ORDER).limit(limit + 1)
    if (begin := _decoded(after)) is not None:
        query = query.where(wanted.is_after(ORDER, begin))
    rows = connection.execute(query).all()
    following = _encoded(rows[limit - 1]) if len(rows) > limit else None
    return QueuePage(rows[:limit], following)


def _encoded(row: Row[Any]) -> str:
    parts = [row.signal, row.reason, row.destination, row.planned_at.isoformat(), row.action_id]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def _decoded(after: str) -> tuple[Any, ...] | None:
    """What `_encoded` made; None for nothing and for what it never made."""
    try:
        signal, reason, destination, planned_at, action_id = json.loads(base64.urlsafe_b64decode(after.encode()))
        moment = datetime.fromisoformat(planned_at)
    except (ValueError, TypeError):
        return None
    return None if moment.tzinfo is None else (signal, reason, destination, moment, action_id)


def ids_of(connection: Connection, wanted: Filter, until: datetime) -> Iterator[tuple[str, ...]]:
    """The ids of everything that a filter means, planned before a moment, in portions that a lever can take."""
    query = select(A.action_id).where(*wanted.conditions(), IN_QUEUE, A.planned_at < until)
    found: Sequence[str] = connection.execute(query).scalars().all()
    for start in range(0, len(found), CHUNK_IDS):
        yield tuple(found[start : start + CHUNK_IDS])


def read_requests(connection: Connection, action_ids: Sequence[str]) -> dict[str, str]:
    """The stored request of each action or group that has one."""
    query = select(requests.c.action_id, requests.c.arguments_json).where(requests.c.action_id.in_(action_ids))
    return {row.action_id: row.arguments_json for row in connection.execute(query)}


def read_members(connection: Connection, group_ids: Sequence[str]) -> dict[str, list[str]]:
    """The entities of each group's members."""
    found: dict[str, list[str]] = {}
    if not group_ids:
        return found
    query = select(A.group_id, A.entity_id).where(A.group_id.in_(group_ids)).order_by(A.group_id, A.entity_id)
    for row in connection.execute(query):
        found.setdefault(row.group_id, []).append(row.entity_id)
    return found


def chosen_rows(connection: Connection, action_ids: Sequence[str], seen: frozenset[str] | None) -> Sequence[Row[Any]]:
    """These actions and groups, as far as the person may see them."""
    query = select(actions).where(A.action_id.in_(action_ids)).order_by(A.planned_at)
    if seen is not None:
        query = query.where(A.signal.in_(sorted(seen)))
    return connection.execute(query).all()


class WhyWaiting:
    """Says of waiting rows what they wait for, by the same gates that a claim goes through."""

    def __init__(self, connection: Connection, declared: Mapping[str, Any], now: datetime) -> None:
        self._now = now
        self._blocked = blocked_destinations(connection, now)
        paused = {row.subject: row for row in connection.execute(select(pauses))}
        self._paused = {name for name in declared if paused.keys() & set(pause_subjects(name))}
        self._paused_destinations = {
            subject.removeprefix("destination:"): f"is paused by {row.by}: {row.why}"
            for subject, row in paused.items()
            if subject.startswith("destination:")
        }
        self._shadowed = {name for name, mode in declared.items() if mode_of(connection, name, mode) == "shadow"}

    def __call__(self, row: Row[Any]) -> str:
        if not row.is_ready:
            return (
                "a step that it needs is dead" if row.reason == "need_dead" else "an earlier event or step comes first"
            )
        if row.signal in self._paused:
            return "paused"
        if row.signal in self._shadowed:
            return "the signal is in shadow"
        if row.destination in self._blocked:
            return f"{row.destination} {self._paused_destinations.get(row.destination, 'takes nothing now')}"
        if row.due_at > self._now:
            return "tried again when it is due"
        if row.lease_until is not None and row.lease_until > self._now:
            return "a run has it now"
        return "due: the next run takes it"


WAITS = {"later": "tried again later", "behind": "behind an earlier event or step", "due": "due now"}
FARTHEST_PAGE = 100


@dataclass(frozen=True)
class Waiting:
    """Which waiting rows: one of WAITS, at a moment, of one signal or of all that may be seen, from page 0 on."""

    kind: str
    at: datetime
    signal: str | None = None
    seen: frozenset[str] | None = None
    page: int = 0

    def conditions(self) -> list[ColumnElement[bool]]:
        where: list[ColumnElement[bool]] = [A.is_ready.is_(self.kind != "behind")]
        if self.kind != "behind":
            where.append(A.due_at > self.at if self.kind == "later" else A.due_at <= self.at)
        if self.signal is not None:
            where.append(A.signal == self.signal)
        if self.seen is not None:
            where.append(A.signal.in_(sorted(self.seen)) if self.seen else false())
        return where


def read_waiting(connection: Connection, wanted: Waiting) -> tuple[Sequence[Row[Any]], bool]:
    """One page of waiting rows, a destination's in the order in which runs take them, and whether there are more."""
    query = select(actions).where(*wanted.conditions(), IS_DUE_KIND)
    query = query.order_by(A.signal, A.is_ready, A.destination, A.severity_rank.desc(), A.due_at)
    first = min(max(wanted.page, 0), FARTHEST_PAGE) * PAGE_ROWS
    rows = connection.execute(query.offset(first).limit(PAGE_ROWS + 1)).all()
    return rows[:PAGE_ROWS], len(rows) > PAGE_ROWS and wanted.page < FARTHEST_PAGE


def count_waiting(connection: Connection, wanted: Waiting) -> tuple[int, bool]:
    """How many, and whether there are more than were counted."""
    some = select(A.action_id).where(*wanted.conditions(), IS_DUE_KIND).limit(WAITING_COUNTED_UP_TO + 1)
    count = connection.execute(select(func.count()).select_from(some.subquery())).scalar_one()
    return min(count, WAITING_COUNTED_UP_TO), count > WAITING_COUNTED_UP_TO
