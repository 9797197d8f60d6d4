"""A ledger of a few events, taken in as the loop takes them in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from unit.contracts.prepared_project import prepared_project

from dagster_project.contracts.catalog import Catalog
from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.vocabulary import Kind, Severity
from dagster_project.ledger.claims import claim, release
from dagster_project.ledger.database import Clock, Database, open_database
from dagster_project.ledger.intake import take_in
from dagster_project.ledger.intents import Rendering, write_intents
from dagster_project.ledger.retry_policy import RetryPolicy
from dagster_project.ledger.settlement import Settled, settle
from dagster_project.ledger.sweep import SweepPolicy
from dagster_project.ledger.work import ready_ids, ready_work
from dagster_project.respond.bindings import bind_roles, operations_of

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
SIGNAL = "customer_churn_risk"
RETRY = RetryPolicy(max_attempts=3, base_seconds=30, cap_seconds=60)
LEASE = timedelta(seconds=300)


class SmallLedger:
    """The ledger, its clock in the test's hand, and the shortest way to fill it.

    Parameters: the folder of its SQLite file; how it is opened on another database, given the clock.
    """

    def __init__(self, folder: Path, opened: Callable[[Clock], Database] | None = None) -> None:
        self.now = START
        file = f"sqlite:///{folder / 'ledger.sqlite'}"
        self.database: Database = opened(lambda: self.now) if opened else open_database(file, lambda: self.now)
        self.catalog: Catalog = prepared_project().catalog
        self.signal = self.catalog.signals[SIGNAL]

    def build(self, number: int, *entities: str, severity: str = "high", **row: Any) -> None:
        """Takes in a build that opens an episode for each entity; build 1 is the baseline."""
        build = Build(
            build_id=f"build-{number}",
            signal=SIGNAL,
            build_no=number,
            is_baseline=number == 1,
            code_version="c",
            criteria_version="k",
            data_as_of=self.now - timedelta(hours=1),
            population=10_000,
            flagged=len(entities),
            opened=len(entities),
            escalated=0,
            resolved=0,
            captured_at=self.now,
            released_at=self.now,
        )
        opened = [self._event(build, entity, severity, row) for entity in entities]
        operations = operations_of(self.signal.version, bind_roles(prepared_project().settings))
        take_in(self.database, build, opened, self.signal, operations, is_baseline=build.is_baseline)

    def _event(self, build: Build, entity: str, severity: str, row: dict[str, Any]) -> SignalEvent:
        return SignalEvent(
            event_id=f"{build.build_id}-{entity}",
            build_id=build.build_id,
            signal=SIGNAL,
            entity_id=entity,
            episode=1,
            kind=Kind.OPENED,
            severity=Severity(severity),
            score=0.9,
            observed_at=self.now,
            emitted_at=self.now,
            row_json=json.dumps({"entity_id": entity, "reason": "because", **row}),
        )

    def deliver(self, step: str, verdict: Verdict = Verdict.DELIVERED, **outcome: Any) -> int:
        """One run that renders, sends and settles whatever is ready of one step; returns how many."""
        sweeping = SweepPolicy(RETRY, Random(1), 0.0)
        taken = claim(self.database, SIGNAL, f"run-{step}", 100, LEASE, sweeping)
        items = ready_work(self.database, taken, ready_ids(self.database, taken, step)).items
        unrendered = [item.action_id for item in items if item.arguments_json is None]
        renderings = [Rendering(action_id, arguments_json='{"email": "ada@example.com"}') for action_id in unrendered]
        ids = [item.action_id for item in items]
        intents = write_intents(self.database, taken, ids, LEASE, renderings).opened
        self.now += timedelta(seconds=2)
        answer = replace(Outcome(verdict=verdict), **outcome)
        settle(self.database, taken, [Settled(intent, answer) for intent in intents], RETRY, Random(1))
        release(self.database, taken)
        return len(intents)
