"""Keeps samples of delivered actions: which could have been drawn, which were, and what became of their records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, text, update

from dagster_project.ledger.controls import Person
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import (
    actions,
    attempts,
    audit,
    builds,
    events,
    playbook_versions,
    requests,
    sampled_records,
    samples,
)
from dagster_project.ledger.transitions import chunks, write_audit

LATER_AT_MOST = 20  # later requests to one record that are looked at
# The condition of the index actions_delivered, in its own words: only so do both databases use it.
CAN_BE_DRAWN = text("state = 'delivered' and group_id is null")
AGAINST = ("mismatch", "gone")  # verdicts that count against the loop
VERDICTS = ("match", "mismatch", "gone", "changed", "unreadable")


class NoSuchSample(Exception):
    """A sampled record that the ledger does not have; nothing was changed."""


@dataclass(frozen=True)
class Candidate:
    """A delivered action or group that could be drawn."""

    action_id: str
    signal: str
    step: str
    destination: str

    @property
    def stratum(self) -> str:
        return f"{self.signal}/{self.step}/{self.destination}"


@dataclass(frozen=True)
class Drawn:
    """A drawn action with all that the ledger knows of it."""

    action: Row[Any]
    arguments_json: str | None
    playbook_json: str | None
    row_jsons: tuple[tuple[str, str], ...]  # of each event it stands for: entity, row snapshot
    captured_at: datetime | None
    deliveries: int  # attempts that were answered with success
    was_replayed: bool
    later: tuple[tuple[str, str, str], ...]  # later requests to the record: action id, operation, arguments


@dataclass(frozen=True)
class Verdict:
    """What came of reading one record back."""

    action_id: str
    verdict: str
    findings: tuple[str, ...]
    is_in_time: bool | None
    read_json: str | None = None  # what was written and what stood there, as `read_back.as_json` puts it


@dataclass(frozen=True)
class Sample:
    """One drawing."""

    sample_id: str
    cadence: str
    seed: int
    since: datetime
    until: datetime
    strata: Mapping[str, tuple[int, int]]  # stratum -> how many were delivered, how many were drawn


def candidates(connection: Connection, since: datetime, until: datetime) -> list[Candidate]:
    """Everything that was delivered in the time; a group counts once, its members not at all."""
    query = select(actions.c.action_id, actions.c.signal, actions.c.step, actions.c.destination).where(
        CAN_BE_DRAWN,
        actions.c.settled_at >= since,
        actions.c.settled_at < until,
    )
    rows = connection.execute(query)
    return [Candidate(row.action_id, row.signal, row.step, row.destination) for row in rows]


def drawn(connection: Connection, action_ids: Sequence[str]) -> list[Drawn]:
    """What the ledger knows of drawn actions, in the order of their ids."""
    found = []
    for ids in chunks(sorted(action_ids)):
        query = (
            select(actions, requests.c.arguments_json, playbook_versions.c.content_json, builds.c.captured_at)
            .outerjoin(requests, requests.c.action_id == actions.c.action_id)
            .outerjoin(playbook_versions, playbook_versions.c.version == actions.c.playbook_version)
            .outerjoin(builds, builds.c.build_id == actions.c.build_id)
            .where(actions.c.action_id.in_(ids))
            .order_by(actions.c.action_id)
        )
        found += [_drawn(connection, row) for row in connection.execute(query).all()]
    return found


def _drawn(connection: Connection, row: Row[Any]) -> Drawn:
    of_action = (attempts.c.action_id == row.action_id, attempts.c.verdict == "delivered")
    deliveries = connection.execute(select(func.count()).select_from(attempts).where(*of_action)).scalar_one()
    replayed = (audit.c.action_id == row.action_id, audit.c.verb == "replayed")
    is_member = actions.c.group_id == row.action_id if row.is_group else actions.c.action_id == row.action_id
    snapshots = (
        select(events.c.entity_id, events.c.row_json)
        .join(actions, actions.c.event_id == events.c.event_id)
        .where(is_member, actions.c.state == "delivered")
    )
    return Drawn(
        action=row,
        arguments_json=row.arguments_json,
        playbook_json=row.content_json,
        row_jsons=tuple((one.entity_id, one.row_json) for one in connection.execute(snapshots)),
        captured_at=row.captured_at,
        deliveries=deliveries,
        was_replayed=connection.execute(select(audit.c.seq).where(*replayed).limit(1)).first() is not None,
        later=tuple(_later(connection, row)),
    )


def _later(connection: Connection, row: Row[Any]) -> list[tuple[str, str, str]]:
    """Later requests that went to the same record, oldest first."""
    if row.external_id is None or row.settled_at is None:
        return []
    query = (
        select(actions.c.action_id, actions.c.operation, requests.c.arguments_json)
        .join(requests, requests.c.action_id == actions.c.action_id)
        .where(
            actions.c.external_id == row.external_id,
            actions.c.destination == row.destination,
            actions.c.state == "delivered",
            actions.c.settled_at >= row.settled_at,
            actions.c.action_id != row.action_id,
        )
        .order_by(actions.c.settled_at)
        .limit(LATER_AT_MOST)
    )
    return [(one.action_id, one.operation, one.arguments_json) for one in connection.execute(query)]


def last_written_at(connection: Connection, action: Row[Any]) -> datetime:
    """When the loop itself last wrote to a record."""
    query = select(func.max(actions.c.settled_at)).where(
        actions.c.external_id == action.external_id,
        actions.c.destination == action.destination,
        actions.c.state == "delivered",
    )
    newest: datetime | None = connection.execute(query).scalar()
    moment: datetime = newest if newest is not None else action.settled_at
    return moment


def file_sample(database: Database, sample: Sample, found: Sequence[tuple[Row[Any], Verdict]]) -> None:
    """Files a sample with its verdicts and leaves a row in the audit trail."""

    def work(connection: Connection) -> None:
        now = database.now()
        row = {
            "sample_id": sample.sample_id,
            "cadence": sample.cadence,
            "seed": sample.seed,
            "since": sample.since,
            "until": sample.until,
            "strata_json": json.dumps({name: list(counts) for name, counts in sorted(sample.strata.items())}),
            "drawn_at": now,
        }
        connection.execute(insert(samples), row)
        if found:
            connection.execute(
                insert(sampled_records), [_record(sample, action, verdict, now) for action, verdict in found]
            )
        counts = {name: sum(verdict.verdict == name for _, verdict in found) for name in VERDICTS}
        told = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing was delivered"
        entry = {"at": now, "actor": "loop", "verb": "sampled", "reason": sample.cadence}
        write_audit(connection, [{**entry, "detail": f"sample {sample.sample_id}: {told}"}])

    database.write(work, over="samples")


def _record(sample: Sample, action: Row[Any], verdict: Verdict, now: datetime) -> dict[str, Any]:
    return {
        "sample_id": sample.sample_id,
        "action_id": action.action_id,
        "signal": action.signal,
        "step": action.step,
        "destination": action.destination,
        "external_id": action.external_id,
        "verdict": verdict.verdict,
        "findings_json": json.dumps(list(verdict.findings)),
        "read_json": verdict.read_json,
        "is_in_time": verdict.is_in_time,
        "checked_at": now,
    }


def note_person_s_verdict(database: Database, sample_id: str, action_id: str, verdict: str, person: Person) -> None:
    """Keeps what a person found at a sampled record, beside the loop's own verdict.

    Raises NoSuchSample, and ValueError for a verdict that is none of VERDICTS.
    """
    if verdict not in VERDICTS:
        raise ValueError(f"{verdict!r} is none of: {', '.join(VERDICTS)}")

    def work(connection: Connection) -> None:
        now = database.now()
        row = (sampled_records.c.sample_id == sample_id, sampled_records.c.action_id == action_id)
        values = {"person": person.name, "person_verdict": verdict, "person_why": person.why, "person_at": now}
        signal = connection.execute(select(sampled_records.c.signal).where(*row)).scalar()
        if signal is None:
            raise NoSuchSample(f"sample {sample_id} has no record of action {action_id}. Nothing was changed.")
        connection.execute(update(sampled_records).where(*row).values(**values))
        entry = {"at": now, "actor": person.name, "verb": "checked", "reason": verdict, "detail": person.why}
        write_audit(connection, [{**entry, "signal": signal, "action_id": action_id}])

    database.write(work)


def newest_verdicts(connection: Connection, signal: str, since: datetime) -> list[Row[Any]]:
    """The newest verdict on each record of a signal that was sampled since then."""
    query = (
        select(sampled_records)
        .where(sampled_records.c.signal == signal, sampled_records.c.checked_at >= since)
        .order_by(sampled_records.c.checked_at)
    )
    newest = {row.action_id: row for row in connection.execute(query)}
    return list(newest.values())
