"""Reads what a run needs of the work it has claimed: the events, the members of groups, results of earlier steps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from dagster_project.contracts.destination import IdempotencyClass
from dagster_project.contracts.event import SignalEvent
from dagster_project.contracts.playbook import PlaybookVersion
from dagster_project.contracts.vocabulary import Kind, Severity
from dagster_project.ledger.database import Database
from dagster_project.ledger.gates import Claim, is_held_by
from dagster_project.ledger.lanes import NEED_DEAD
from dagster_project.ledger.pruned import deeds
from dagster_project.ledger.readiness import load_versions
from dagster_project.ledger.schema import actions, attempts, events, requests
from dagster_project.ledger.transitions import chunks

# What the work on an action needs of its row; the whole row has twice as many columns.
WORKED_BY = tuple(
    actions.c[name]
    for name in (
        "action_id", "is_group", "group_id", "event_id", "signal", "entity_id", "episode", "build_no", "step",
        "operation", "role", "destination", "idempotency", "playbook_version", "is_approved",
    )
)  # fmt: skip


@dataclass(frozen=True)
class StepResult:
    """What a delivered step left behind for later ones."""

    external_id: str
    url: str
    result: Mapping[str, str]

    def as_scope(self) -> dict[str, Any]:
        return {"external_id": self.external_id, "url": self.url, "result": self.result}


@dataclass(frozen=True)
class Member:
    action_id: str
    event: SignalEvent
    results: Mapping[str, StepResult]


@dataclass(frozen=True)
class WorkItem:
    """One action, or one group with its members, that a run may send now."""

    action_id: str
    is_group: bool
    step: str
    operation: str
    role: str
    destination: str
    idempotency: IdempotencyClass
    playbook_version: str
    is_approved: bool
    arguments_json: str | None  # the stored request; None before the first rendering
    attempted_at: datetime | None  # when its last attempt began; None before the first
    event: SignalEvent | None
    results: Mapping[str, StepResult] = field(default_factory=dict)
    members: tuple[Member, ...] = ()

    def cases(self) -> list[tuple[SignalEvent, Mapping[str, StepResult]]]:
        """The events that the item is about, each with what earlier steps left; a group's most severe one first."""
        if self.event is not None:
            return [(self.event, self.results)]
        ordered = sorted(self.members, key=lambda m: (-m.event.severity.rank, m.event.entity_id))
        return [(member.event, member.results) for member in ordered]


@dataclass(frozen=True)
class ReadyWork:
    items: tuple[WorkItem, ...]
    versions: Mapping[str, PlaybookVersion]


def ready_ids(database: Database, claim: Claim, step: str | None) -> list[str]:
    """The claim's ready actions and groups, the most severe first.

    Parameters: the claim; the step, or None for any.
    """
    with database.reading() as connection:
        held = actions.c.lease_token == claim.token
        query = select(actions.c.action_id).where(held, *_ready(database.now()))
        query = query.where(actions.c.step == step) if step is not None else query
        return list(connection.execute(query.order_by(actions.c.severity_rank.desc(), actions.c.due_at)).scalars())


def ready_work(database: Database, claim: Claim, action_ids: Sequence[str]) -> ReadyWork:
    """What is to be done for those of these actions and groups that are still ready in the claim, in this order."""
    with database.reading() as connection:
        found: dict[str, Row[Any]] = {}
        for ids in chunks(action_ids):
            query = select(*WORKED_BY).where(actions.c.action_id.in_(ids), is_held_by(claim), *_ready(database.now()))
            found |= {row.action_id: row for row in connection.execute(query)}
        return load_work(connection, [found[action_id] for action_id in action_ids if action_id in found])


def _ready(now: datetime) -> list[ColumnElement[bool]]:
    return [
        actions.c.state == "waiting",
        actions.c.is_ready,
        actions.c.group_id.is_(None),
        actions.c.due_at <= now,
    ]


def waiting_roles(database: Database, claim: Claim, step: str | None) -> set[str]:
    """The roles that the claim's waiting work of a step goes to."""
    with database.reading() as connection:
        mine = [actions.c.lease_token == claim.token, actions.c.state == "waiting"]
        mine += [actions.c.step == step] if step is not None else []
        return set(connection.execute(select(actions.c.role).where(*mine).distinct()).scalars())


