"""Signals at real destinations of the sandbox, with as many rows as a test asks for, delivered in this process."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from dagster_project.contracts.catalog import CaptureRelations, Catalog, CatalogSignal
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.playbook import Playbook, PlaybookVersion
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.vocabulary import Kind, Mode, Severity
from dagster_project.ledger.claims import due_count
from dagster_project.ledger.database import open_database, utc_now
from dagster_project.ledger.intake import take_in
from dagster_project.ledger.modes import declare_mode
from dagster_project.ledger.schema import actions
from dagster_project.respond.action_run import Surroundings, begin, do_step, finish, look_up_all
from dagster_project.respond.bindings import operations_of
from dagster_project.runtime import surroundings_for
from dagster_project.sandbox import credentials
from dagster_project.sandbox.server import SandboxServer
from dagster_project.settings import Settings

HOOK, CRM = "parcel_waiting", "parcel_lost"
OTHER_HOOK = "parcel_returned"  # two steps, at the same destination as HOOK
TELL: dict[str, Any] = {
    "name": "tell",
    "role": "hook",
    "operation": "send_event",
    "with": {"type": "parcel.waiting", "source": "/signals/parcel_waiting", "subject": "{{ event.entity_id }}"},
}
STEPS: dict[str, list[dict[str, Any]]] = {
    HOOK: [TELL],
    OTHER_HOOK: [TELL, {**TELL, "name": "tell_again"}],
    CRM: [
        {
            "name": "assign",
            "role": "crm",
            "operation": "assign_task",
            "with": {"subject": "{{ event.entity_id }}", "due_at": "{{ event.emitted_at | hours_after(24) }}"},
        }
    ],
}


@dataclass(frozen=True)
class Parcel:
    """One row that was newly flagged."""

    name: str
    severity: Severity = Severity.LOW


def signal_of(name: str) -> CatalogSignal:
    spec = SignalSpec.model_validate(
        {
            "entity": "parcel",
            "owner": "team:depot",
            "mode": "live",
            "fresh_within": {"days": 1},
            "act_within": {"hours": 4},
            "playbook": "tell_receiver",
            "guards": {"opened": {"count": 10_000_000}},
        }
    )
    playbook = Playbook.model_validate({"name": "tell_receiver", "description": "One call.", "steps": STEPS[name]})
    return CatalogSignal(
        name=name,
        unique_id=f"model.isolation.{name}",
        relation=name,
        description="",
        columns={},
        spec=spec,
        version=PlaybookVersion(signal=name, playbook=playbook, parameters={}),
        sources=(),
        tests=(),
        sql_file="",
        yml_file="",
    )


def _opened(build_id: str, signal: str, one: Parcel, now: datetime) -> SignalEvent:
    row, event_id = json.dumps({"reason": "It waits."}), f"{build_id}-{one.name}"
    return SignalEvent(event_id, build_id, signal, one.name, 1, Kind.OPENED, one.severity, 0.5, now, now, row)


@dataclass
class IsolationBench:
    """A ledger with three signals, two at the webhook and one at the CRM."""

    folder: Path
    sandbox: SandboxServer
    more_settings: dict[str, Any] = field(default_factory=dict)
    calls_per_second: float = 10_000
    receiver: SandboxServer | None = None  # of the webhook, where it is not the same sandbox
    ahead_seconds: float = 0.0

    def __post_init__(self) -> None:
        address = self.sandbox.address
        self.hook = f"isolation-{uuid.uuid4().hex[:8]}"
        receiver = {
            "url": f"{(self.receiver or self.sandbox).address.http_url}/hooks/{self.hook}",
            "secret": credentials.WEBHOOK_SECRET,
            "receiver_deduplicates": True,
            "calls_per_second": self.calls_per_second,
        }
        chosen: dict[str, Any] = {
            "state_dir": self.folder,
            "bindings": {"hook": "webhook", "crm": "hubspot"},
            "destinations": {"webhook": receiver},
            "sandbox_port": int(address.http_url.rpartition(":")[2]),
            "sandbox_smtp_port": address.smtp_port,
            "retry_base_seconds": 30.0,
        }
        capture = CaptureRelations(incarnation="i", builds="b", events="e", state="s")
        signals = {name: signal_of(name) for name in (HOOK, OTHER_HOOK, CRM)}
        catalog = Catalog(sources_hash="", warehouse="duckdb", capture=capture, signals=signals, models={})
        settings = Settings(_env_file=None, **(chosen | self.more_settings))  # type: ignore[call-arg]
        around = surroundings_for(settings, catalog)
        around.database.close()
        self.around: Surroundings = replace(around, database=open_database(settings.ledger_address, self._clock))
        for name in signals:
            declare_mode(self.around.database, name, Mode.LIVE)

    def _clock(self) -> datetime:
        return utc_now() + timedelta(seconds=self.ahead_seconds)

    def flag(self, signal: str, parcels: Sequence[Parcel], build_no: int = 1) -> None:
        """One build with these rows, taken in and planned."""
        now, build_id = datetime.now(UTC), f"{signal}-{build_no}"
        count = len(parcels)
        build = Build(build_id, signal, build_no, False, "", "", now, None, count, count, 0, 0, now, now)
        found = [_opened(build_id, signal, one, now) for one in parcels]
        chosen = self.around.catalog.signals[signal]
        take_in(self.around.database, build, found, chosen, operations_of(chosen.version, self.around.bindings), False)

    def run(self, signal: str) -> None:
        """One run, from claim to settled."""
        work = begin(self.around, signal, f"run-{uuid.uuid4().hex[:8]}")
        look_up_all(self.around, work, lambda _: None)
        for step in self.around.catalog.signals[signal].version.playbook.steps:
            do_step(self.around, work, step.name, lambda _: None)
        finish(self.around, work)

    def due(self, signal: str) -> int:
        return due_count(self.around.database, signal)

    def rows(self, signal: str) -> Sequence[Row[Any]]:
        with self.around.database.reading() as connection:
            return connection.execute(select(actions).where(actions.c.signal == signal)).all()

    def told(self) -> list[str]:
        """Whom the webhook's receiver has heard of, in order."""
        deliveries = (self.receiver or self.sandbox).control.hook_deliveries(self.hook)
        return [json.loads(row["body"])["subject"] for row in deliveries]

    def assigned(self) -> int:
        return sum(1 for effect in self.sandbox.effects("hubspot") if effect.operation == "tasks.upsert")

    def close(self) -> None:
        self.around.database.close()
