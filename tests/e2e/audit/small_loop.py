"""A loop without a warehouse: one signal whose steps go to the sandbox's CRM, ERP, chat and mail, in one process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, Table, select

from dagster_project.contracts.catalog import CaptureRelations, Catalog, CatalogSignal
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.playbook import Playbook, PlaybookVersion, Step
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.vocabulary import Kind, Severity
from dagster_project.ledger.database import Database, open_database
from dagster_project.ledger.intake import take_in
from dagster_project.ledger.schema import actions
from dagster_project.respond.action_run import Surroundings, begin, do_step, finish, look_up_all
from dagster_project.respond.bindings import Binding, bind_roles, operations_of
from dagster_project.sandbox.server import SandboxServer
from dagster_project.settings import Settings

SIGNAL = "customer_churn_risk"

STEPS: tuple[dict[str, Any], ...] = (
    {
        "name": "join",
        "role": "crm",
        "operation": "add_to_campaign",
        "with": {
            "entity_id": "{{ event.entity_id }}",
            "email": "{{ row.email }}",
            "first_name": "{{ row.name }}",
            "campaign": "Win-back",
        },
    },
    {
        "name": "call",
        "role": "crm",
        "operation": "assign_task",
        "needs": ["join"],
        "with": {
            "subject": "Call {{ row.name }}",
            "body": "{{ event.reason }}",
            "due_at": "2026-12-01T09:00:00+00:00",
            "contact_entity_id": "{{ event.entity_id }}",
        },
    },
    {
        "name": "order",
        "role": "erp",
        "operation": "create_purchase_order",
        "with": {
            "supplier_code": "SUP-{{ event.entity_id }}",
            "supplier_name": "Supplier of {{ event.entity_id }}",
            "lines": {
                "for_each": "members",
                "use": {
                    "product_code": "P-{{ event.entity_id }}",
                    "product_name": "A gift",
                    "quantity": "2",
                    "unit_price": "3.5",
                },
            },
        },
        "group_by": "event.entity_id",
    },
    {
        "name": "tell",
        "role": "chat",
        "operation": "post_message",
        "needs": ["call"],
        "with": {"channel": "#retention", "title": "Churn", "text": "{{ row.name }} & co may leave"},
    },
    {
        "name": "write",
        "role": "mail",
        "operation": "send_email",
        "with": {"to": "{{ row.email }}", "subject": "We miss you", "text": "Dear {{ row.name }}"},
    },
)


@dataclass
class Clock:
    """The real time, moved by what a test says."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def signal_with(steps: Sequence[Mapping[str, Any]], **spec: Any) -> CatalogSignal:
    settled = {
        "entity": "customer",
        "owner": "success",
        "mode": "live",
        "fresh_within": {"hours": 26},
        "act_within": {"hours": 1},
        "playbook": "outreach",
    } | spec
    steps_given = tuple(Step.model_validate({"is_internal": True, **step}) for step in steps)
    playbook = Playbook(name="outreach", description="Outreach.", steps=steps_given)
    return CatalogSignal(
        name=SIGNAL,
        unique_id=f"model.signals.{SIGNAL}",
        relation=SIGNAL,
        description="a customer may leave",
        columns={},
        spec=SignalSpec.model_validate(settled),
        version=PlaybookVersion(signal=SIGNAL, playbook=playbook, parameters={}),
        sources=(),
        tests=(),
        sql_file=f"{SIGNAL}.sql",
        yml_file=f"{SIGNAL}.yml",
    )


def catalog_of(signal: CatalogSignal) -> Catalog:
    capture = CaptureRelations(incarnation="i", builds="b", events="e", state="s")
    return Catalog(sources_hash="h", warehouse="duckdb", capture=capture, signals={signal.name: signal}, models={})


@dataclass
class SmallLoop:
    """One ledger, one signal, and the sandbox; `bindings` may be changed between runs."""

    sandbox: SandboxServer
    folder: Path
    signal: CatalogSignal = field(default_factory=lambda: signal_with(STEPS))
    more_settings: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    clock: Clock = field(default_factory=Clock)
    said: list[str] = field(default_factory=list)
    runs: int = 0
    builds: int = 0

    def __post_init__(self) -> None:
        address = self.sandbox.address
        self.settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            state_dir=self.folder,
            sandbox_port=int(address.http_url.rpartition(":")[2]),
            sandbox_smtp_port=address.smtp_port,
            retry_base_seconds=1.0,
            **self.more_settings,
        )
        self.bindings: dict[str, Binding] = bind_roles(self.settings)
        self.database: Database = open_database(self.url or f"sqlite:///{self.folder / 'ledger.sqlite'}", self.clock)

    @property
    def around(self) -> Surroundings:
        return Surroundings(self.settings, catalog_of(self.signal), self.database, self.bindings)

    def flag(self, *entities: str, **row: Any) -> None:
        """Takes in a build in which these entities are newly flagged."""
        self.builds += 1
        now = self.clock()
        build = Build(
            build_id=f"build-{self.builds}",
            signal=SIGNAL,
            build_no=self.builds,
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
        found = [_event(build.build_id, entity, now, row) for entity in entities]
        bound = operations_of(self.signal.version, self.bindings)
        take_in(self.database, build, found, self.signal, bound, is_baseline=False)

    def run(self) -> int:
        """One whole action run; returns how many actions and groups it claimed."""
        self.runs += 1
        work = begin(self.around, SIGNAL, f"run-{self.runs}")
        look_up_all(self.around, work, self.said.append)
        for step in self.signal.version.playbook.steps:
            do_step(self.around, work, step.name, self.said.append)
        finish(self.around, work)
        return work.claim.count

    def rows(self, table: Table = actions, **equal: Any) -> list[Row[Any]]:
        where = [table.c[name] == value for name, value in equal.items()]
        with self.database.reading() as connection:
            return list(connection.execute(select(table).where(*where)))

    def action(self, entity: str, step: str) -> Row[Any]:
        (row,) = self.rows(entity_id=entity, step=step)
        if row.group_id is None:
            return row
        (group,) = self.rows(action_id=row.group_id)
        return group


def _event(build_id: str, entity: str, now: datetime, row: Mapping[str, Any]) -> SignalEvent:
    snapshot = {
        "entity_id": entity,
        "reason": "usage fell",
        "name": f"Ada {entity}",
        "email": f"{entity.lower()}@example.com",
        **row,
    }
    return SignalEvent(
        event_id=f"event-{build_id}-{entity}",
        build_id=build_id,
        signal=SIGNAL,
        entity_id=entity,
        episode=1,
        kind=Kind.OPENED,
        severity=Severity.HIGH,
        score=0.9,
        observed_at=now,
        emitted_at=now,
        row_json=json.dumps(snapshot),
    )
