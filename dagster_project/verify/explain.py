"""Tells the whole story of one entity or event in order: from the row to every attempt and answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select

from dagster_project.contracts.catalog import Catalog, masked
from dagster_project.ledger.pruned import deeds_of
from dagster_project.ledger.schema import actions, attempts, audit, builds, events, requests


@dataclass(frozen=True)
class Line:
    """One thing that happened."""

    at: datetime
    depth: int  # 0 an event, 1 an action, 2 what became of it
    text: str


def explain(connection: Connection, catalog: Catalog, subject: str, shows_pii: bool = False) -> list[Line]:
    """The story of an entity (its id), an event, an action or a group; empty where the ledger knows none of that name.

    Parameters: a reading connection; the catalog, for the columns that are personal data; the subject's id; whether
    personal data is shown.
    """
    found = _events(connection, subject)
    lines: list[Line] = list(_pruned_lines(connection, subject))
    for event in found:
        pii = frozenset() if shows_pii else _hidden_columns(catalog, event)
        lines += _event_lines(connection, event, pii, catalog if not shows_pii else None)
    return lines


def _pruned_lines(connection: Connection, entity_id: str) -> Iterator[Line]:
    """What is left of an entity's pruned history: what was done, without the story of how."""
    for deed in deeds_of(connection, entity_id):
        last = f", the last one {deed.last_external_id}" if deed.last_external_id else ""
        yield Line(
            deed.last_settled_at,
            0,
            f"{deed.signal}: {deed.step} on {deed.kind} was delivered {deed.delivered} time(s) until here{last}; "
            "the rows are pruned, the audit trail has every change of state",
        )


def _hidden_columns(catalog: Catalog, event: Any) -> frozenset[str]:
    """The row's columns that are not shown: those tagged pii, or all where the catalog does not know the signal."""
    signal = catalog.signals.get(event.signal)
    return frozenset(json.loads(event.row_json)) if signal is None else signal.pii_columns


def _events(connection: Connection, subject: str) -> Sequence[Any]:
    matches = or_(events.c.entity_id == subject, events.c.event_id.in_([subject, *event_ids_of(connection, subject)]))
    return connection.execute(select(events).where(matches).order_by(events.c.emitted_at, events.c.episode)).all()


def actions_told(connection: Connection, subject: str) -> dict[str, list[str]]:
    """The actions that a story tells of, by signal; a signal without any where only its row is told."""
    found: dict[str, list[str]] = {}
    for event in _events(connection, subject):
        of_event = select(actions.c.action_id).where(actions.c.event_id == event.event_id)
        found.setdefault(event.signal, []).extend(connection.execute(of_event).scalars())
    return found


def event_ids_of(connection: Connection, action_id: str) -> Sequence[str]:
    """The events that an action, or a group's members, are about.

    Asked for one after the other: joined by `or`, or as a subquery, they make a database read all that there is.
    """
    this = select(actions.c.event_id, actions.c.is_group).where(actions.c.action_id == action_id)
    row = connection.execute(this).first()
    if row is None or not row.is_group:
        return [] if row is None else [row.event_id]
    return connection.execute(select(actions.c.event_id).where(actions.c.group_id == action_id)).scalars().all()


def _event_lines(connection: Connection, event: Any, pii: frozenset[str], masking: Catalog | None) -> Iterator[Line]:
    """One event's lines; `masking` knows which requests are not shown, None shows them all."""
    build = connection.execute(select(builds).where(builds.c.build_id == event.build_id)).one()
    row = json.dumps(masked(json.loads(event.row_json), pii), ensure_ascii=False)
    yield Line(
        event.emitted_at,
        0,
        f"{event.signal}: {event.entity_id} {event.kind} "
        f"(episode {event.episode}, {event.severity}, score {event.score}) "
        f"in build {build.build_no}, data as of {build.data_as_of:%Y-%m-%d %H:%M}; event {event.event_id}",
    )
    yield Line(event.emitted_at, 1, f"row: {row}")
    criteria = f"; made with criteria {build.criteria_version[:12]}" if build.criteria_version else ""
    yield Line(build.released_at, 1, f"build released: its tests passed{criteria}")
    handling = f"taken into the ledger as {build.handling}" + (f"; {build.detail}" if build.detail else "")
    yield Line(build.ingested_at, 1, handling)
    if event.reason:
        yield Line(build.ingested_at, 1, f"nothing was planned: {event.reason}")
    steps = connection.execute(
        select(actions).where(actions.c.event_id == event.event_id).order_by(actions.c.step_index)
    ).all()
    for action in steps:
        hides_request = masking is not None and masking.may_hold_personal_data(event.signal, action.step)
        yield from _action_lines(connection, action, hides_request)


def _action_lines(connection: Connection, action: Any, hides_request: bool) -> Iterator[Line]:
    sent_as = action.group_id or action.action_id
    group = f", sent with group {action.group_id}" if action.group_id else ""
    ended = f" ({action.reason}{': ' + action.detail if action.detail else ''})" if action.reason else ""
    where = f" -> {action.external_id} {action.url or ''}" if action.external_id else ""
    head = f"{action.step}: {action.operation} at {action.destination}{group}: {action.state}{ended}{where}".rstrip()
    yield Line(action.planned_at, 1, f"{head}; action {action.action_id}")
    yield from _story(connection, action, sent_as, hides_request)


def _story(connection: Connection, action: Any, sent_as: str, hides_request: bool) -> list[Line]:
    lines = []
    for row in connection.execute(select(audit).where(audit.c.action_id == action.action_id).order_by(audit.c.seq)):
        if row.verb == "attempted":
            continue  # told by the attempt itself
        change = f"{row.from_state} -> {row.to_state}" if row.from_state else row.to_state or "nothing changed"
        why = ": ".join(part for part in (row.reason, row.detail) if part)
        lines.append(Line(row.at, 2, f"{row.verb} by {row.actor}: {change}" + (f" ({why})" if why else "")))
    request = connection.execute(select(requests).where(requests.c.action_id == sent_as)).first()
    if request:
        shown = "(holds personal data)" if hides_request else request.arguments_json
        lines.append(Line(request.rendered_at, 2, f"request: {shown}"))
    for attempt in connection.execute(select(attempts).where(attempts.c.action_id == sent_as)):
        lines.append(Line(attempt.begun_at, 2, _attempt_text(attempt)))
    return sorted(lines, key=lambda line: line.at)


def _attempt_text(attempt: Any) -> str:
    if attempt.verdict is None:
        return f"attempt {attempt.number} by run {attempt.run_id}: under way"
    took = (attempt.ended_at - attempt.begun_at).total_seconds()
    status = f", status {attempt.status}" if attempt.status else ""
    why = ": ".join(part for part in (attempt.reason, attempt.detail) if part)
    uncounted = "" if attempt.is_counted else ", not counted"
    return (
        f"attempt {attempt.number} by run {attempt.run_id}: {attempt.verdict} after {took:.2f} s{status}{uncounted}"
        + (f" ({why})" if why else "")
    )


def as_mapping(line: Line) -> Mapping[str, Any]:
    return {"at": line.at.isoformat(), "depth": line.depth, "text": line.text}
