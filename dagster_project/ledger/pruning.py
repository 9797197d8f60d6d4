"""Takes settled episodes that are old enough out of the ledger, a bounded batch a transaction, and leaves their totals.

Each batch is one transaction: its rows, their totals, the entities' deeds and the audit row stand or fall together, so
that a process that dies in between leaves a ledger that adds up. The audit trail itself is never pruned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, case, delete, func, select, update

from dagster_project.crash_points import reach
from dagster_project.ledger.controls import Person
from dagster_project.ledger.database import Database
from dagster_project.ledger.pruned import ACTION, ATTEMPT, EVENT, GROUP, Total, add_deeds, add_totals
from dagster_project.ledger.retention import LEAST_KEPT, OPEN_STATES, Episode, why_kept
from dagster_project.ledger.row_counts import Counted, Subject, add_counts, counted_action
from dagster_project.ledger.schema import actions, attempts, builds, events, requests
from dagster_project.ledger.transitions import chunks, write_audit

LANES_AT_ONCE = 200  # entities whose episodes one transaction looks at


class PruneRefused(ValueError):
    """What was asked would forget what the loop still asks about; nothing was pruned."""


@dataclass
class PruneReport:
    """What went, or would go, and what stays and why."""

    events: int = 0
    actions: int = 0  # groups included
    attempts: int = 0
    kept: Counter[str] = field(default_factory=Counter)  # events by the reason why they stay

    def add(self, other: PruneReport) -> None:
        self.events += other.events
        self.actions += other.actions
        self.attempts += other.attempts
        self.kept.update(other.kept)


@dataclass(frozen=True)
class Horizon:
    """How far back a signal's past is kept: up to when, and whether its open episodes can still be acted upon."""

    before: datetime
    ends_by_itself: bool = False


@dataclass(frozen=True)
class _Episodes:
    """The old episodes of some lanes, with the rows that go if they go."""

    gone: Sequence[tuple[str, int]]
    event_rows: Sequence[Row[Any]]
    action_rows: Sequence[Row[Any]]
    kept: Counter[str]


def horizon(now: datetime, keep: timedelta, ends_by_itself: bool = False) -> Horizon:
    """The horizon for what is to be kept. Raises PruneRefused where the loop itself still looks further back."""
    if keep < LEAST_KEPT:
        raise PruneRefused(
            f"{keep.days} days is too short: promises and samples look back a week, so at least {LEAST_KEPT.days} days "
            "are kept. Nothing was pruned."
        )
    return Horizon(now - keep, ends_by_itself)


def signals_in(database: Database) -> list[str]:
    """Every signal that the ledger has builds of, those that are gone from the catalog too."""
    with database.reading() as connection:
        return sorted(connection.execute(select(builds.c.signal).distinct()).scalars())


def known_through(database: Database, signal: str, before: datetime) -> int:
    """The newest build up to which the ledger took every build in before a moment; 0 where there is none.

    Up to there, and no further, the warehouse may forget builds: nothing that the ledger lacks is among them.
    """
    of_signal = builds.c.signal == signal
    with database.reading() as connection:
        first_young = select(func.min(builds.c.build_no)).where(of_signal, builds.c.ingested_at >= before)
        young = connection.execute(first_young).scalar()
        older = [of_signal, builds.c.ingested_at < before, *([builds.c.build_no < young] if young is not None else [])]
        return int(connection.execute(select(func.max(builds.c.build_no)).where(*older)).scalar() or 0)


def prune_signal(
    database: Database, signal: str, within: Horizon, person: Person, is_dry_run: bool = False
) -> PruneReport:
    """Prunes one signal, lane by lane.

    Parameters: the signal; how far back it keeps its past; in whose name; whether only to count.
    """
    report = PruneReport()
    for lanes in _pages_of_lanes(database, signal):
        with database.reading() as connection:
            found = _old_episodes(connection, signal, lanes, within)
        if found.gone and not is_dry_run:
            report.add(_prune_lanes(database, signal, lanes, within, person))
            continue
        with database.reading() as connection:
            report.add(_reported(connection, found))
    return report


