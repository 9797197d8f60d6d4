"""A small signal with all that a crash can part: two steps, a group, a rise, and an end before anything was sent.

Keys are derived here anew from the words of docs/the_loop.md, so that what arrives at the sink is held against them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.contracts.catalog import CaptureRelations, Catalog, CatalogSignal
from dagster_project.contracts.playbook import Playbook, PlaybookVersion
from dagster_project.contracts.signal import SignalSpec

SIGNAL = "parcel_waiting"
CAPTURE = CaptureRelations(
    incarnation="signal_incarnation", builds="signal_builds", events="signal_events", state="signal_state"
)
ARGUMENTS: dict[str, dict[str, Any]] = {
    "hook": {
        "type": "parcel.waiting",
        "source": "/signals/parcel_waiting",
        "subject": "{{ event.entity_id }}",
        "data": {"reason": "{{ event.reason }}"},
    },
    "crm": {"subject": "Parcel {{ event.entity_id }}", "due_at": "{{ event.emitted_at | hours_after(24) }}"},
    "chat": {"channel": "#purchasing", "text": "Parcel {{ event.entity_id }}: {{ event.reason }}"},
    "erp": {
        "name": "Parcel {{ event.entity_id }}",
        "party_code": "{{ event.entity_id }}",
        "party_name": "{{ event.entity_id }}",
        "tasks": ["Look"],
    },
    "mail": {"to": "desk@example.com", "subject": "Parcel {{ event.entity_id }}", "text": "{{ event.reason }}"},
}
OPERATIONS = {
    "hook": "send_event",
    "crm": "assign_task",
    "chat": "post_message",
    "erp": "create_onboarding_project",
    "mail": "send_email",
}


@dataclass(frozen=True)
class Happening:
    """One event as the warehouse tells it."""

    build_no: int
    entity: str
    kind: str = "opened"
    severity: str = "high"
    depot: str = "north"


BASELINE = (Happening(1, "old"),)
HAPPENINGS = (
    Happening(2, "a"),
    Happening(2, "b"),
    Happening(2, "c"),
    Happening(2, "d", depot="south", severity="critical"),
    Happening(2, "e", depot="south"),
    Happening(3, "b", "escalated", "critical"),
    Happening(3, "c", "resolved"),  # before anything was sent about it, so nothing ever is
    Happening(3, "f", severity="low"),
)


def _steps(role: str, is_at_least_once: bool) -> list[dict[str, Any]]:
    call = {"role": role, "operation": OPERATIONS[role], "with": ARGUMENTS[role], "is_at_least_once": is_at_least_once}
    return [
        {"name": "tell", **call},
        {"name": "confirm", "needs": ["tell"], **call},
        {"name": "tell_of_rise", "on": ["escalated"], "follows": "tell", **call},
        {"name": "tell_depot", "group_by": "row.depot", **call},
    ]


def catalog_of(role: str, is_at_least_once: bool = False) -> Catalog:
    """The catalog of this one signal, all of its steps at one role."""
    playbook = Playbook.model_validate(
        {"name": "tell_receiver", "description": "Tells it.", "steps": _steps(role, is_at_least_once)}
    )
    spec = {
        "entity": "parcel",
        "owner": "team:depot",
        "mode": "live",
        "fresh_within": {"days": 1},
        "act_within": {"hours": 4},
        "playbook": "tell_receiver",
    }
    signal = CatalogSignal(
        name=SIGNAL,
        unique_id=f"model.crash.{SIGNAL}",
        relation=SIGNAL,
        description="",
        columns={},
        spec=SignalSpec.model_validate(spec),
        version=PlaybookVersion(signal=SIGNAL, playbook=playbook, parameters={}),
        sources=(),
        tests=(),
        sql_file="",
        yml_file="",
    )
    return Catalog(sources_hash="", warehouse="duckdb", capture=CAPTURE, signals={SIGNAL: signal}, models={})


TABLES = f"""
create table signal_incarnation (incarnation_id varchar);
create table signal_builds (build_id varchar, signal varchar, build_no bigint, status varchar, is_baseline boolean,
  code_version varchar, criteria_version varchar, data_as_of timestamp, population bigint, flagged bigint,
  opened bigint, escalated bigint, resolved bigint, captured_at timestamp, released_at timestamp, held_reason varchar);
