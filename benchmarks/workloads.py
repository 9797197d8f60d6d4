"""Ledgers full of due work, and an action run on them: what every benchmark of delivery measures."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from timing import Spent

from dagster_project.contracts.catalog import CaptureRelations, Catalog, CatalogSignal
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.playbook import Playbook, PlaybookVersion
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.vocabulary import Kind, Mode, Severity
from dagster_project.ledger.claims import due_count
from dagster_project.ledger.intake import take_in
from dagster_project.ledger.modes import declare_mode
from dagster_project.respond.action_run import Surroundings, begin, do_step, finish, look_up_all
from dagster_project.respond.bindings import operations_of
from dagster_project.runtime import surroundings_for
from dagster_project.settings import Settings

SIGNAL = "parcel_waiting"
STEP = "tell"
UNPACED = 1_000_000  # calls a second: the sink has no limit, so none is kept


@dataclass(frozen=True)
class Workload:
    """What one action is."""

    role: str
    destination: str
    operation: str
    arguments: Mapping[str, Any]
    is_batched: bool = False

    def connection(self, sink: str) -> dict[str, object]:
        if self.destination == "hubspot":
            return {"base_url": sink, "token": "t", "calls_per_second": UNPACED}
        secret = "whsec_" + "QUJD" * 8
        known = {"secret": secret, "receiver_deduplicates": True, "calls_per_second": UNPACED}
        return {"url": f"{sink}/hooks", **known}


WEBHOOKS = Workload(  # one request an action
    "hook",
    "webhook",
    "send_event",
    MappingProxyType(
        {
            "type": "parcel.waiting",
            "source": "/signals/parcel_waiting",
            "subject": "{{ event.entity_id }}",
            "data": {"reason": "{{ event.reason }}", "weight": "{{ row.weight }}"},
        }
    ),
)
CONTACTS = Workload(  # a hundred actions a request
    "crm",
    "hubspot",
    "upsert_contact",
    MappingProxyType(
        {
            "entity_id": "{{ event.entity_id }}",
            "email": "{{ event.entity_id }}@example.com",
            "first_name": "{{ row.first_name }}",
        }
    ),
    is_batched=True,
)


def catalog_of(workload: Workload = WEBHOOKS, signals: int = 1) -> Catalog:
    """A catalog of live signals that answer each event with one action: parcel_waiting, parcel_waiting_1 and so on."""
    names = [SIGNAL, *(f"{SIGNAL}_{number}" for number in range(1, signals))]
    capture = CaptureRelations(incarnation="i", builds="b", events="e", state="s")
    found = {name: _signal_of(name, workload) for name in names}
    return Catalog(sources_hash="", warehouse="duckdb", capture=capture, signals=found, models={})


def _signal_of(name: str, workload: Workload) -> CatalogSignal:
    step = {"name": STEP, "role": workload.role, "operation": workload.operation, "with": dict(workload.arguments)}
    playbook = Playbook.model_validate(
        {"name": "tell_receiver", "description": "One action an event.", "steps": [step]}
    )
    spec = {"entity": "parcel", "owner": "team:bench", "mode": "live", "playbook": "tell_receiver"}
    promises = {"fresh_within": {"days": 1}, "act_within": {"hours": 4}, "guards": {"opened": {"count": 10_000_000}}}
    return CatalogSignal(
        name=name,
        unique_id=f"model.bench.{name}",
        relation=name,
        description="",
        columns={},
        spec=SignalSpec.model_validate({**spec, **promises}),
        version=PlaybookVersion(signal=name, playbook=playbook, parameters={}),
        sources=(),
        tests=(),
        sql_file="",
        yml_file="",
    )


def events_of(signal: str, build_id: str, build_no: int, count: int) -> tuple[Build, list[SignalEvent]]:
    """A released build that opens an episode for so many entities that no other build has."""
    now = datetime.now(UTC)
    build = Build(build_id, signal, build_no, False, "", "", now, None, count, count, 0, 0, now, now)
    row = json.dumps({"reason": "It waits at the counter.", "weight": 2.5, "first_name": "Ada"})
    kind = (1, Kind.OPENED, Severity.LOW, 0.5, now, now, row)
    return build, [SignalEvent(f"{build_id}-{n}", build_id, signal, f"p{build_no}x{n}", *kind) for n in range(count)]


def surroundings_of(
    folder: Path, sink: str, ledger: str | None = None, workload: Workload = WEBHOOKS, signals: int = 1, **more: Any
) -> Surroundings:
    """What a run needs. Parameters: the state's folder; the sink's address; the ledger's URL, a SQLite file in the
    folder by default; what an action is; how many signals; further settings, which are the shipped ones otherwise.
    """
    destinations = {workload.destination: workload.connection(sink)}
    settings = Settings(state_dir=folder, ledger_url=ledger, destinations=destinations, **more)
    return surroundings_for(settings, catalog_of(workload, signals))


def fill(around: Surroundings, count: int, build_no: int = 1) -> None:
    """Takes a build with so many events into the ledger, for every signal."""
    for name, signal in around.catalog.signals.items():
        declare_mode(around.database, name, Mode.LIVE)
        build, events = events_of(name, f"{name}-{time.time_ns()}", build_no, count)
        operations = operations_of(signal.version, around.bindings)
        take_in(around.database, build, events, signal, operations, is_baseline=False)


def filled_ledger(
    folder: Path, sink: str, actions: int, ledger: str | None = None, workload: Workload = WEBHOOKS
) -> Surroundings:
    """A ledger with so much due work, all of which one claim takes."""
    around = surroundings_of(folder, sink, ledger, workload, claim_limit=actions)
    fill(around, actions)
    return around


def run_once(around: Surroundings, signal: str = SIGNAL, run_id: str = "bench") -> int:
    """One action run from claim to settled; how many actions it claimed."""
    work = begin(around, signal, run_id)
    look_up_all(around, work, _unsaid)
    do_step(around, work, STEP, _unsaid)
    finish(around, work)
    return work.claim.count


def act(around: Surroundings) -> Spent:
    """From claim to settled for all that is due."""
    began, cpu_began = time.perf_counter(), time.process_time()
    claimed = run_once(around)
    took = Spent(time.perf_counter() - began, time.process_time() - cpu_began)
    left = due_count(around.database, SIGNAL)
    if not claimed or left:
        raise RuntimeError(f"the run claimed {claimed} actions and left {left} due; what it took says nothing")
    return took


def _unsaid(_: str) -> None:
    pass
