"""A ledger on a bench: builds put in by hand, runs played step by step, and every row within reach of a test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import Row, Table, select

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.contracts.destination import IdempotencyClass, Outcome, ReasonFor, Verdict
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.playbook import Playbook, PlaybookVersion, Step
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.vocabulary import Kind, Severity
from dagster_project.ledger.claims import claim, release
from dagster_project.ledger.database import Database
from dagster_project.ledger.gates import Claim
from dagster_project.ledger.intake import IntakeReport, take_in
from dagster_project.ledger.intents import Rendering, write_intents
from dagster_project.ledger.planning import BoundOperation
from dagster_project.ledger.retry_policy import RetryPolicy
from dagster_project.ledger.schema import actions, attempts, audit
from dagster_project.ledger.settlement import Intent, Settled, settle
from dagster_project.ledger.sweep import SweepPolicy
from dagster_project.ledger.work import WorkItem, ready_ids, ready_work
from dagster_project.verify.conservation import prove

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LEASE = timedelta(seconds=300)
SERVER_LIMIT = 60.0
RETRY = RetryPolicy(max_attempts=3, base_seconds=30.0, cap_seconds=3600.0)

BOUND = {
    "crm": BoundOperation("hubspot", IdempotencyClass.UPSERT),
    "desk": BoundOperation("zendesk", IdempotencyClass.IDEMPOTENCY_KEY),
    "erp": BoundOperation("tryton", IdempotencyClass.FIND_THEN_CREATE),
    "chat": BoundOperation("slack", IdempotencyClass.UNKEYED),
}

DELIVERED = Outcome(Verdict.DELIVERED, external_id="ext-1", url="http://crm/ext-1", result={"ts": "1.5"})
FAILED = Outcome(Verdict.RETRY, ReasonFor.SERVER_ERROR.value, "500 from the CRM")
REJECTED = Outcome(Verdict.REJECTED, ReasonFor.INVALID_REQUEST.value, "400: no such field")
UNKNOWN = Outcome(Verdict.UNKNOWN, ReasonFor.TIMED_OUT.value, "no reply within 20 s")

Answer = Outcome | Callable[[WorkItem], Outcome]


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def step(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def step(name: str, role: str = "crm", **more: Any) -> Step:
    return Step(name=name, role=role, operation=f"{role}_call", **more)


def signal_of(*steps: Step, name: str = "customer_churn_risk", **spec: Any) -> CatalogSignal:
    """A live signal with these steps as its playbook."""
    settled = {
        "entity": "customer",
        "owner": "success",
        "mode": "live",
        "fresh_within": {"hours": 26},
        "act_within": {"hours": 1},
        "population": "customers",
        "playbook": "outreach",
    } | spec
    playbook = Playbook(name="outreach", description="Outreach.", steps=steps or (step("call"),))
    return CatalogSignal(
        name=name,
        unique_id=f"model.signals.{name}",
        relation=name,
        description=name,
        columns={},
        spec=SignalSpec.model_validate(settled),
        version=PlaybookVersion(signal=name, playbook=playbook, parameters={}),
        sources=(),
        tests=(),
        sql_file=f"{name}.sql",
        yml_file=f"{name}.yml",
    )


def operations_of(signal: CatalogSignal) -> dict[str, BoundOperation]:
    return {one.name: BOUND[one.role] for one in signal.version.playbook.steps}


def event_of(
    signal: str,
    build_id: str,
    entity: str,
    kind: Kind = Kind.OPENED,
    episode: int = 1,
    severity: Severity = Severity.HIGH,
    **row: Any,
) -> SignalEvent:
    identity = f"{signal}|{entity}|{episode}|{kind}|{severity if kind is Kind.ESCALATED else ''}"
    return SignalEvent(
        event_id=hashlib.sha256(identity.encode()).hexdigest()[:32],
        build_id=build_id,
        signal=signal,
        entity_id=entity,
        episode=episode,
        kind=kind,
        severity=severity,
        score=0.9,
        observed_at=START,
        emitted_at=START,
        row_json=json.dumps({"entity_id": entity, "reason": "usage fell", **row}),
    )


def build_of(signal: str, build_no: int, events: Sequence[SignalEvent], population: int | None = 10_000) -> Build:
    count = {kind: sum(1 for event in events if event.kind is kind) for kind in Kind}
    return Build(
        build_id=build_id_of(signal, build_no),
        signal=signal,
        build_no=build_no,
        is_baseline=False,
        code_version="c1",
        criteria_version="k1",
        data_as_of=START,
        population=population,
        flagged=count[Kind.OPENED],
        opened=count[Kind.OPENED],
        escalated=count[Kind.ESCALATED],
        resolved=count[Kind.RESOLVED],
        captured_at=START,
        released_at=START,
    )


def build_id_of(signal: str, build_no: int) -> str:
    return f"{signal}-{build_no}"


@dataclass(frozen=True)
class Happening:
    """What a build is to say about one entity."""

    entity: str
    kind: Kind = Kind.OPENED
    episode: int = 1
    severity: Severity = Severity.HIGH
    row: Mapping[str, Any] = field(default_factory=dict)


def opened(entity: str, episode: int = 1, severity: str = "high", **row: Any) -> Happening:
    return Happening(entity, Kind.OPENED, episode, Severity(severity), row)


def escalated(entity: str, episode: int = 1, severity: str = "critical", **row: Any) -> Happening:
    return Happening(entity, Kind.ESCALATED, episode, Severity(severity), row)


def resolved(entity: str, episode: int = 1, severity: str = "high", **row: Any) -> Happening:
    return Happening(entity, Kind.RESOLVED, episode, Severity(severity), row)


class Bench:
    """One ledger and one signal, with the moves of a sensor and of a run as single calls."""

    def __init__(self, database: Database, clock: Clock, signal: CatalogSignal) -> None:
        self.database = database
        self.clock = clock
        self.signal = signal
        self.next_build_no = 1
        self.sweeping = SweepPolicy(RETRY, Random(1), SERVER_LIMIT)

    # --- what a sensor does

    def build(self, *happenings: Happening, build_no: int | None = None, population: int | None = 10_000) -> Any:
        """A build and its events, not yet taken in."""
        number = build_no if build_no is not None else self.next_build_no
        self.next_build_no = max(self.next_build_no, number) + 1
        build_id = build_id_of(self.signal.name, number)
        events = [
            event_of(self.signal.name, build_id, h.entity, h.kind, h.episode, h.severity, **h.row) for h in happenings
        ]
        return build_of(self.signal.name, number, events, population), events

    def put(self, build: Build, events: Sequence[SignalEvent], **more: Any) -> IntakeReport:
        arguments: dict[str, Any] = {"is_baseline": False} | more
        return take_in(self.database, build, events, self.signal, operations_of(self.signal), **arguments)

    def take_in(self, *happenings: Happening, population: int | None = 10_000, **more: Any) -> IntakeReport:
        return self.put(*self.build(*happenings, population=population), **more)

    # --- what a run does

    def claim(self, limit: int = 1000, run: str = "run-1", lease: timedelta = LEASE) -> Claim:
        return claim(self.database, self.signal.name, run, limit, lease, self.sweeping)

    def ready(self, held: Claim, step_name: str | None = None) -> tuple[WorkItem, ...]:
        return ready_work(self.database, held, ready_ids(self.database, held, step_name)).items

    def render(self, held: Claim, items: Iterable[WorkItem]) -> None:
        """Renders what has no stored request yet."""
        fresh = [item for item in items if item.arguments_json is None]
        self.store(held, [rendering_of(item) for item in fresh])

    def store(self, held: Claim, renderings: list[Rendering]) -> None:
        write_intents(self.database, held, [], LEASE, renderings)

    def intend(self, held: Claim, action_ids: Iterable[str]) -> list[Intent]:
        return write_intents(self.database, held, list(action_ids), LEASE).opened

    def settle(self, held: Claim, intents: Iterable[Intent], answer: Outcome = DELIVERED, **more: Any) -> Any:
        arguments: dict[str, Any] = {"server_limit": SERVER_LIMIT} | more
        settled = [Settled(intent, answer, **arguments) for intent in intents]
        return settle(self.database, held, settled, RETRY, Random(1))

    def begin(self, held: Claim, step_name: str | None = None) -> list[Intent]:
        """Renders what is ready and opens its intents, as if the calls were now under way."""
        items = self.ready(held, step_name)
        self.render(held, items)
        return self.intend(held, [item.action_id for item in items])

    def work_off(self, held: Claim, answer: Answer = DELIVERED) -> None:
        """Sends all that is, or becomes, ready in a claim."""
        seen: set[str] = set()
        while fresh := [item for item in self.ready(held) if item.action_id not in seen]:
            seen |= {item.action_id for item in fresh}
            self.render(held, fresh)
            sent = {item.action_id: item for item in fresh}
            for intent in self.intend(held, sent):
                outcome = answer(sent[intent.action_id]) if callable(answer) else answer
                self.settle(held, [intent], outcome)

    def run(self, answer: Answer = DELIVERED, limit: int = 1000, run: str = "run-1") -> Claim:
        """One whole run: claim, send, give back."""
        held = self.claim(limit, run)
        self.work_off(held, answer)
        release(self.database, held)
        return held

    def run_until_quiet(self, answer: Answer = DELIVERED) -> None:
        while self.run(answer).count:
            pass

    # --- what a test looks at

    def rows(self, table: Table = actions, **equal: Any) -> list[Row[Any]]:
        where = [table.c[name] == value for name, value in equal.items()]
        with self.database.reading() as connection:
            return list(connection.execute(select(table).where(*where)))

    def action(self, entity: str, step_name: str, kind: str = "opened", episode: int = 1) -> Row[Any]:
        (row,) = self.rows(entity_id=entity, step=step_name, kind=kind, episode=episode)
        return row

    def state(self, entity: str, step_name: str, kind: str = "opened", episode: int = 1) -> tuple[str, str]:
        row = self.action(entity, step_name, kind, episode)
        return row.state, row.reason

    def group(self, step_name: str) -> Row[Any]:
        (row,) = self.rows(step=step_name, is_group=True)
        return row

    def attempts(self, action_id: str) -> list[Row[Any]]:
        return sorted(self.rows(attempts, action_id=action_id), key=lambda row: row.number)

    def verbs(self, action_id: str) -> list[str]:
        return [row.verb for row in sorted(self.rows(audit, action_id=action_id), key=lambda row: row.seq)]

    def broken_laws(self) -> list[str]:
        with self.database.reading() as connection:
            return [example for proof in prove(connection) for example in proof.examples]


MakeBench = Callable[..., Bench]


def rendering_of(item: WorkItem) -> Rendering:
    members = tuple(member.action_id for member in item.members)
    about = sorted(event.entity_id for event, _ in item.cases())
    return Rendering(item.action_id, arguments_json=json.dumps({"about": about}), member_ids=members)