def _pages_of_lanes(database: Database, signal: str) -> Iterator[list[str]]:
    last: str | None = None
    while True:
        after = [events.c.entity_id > last] if last is not None else []
        page = select(events.c.entity_id).distinct().where(events.c.signal == signal, *after)
        page = page.order_by(events.c.entity_id).limit(LANES_AT_ONCE)
        with database.reading() as connection:
            lanes: list[str] = list(connection.execute(page).scalars())
        if lanes:
            yield lanes
        if len(lanes) < LANES_AT_ONCE:
            return
        last = lanes[-1]


def _prune_lanes(database: Database, signal: str, lanes: Sequence[str], within: Horizon, person: Person) -> PruneReport:
    def work(connection: Connection) -> PruneReport:
        found = _old_episodes(connection, signal, lanes, within)  # anew: what was read before may have moved
        report = _reported(connection, found)
        if found.gone:
            _take_away(connection, signal, found)
            told = f"{len(found.gone)} episodes, {report.events} events, {report.actions} actions. {person.why}"
            entry = {"at": database.now(), "actor": person.name, "verb": "pruned", "signal": signal, "detail": told}
            write_audit(connection, [{**entry, "reason": f"before {within.before:%Y-%m-%d}"}])
        reach("prune_open")
        return report

    report = database.write(work, over=signal)
    reach("lanes_pruned")
    return report


# --- what may go


def _old_episodes(connection: Connection, signal: str, lanes: Sequence[str], within: Horizon) -> _Episodes:
    spans = _spans(connection, signal, lanes)
    kept: Counter[str] = Counter()
    old = []
    for span in spans:
        if reason := why_kept(_as_episode(span), within.before, within.ends_by_itself):
            kept[reason] += span.events
        else:
            old.append(span)
    event_rows = _event_rows(connection, signal, old)
    action_rows = _actions_of(connection, [row.event_id for row in event_rows])
    busy = _under_way(connection, action_rows)
    gone = []
    for span in old:
        mine = [r for r in action_rows if (r.entity_id, r.episode) == (span.entity_id, span.episode)]
        if reason := why_kept(_with_actions(_as_episode(span), mine, busy), within.before, within.ends_by_itself):
            kept[reason] += span.events
        else:
            gone.append((span.entity_id, span.episode))
    chosen = set(gone)
    return _Episodes(
        gone,
        [row for row in event_rows if (row.entity_id, row.episode) in chosen],
        [row for row in action_rows if (row.entity_id, row.episode) in chosen],
        kept,
    )


def _spans(connection: Connection, signal: str, lanes: Sequence[str]) -> Sequence[Row[Any]]:
    """Each episode of these lanes with its newest event, and whether it is over."""
    is_resolved = func.max(case((events.c.kind == "resolved", 1), else_=0))
    query = (
        select(
            events.c.entity_id,
            events.c.episode,
            func.max(events.c.emitted_at).label("changed_at"),
            func.count().label("events"),
            is_resolved.label("is_resolved"),
        )
        .where(events.c.signal == signal, events.c.entity_id.in_(lanes))
        .group_by(events.c.entity_id, events.c.episode)
        .subquery()
    )
    newest_episode = func.max(query.c.episode).over(partition_by=query.c.entity_id).label("newest_episode")
    return connection.execute(select(query, newest_episode)).all()


def _as_episode(span: Row[Any]) -> Episode:
    is_ended = bool(span.is_resolved) or span.newest_episode > span.episode
    return Episode(span.entity_id, span.episode, span.changed_at, is_ended)


def _with_actions(episode: Episode, rows: Sequence[Row[Any]], busy: Mapping[str, set[str]]) -> Episode:
    ids = {row.action_id for row in rows} | {row.group_id for row in rows if row.group_id}
    return Episode(
        episode.entity_id,
        episode.number,
        max([episode.changed_at, *(row.settled_at for row in rows if row.settled_at is not None)]),
        episode.is_ended,
        frozenset(row.state for row in rows),
        has_open_attempt=bool(ids & busy["attempts"]),
        has_open_group=bool(ids & busy["groups"]),
    )