def claimed_events(database: Database, claim: Claim) -> list[tuple[PlaybookVersion, list[SignalEvent]]]:
    """For one enrichment of all that the claim holds: the events under each playbook version that looks anything up."""
    with database.reading() as connection:
        held = actions.c.lease_token == claim.token
        ids: Iterable[str] = connection.execute(select(actions.c.playbook_version).where(held).distinct()).scalars()
        versions = load_versions(connection, ids)
        looking = [version for version, found in versions.items() if found.playbook.enrich]
        rows = connection.execute(select(*WORKED_BY).where(held, actions.c.playbook_version.in_(looking))).all()
        members = _member_rows(connection, [row.action_id for row in rows if row.is_group])
        wanted = {row.event_id: row.playbook_version for row in [*rows, *members] if row.event_id}
        found_events = load_events(connection, wanted)
    by_version: dict[str, list[SignalEvent]] = {}
    for event_id, event in found_events.items():
        by_version.setdefault(wanted[event_id], []).append(event)
    return [(versions[version], its_events) for version, its_events in by_version.items()]


def load_work(connection: Connection, rows: Sequence[Row[Any]]) -> ReadyWork:
    """Work items for rows of actions and groups, with their events, members, stored requests and earlier results."""
    members = _member_rows(connection, [row.action_id for row in rows if row.is_group])
    singles = [row for row in rows if not row.is_group]
    found = load_events(connection, (row.event_id for row in [*singles, *members]))
    stored = _requests(connection, [row.action_id for row in rows])
    begun = _last_begun(connection, [row.action_id for row in rows])
    versions = load_versions(connection, (row.playbook_version for row in rows))
    results = _results(connection, [*singles, *members], versions)
    by_group: dict[str, list[Member]] = {}
    for member in members:
        one = Member(member.action_id, found[member.event_id], results.get(member.action_id, {}))
        by_group.setdefault(member.group_id, []).append(one)
    items = [_item(row, found, results, stored, begun, by_group) for row in rows]
    return ReadyWork(items=tuple(items), versions=versions)


def _item(
    row: Row[Any],
    found: Mapping[str, SignalEvent],
    results: Mapping[str, Mapping[str, StepResult]],
    stored: Mapping[str, str],
    begun: Mapping[str, datetime],
    by_group: Mapping[str, list[Member]],
) -> WorkItem:
    return WorkItem(
        action_id=row.action_id,
        is_group=row.is_group,
        step=row.step,
        operation=row.operation,
        role=row.role,
        destination=row.destination,
        idempotency=IdempotencyClass(row.idempotency),
        playbook_version=row.playbook_version,
        is_approved=row.is_approved,
        arguments_json=stored.get(row.action_id),
        attempted_at=begun.get(row.action_id),
        event=None if row.is_group else found[row.event_id],
        results=results.get(row.action_id, {}),
        members=tuple(by_group.get(row.action_id, ())),
    )


def _member_rows(connection: Connection, group_ids: Sequence[str]) -> list[Row[Any]]:
    """The members that are still to be done; one that waits for a dead step is left out."""
    found: list[Row[Any]] = []
    for ids in chunks(group_ids):
        to_do = (actions.c.group_id.in_(ids), actions.c.state.in_(("waiting", "held")), actions.c.reason != NEED_DEAD)
        found += connection.execute(select(actions).where(*to_do)).all()
    return found