create table signal_events (event_id varchar, build_id varchar, signal varchar, entity_id varchar, episode bigint,
  kind varchar, severity varchar, score double, observed_at timestamp, emitted_at timestamp, row_json varchar);
create table {SIGNAL} (entity_id varchar, severity varchar);
"""


@dataclass(frozen=True)
class Company:
    """One warehouse of it, with an incarnation of its own."""

    file: Path
    name: str

    def build_id(self, number: int) -> str:
        return f"{self.name}-build-{number}"

    def event_id(self, one: Happening) -> str:
        rank = one.severity if one.kind == "escalated" else ""
        return hashlib.md5(f"{self.name}|{SIGNAL}|{one.entity}|1|{one.kind}|{rank}".encode()).hexdigest()

    def make(self) -> None:
        """The warehouse with its first build, the baseline."""
        with duckdb.connect(str(self.file)) as connection:
            connection.execute(TABLES)
            connection.execute("insert into signal_incarnation values (?)", [self.name])
        self.add_build(BASELINE)

    def add_builds(self) -> None:
        """The two builds that there is something to do about."""
        for number in (2, 3):
            self.add_build_of(number)

    def add_build_of(self, number: int) -> None:
        self.add_build([one for one in HAPPENINGS if one.build_no == number])

    def all_event_ids(self) -> set[str]:
        return {self.event_id(one) for one in (*BASELINE, *HAPPENINGS)}

    def add_build(self, happenings: tuple[Happening, ...] | list[Happening]) -> None:
        number = happenings[0].build_no
        now = datetime.now(UTC).replace(tzinfo=None)
        counts = [sum(1 for one in happenings if one.kind == kind) for kind in ("opened", "escalated", "resolved")]
        with duckdb.connect(str(self.file)) as connection:
            connection.begin()
            connection.executemany(
                "insert into signal_events values (?, ?, ?, ?, 1, ?, ?, 0.9, ?, ?, ?)",
                [
                    [
                        self.event_id(one), self.build_id(number), SIGNAL, one.entity, one.kind, one.severity, now,
                        now, json.dumps({"reason": "It waits.", "depot": one.depot}),
                    ]
                    for one in happenings
                ],
            )  # fmt: skip
            for one in happenings:
                connection.execute(f"delete from {SIGNAL} where entity_id = ?", [one.entity])
                if one.kind != "resolved":
                    connection.execute(f"insert into {SIGNAL} values (?, ?)", [one.entity, one.severity])
            connection.execute(
                "insert into signal_builds values (?, ?, ?, 'captured', ?, '', '', ?, null, ?, ?, ?, ?, ?, ?, '')",
                [self.build_id(number), SIGNAL, number, number == 1, now, sum(counts), *counts, now, now],
            )
            connection.commit()

    def wanted_keys(self) -> set[str]:
        """What has to arrive in the end, if nobody is held: c was over before it was told of."""
        keys = {self.action_key(one, step) for one in _told() for step in ("tell", "confirm")}
        keys |= {self.action_key(one, "tell_of_rise") for one in HAPPENINGS if one.kind == "escalated"}
        return keys | {self.group_key(number, depot) for number, depot in {(o.build_no, o.depot) for o in _told()}}

    def action_key(self, one: Happening, step: str) -> str:
        return hashlib.sha256(f"action|{self.event_id(one)}|{step}".encode()).hexdigest()[:32]

    def group_key(self, number: int, depot: str) -> str:
        text = f"group|{self.build_id(number)}|tell_depot|opened|{depot}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def _told() -> list[Happening]:
    over = {one.entity for one in HAPPENINGS if one.kind == "resolved"}
    return [one for one in HAPPENINGS if one.kind == "opened" and one.entity not in over]