def _event_rows(connection: Connection, signal: str, old: Sequence[Row[Any]]) -> list[Row[Any]]:
    wanted = {(span.entity_id, span.episode) for span in old}
    found: list[Row[Any]] = []
    columns = [events.c[name] for name in ("event_id", "build_id", "entity_id", "episode", "kind", "reason")]
    for lanes in chunks(sorted({span.entity_id for span in old})):
        query = select(*columns).where(events.c.signal == signal, events.c.entity_id.in_(lanes))
        found += [row for row in connection.execute(query) if (row.entity_id, row.episode) in wanted]
    return found


def _actions_of(connection: Connection, event_ids: Sequence[str]) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for ids in chunks(event_ids):
        found += connection.execute(select(actions).where(actions.c.event_id.in_(ids))).all()
    return found


def _under_way(connection: Connection, rows: Sequence[Row[Any]]) -> dict[str, set[str]]:
    """Which actions and groups have an attempt without an end, and which groups have work to do."""
    group_ids = {row.group_id for row in rows if row.group_id}
    open_attempts: set[str] = set()
    open_groups: set[str] = set()
    for ids in chunks(sorted({row.action_id for row in rows} | group_ids)):
        is_open = (attempts.c.action_id.in_(ids), attempts.c.verdict.is_(None))
        open_attempts |= set(connection.execute(select(attempts.c.action_id).where(*is_open)).scalars())
    for ids in chunks(sorted(group_ids)):
        to_do = (actions.c.action_id.in_(ids), actions.c.state.in_(OPEN_STATES))
        open_groups |= set(connection.execute(select(actions.c.action_id).where(*to_do)).scalars())
    return {"attempts": open_attempts, "groups": open_groups}


# --- how it goes


def _reported(connection: Connection, found: _Episodes) -> PruneReport:
    groups = _emptied_groups(connection, found.action_rows)
    ids = [row.action_id for row in (*found.action_rows, *groups)]
    tried = sum(_count_attempts(connection, some) for some in chunks(ids))
    return PruneReport(len(found.event_rows), len(ids), tried, found.kept)


def _count_attempts(connection: Connection, ids: Sequence[str]) -> int:
    query = select(func.count()).select_from(attempts).where(attempts.c.action_id.in_(ids))
    return connection.execute(query).scalar_one()


def _emptied_groups(connection: Connection, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Groups that have no member left once these rows are gone."""
    gone = {row.action_id for row in rows}
    found: list[Row[Any]] = []
    for ids in chunks(sorted({row.group_id for row in rows if row.group_id})):
        members = connection.execute(select(actions.c.action_id, actions.c.group_id).where(actions.c.group_id.in_(ids)))
        stay = {member.group_id for member in members if member.action_id not in gone}
        groups = connection.execute(select(actions).where(actions.c.action_id.in_(sorted(set(ids) - stay))))
        found += groups.all()
    return found


def _take_away(connection: Connection, signal: str, found: _Episodes) -> None:
    rows = (*found.action_rows, *_emptied_groups(connection, found.action_rows))
    counted: Counter[Total] = Counter()
    counted.update((EVENT, row.kind, "", "", row.reason) for row in found.event_rows)
    counted.update((GROUP if r.is_group else ACTION, r.kind, r.step, r.state, r.reason) for r in rows)
    for ids in chunks([row.action_id for row in rows]):
        tried = select(attempts.c.verdict, func.count().label("n")).where(attempts.c.action_id.in_(ids))
        for row in connection.execute(tried.group_by(attempts.c.verdict)):
            counted[ATTEMPT, "", "", row.verdict, ""] += row.n
        for table in (attempts, requests, actions):
            connection.execute(delete(table).where(table.c.action_id.in_(ids)))
    for ids in chunks([row.event_id for row in found.event_rows]):
        connection.execute(delete(events).where(events.c.event_id.in_(ids)))
    for build_id, n in Counter(row.build_id for row in found.event_rows).items():
        more = {"pruned_events": builds.c.pruned_events + n}
        connection.execute(update(builds).where(builds.c.build_id == build_id).values(more))
    add_totals(connection, signal, counted)
    less = Counter(Counted(signal, Subject.EVENT, row.kind, reason=row.reason) for row in found.event_rows)
    less.update(counted_action(signal, r.step, r.is_group, r.state, r.reason) for r in rows)
    add_counts(connection, {key: -count for key, count in less.items()})
    add_deeds(connection, signal, [row for row in found.action_rows if row.state == "delivered"])
