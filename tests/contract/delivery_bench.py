"""One signal with one step, a ledger with events of it, and action runs on them: delivery seen from outside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, Table, select

from dagster_project.contracts.catalog import CaptureRelations, Catalog, CatalogSignal
from dagster_project.contracts.event import Build, SignalEvent, action_id_for
from dagster_project.contracts.playbook import Playbook, PlaybookVersion, Step
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.vocabulary import Kind, Severity
from dagster_project.ledger.database import Database, open_database
from dagster_project.ledger.intake import take_in
from dagster_project.ledger.schema import actions, attempts, destinations, pauses
from dagster_project.respond.action_run import Surroundings, begin, do_step, finish, look_up_all
from dagster_project.respond.bindings import Binding, operations_of
from dagster_project.settings import Settings

SIGNAL = "case_open"
STEP = "act"


def catalog_with(step: Step) -> Catalog:
    """A catalog of one live signal that answers with one step."""
    spec = {"entity": "case", "owner": "tests", "mode": "live", "playbook": "one_step"}
    playbook = Playbook(name="one_step", description="One step.", steps=(step,))
    signal = CatalogSignal(
        name=SIGNAL,
        unique_id=f"model.signals.{SIGNAL}",
        relation=SIGNAL,
        description="a case",
        columns={},
        spec=SignalSpec.model_validate({**spec, "fresh_within": {"hours": 1}, "act_within": {"hours": 1}}),
        version=PlaybookVersion(signal=SIGNAL, playbook=playbook, parameters={}),
        sources=(),
        tests=(),
        sql_file=f"{SIGNAL}.sql",
        yml_file=f"{SIGNAL}.yml",
    )
    capture = CaptureRelations(incarnation="i", builds="b", events="e", state="s")
    return Catalog(sources_hash="h", warehouse="duckdb", capture=capture, signals={SIGNAL: signal}, models={})


def one_step(role: str, operation: str, arguments: Mapping[str, Any], **more: Any) -> Step:
    return Step.model_validate(
        {"name": STEP, "role": role, "operation": operation, "with": dict(arguments), "is_internal": True, **more}
    )


def build_of(entities: Sequence[str], now: datetime) -> tuple[Build, list[SignalEvent]]:
    """A released build that opens an episode for each entity."""
    build = Build(
        build_id="build-1",
        signal=SIGNAL,
        build_no=1,
        is_baseline=False,
        code_version="c",
        criteria_version="k",
        data_as_of=now,
        population=1000,
        flagged=len(entities),
        opened=len(entities),
        escalated=0,
        resolved=0,
        captured_at=now,
        released_at=now,
    )
    return build, [_event(build, entity, now) for entity in entities]


def _event(build: Build, entity: str, now: datetime) -> SignalEvent:
    return SignalEvent(
        event_id=f"event-{entity}",
        build_id=build.build_id,
        signal=build.signal,
        entity_id=entity,
        episode=1,
        kind=Kind.OPENED,
        severity=Severity.HIGH,
        score=0.9,
        observed_at=now,
        emitted_at=now,
        row_json=json.dumps({"entity_id": entity, "reason": "it is flagged"}),
    )


def action_of(entity: str) -> str:
    """The idempotency key of the entity's one action."""
    return action_id_for(f"event-{entity}", STEP)


class Clock:
    """The real time, moved on by what a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class DeliveryBench:
    """A ledger on a SQLite file, with one step bound to one destination."""

    file: Path
    catalog: Catalog
    binding: Binding
    settings: Settings
    clock: Clock = field(default_factory=Clock)
    said: list[str] = field(default_factory=list)
    runs: int = 0

    def __post_init__(self) -> None:
        self.database: Database = open_database(f"sqlite:///{self.file}", self.clock)

    def close(self) -> None:
        self.database.close()

    def flag(self, *entities: str) -> None:
        """Takes in a build in which these entities are newly flagged."""
        build, events = build_of(entities, self.clock())
        signal = self.catalog.signal(SIGNAL)
        bound = operations_of(signal.version, {self.binding.role: self.binding})
        take_in(self.database, build, events, signal, bound, is_baseline=False)

    def run(self) -> int:
        """One whole action run; returns how many actions it claimed."""
        self.runs += 1
        around = Surroundings(self.settings, self.catalog, self.database, {self.binding.role: self.binding})
        work = begin(around, SIGNAL, f"run-{self.runs}")
        look_up_all(around, work, self.said.append)
        do_step(around, work, STEP, self.said.append)
        finish(around, work)
        return work.claim.count

    def rows(self, table: Table) -> list[Row[Any]]:
        with self.database.reading() as connection:
            return list(connection.execute(select(table)))

    def action(self, entity: str) -> Row[Any]:
        return next(row for row in self.rows(actions) if row.entity_id == entity)

    def attempts(self, entity: str) -> list[Row[Any]]:
        mine = [row for row in self.rows(attempts) if row.action_id == action_of(entity)]
        return sorted(mine, key=lambda row: row.number)

    def destination(self) -> Row[Any] | None:
        return next(iter(self.rows(destinations)), None)

    def paused(self) -> list[str]:
        return [row.subject for row in self.rows(pauses)]

    def bytes_on_disk(self) -> bytes:
        """Everything that the ledger's files hold, the write-ahead log included."""
        return b"".join(part.read_bytes() for part in sorted(self.file.parent.glob(f"{self.file.name}*")))