def earlier_work(database: Database, signal: str, step: str, entity_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What one step has done or has under way for these entities.

    Returns for each entity with such work: `open` (held for a person), `delivered`, and of the newest delivery
    `last_external_id` and `last_at`. Waiting work is no order yet: lanes keep its order.
    """
    found: dict[str, dict[str, Any]] = {}
    with database.reading() as connection:
        for ids in chunks(entity_ids):
            of_step = (actions.c.signal == signal, actions.c.step == step, actions.c.entity_id.in_(ids))
            kept = connection.execute(select(actions).where(*of_step)).all()
            rows = [*(_from_deed(deed) for deed in deeds(connection, signal, step, ids)), *map(_from_action, kept)]
            for _, entity, work in sorted(rows, key=lambda one: one[0]):
                _add_work(found.setdefault(entity, _NO_WORK.copy()), work)
    return {entity: work for entity, work in found.items() if work != _NO_WORK}


_NO_WORK: dict[str, Any] = {"open": 0, "delivered": 0, "last_external_id": None, "last_at": None}


def _from_deed(deed: Row[Any]) -> tuple[int, str, dict[str, Any]]:
    """What pruned actions did, as of the last build among them."""
    last = {"last_external_id": deed.last_external_id, "last_at": deed.last_settled_at}
    return deed.last_build_no, deed.entity_id, {"delivered": deed.delivered, **last}


def _from_action(row: Row[Any]) -> tuple[int, str, dict[str, Any]]:
    if row.state == "delivered":
        last = {"last_external_id": row.external_id, "last_at": row.settled_at}
        return row.build_no, row.entity_id, {"delivered": 1, **last}
    return row.build_no, row.entity_id, {"open": 1 if row.state == "held" else 0}


def _add_work(work: dict[str, Any], more: Mapping[str, Any]) -> None:
    for count in ("open", "delivered"):
        work[count] += more.get(count, 0)
    work |= {name: value for name, value in more.items() if name.startswith("last_")}


def load_events(connection: Connection, event_ids: Iterable[str]) -> dict[str, SignalEvent]:
    found: dict[str, SignalEvent] = {}
    for ids in chunks(sorted(set(event_ids))):
        for row in connection.execute(select(events).where(events.c.event_id.in_(ids))):
            found[row.event_id] = SignalEvent(
                event_id=row.event_id,
                build_id=row.build_id,
                signal=row.signal,
                entity_id=row.entity_id,
                episode=row.episode,
                kind=Kind(row.kind),
                severity=Severity(row.severity),
                score=row.score,
                observed_at=row.observed_at,
                emitted_at=row.emitted_at,
                row_json=row.row_json,
            )
    return found


def _requests(connection: Connection, action_ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for ids in chunks(action_ids):
        query = select(requests.c.action_id, requests.c.arguments_json).where(requests.c.action_id.in_(ids))
        found |= {row[0]: row[1] for row in connection.execute(query)}
    return found


def _last_begun(connection: Connection, action_ids: Sequence[str]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for ids in chunks(action_ids):
        query = select(attempts.c.action_id, func.max(attempts.c.begun_at)).where(attempts.c.action_id.in_(ids))
        found |= {row[0]: row[1] for row in connection.execute(query.group_by(attempts.c.action_id))}
    return found


def _results(
    connection: Connection, rows: Sequence[Row[Any]], versions: Mapping[str, PlaybookVersion]
) -> dict[str, dict[str, StepResult]]:
    """For each action, the results of the steps it needs (same event) and follows (same episode)."""
    linked = [row for row in rows if _links(row, versions)]
    by_entity: dict[tuple[str, int], list[Row[Any]]] = {}
    for entities in chunks({row.entity_id for row in linked}):
        delivered = connection.execute(
            select(actions).where(
                actions.c.signal == linked[0].signal,
                actions.c.entity_id.in_(entities),
                actions.c.state == "delivered",
            )
        )
        for row in delivered:
            by_entity.setdefault((row.entity_id, row.episode), []).append(row)
    return {row.action_id: _linked_results(row, by_entity, versions) for row in linked}


def _links(row: Row[Any], versions: Mapping[str, PlaybookVersion]) -> set[str]:
    step = versions[row.playbook_version].playbook.step(row.step)
    return {*step.needs, *([step.follows] if step.follows else [])} if step else set()


def _linked_results(
    row: Row[Any], delivered: Mapping[tuple[str, int], list[Row[Any]]], versions: Mapping[str, PlaybookVersion]
) -> dict[str, StepResult]:
    wanted = _links(row, versions)
    episode = sorted(delivered.get((row.entity_id, row.episode), []), key=lambda r: r.build_no)
    found = {}
    for other in episode:
        if other.step in wanted and other.build_no <= row.build_no:
            found[other.step] = StepResult(
                other.external_id or "", other.url or "", json.loads(other.result_json or "{}")
            )
    return found
