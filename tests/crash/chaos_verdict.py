"""Holds the promises after a storm against what the ledger says, what the warehouse has, and what the sink saw."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from e2e.loop.loop_driver import Loop

from dagster_project.sandbox.effects import Effect

KEYED = ("tasks.upsert", "purchase.purchase.create", "project.work.create", "chat.postMessage", "send")
CREATING = ("assign_task", "create_purchase_order", "create_onboarding_project", "post_message", "send_email")
ACTIONS = "select action_id, group_id, is_group, signal, entity_id, state, operation, build_no from actions"


@dataclass
class Verdict:
    """What was found; every list is empty where the promises hold."""

    events: int = 0
    effects: int = 0
    states: Counter[str] = field(default_factory=Counter)
    twice: list[str] = field(default_factory=list)  # invariant 3
    lost: list[str] = field(default_factory=list)  # invariant 2: events of released builds that the ledger lacks
    stuck: list[str] = field(default_factory=list)  # invariant 2: waiting although nothing of its lane is held
    unnoticed: list[str] = field(default_factory=list)  # invariant 1: effects that are neither delivered nor held
    missing: list[str] = field(default_factory=list)  # invariant 1: deliveries that the sink does not have
    unintended: list[str] = field(default_factory=list)  # invariant 4: no intent before it, or no audit of it
    disordered: list[str] = field(default_factory=list)  # invariant 6
    unproven: str = ""

    @property
    def broken(self) -> dict[str, int]:
        """How many of each were found, where there are any."""
        names = ("twice", "lost", "stuck", "unnoticed", "missing", "unintended", "disordered")
        found = {name: len(getattr(self, name)) for name in names if getattr(self, name)}
        return found | ({"unproven": 1} if self.unproven else {})


@dataclass(frozen=True)
class _Ledger:
    rows: Sequence[Any]
    event_ids: frozenset[str]
    attempts: Counter[str]
    told: Counter[str]  # `attempted` in the audit trail, by action

    @classmethod
    def read(cls, loop: Loop) -> _Ledger:
        with sqlite3.connect(f"file:{loop.state_dir / 'ledger.sqlite'}?mode=ro", uri=True) as ledger:
            ledger.row_factory = sqlite3.Row
            return cls(
                ledger.execute(ACTIONS).fetchall(),
                frozenset(row[0] for row in ledger.execute("select event_id from events")),
                Counter(row[0] for row in ledger.execute("select action_id from attempts")),
                Counter(row[0] for row in ledger.execute("select action_id from audit where verb = 'attempted'")),
            )


def judge(loop: Loop) -> Verdict:
    """Judges a loop of which no process is at work any more."""
    ledger = _Ledger.read(loop)
    effects = [one for one in loop.sandbox.effects() if one.operation in KEYED and one.idempotency_key]
    made = Counter(str(one.idempotency_key) for one in effects if one.is_created)
    verdict = Verdict(len(ledger.event_ids), len(made), Counter(row["state"] for row in ledger.rows))
    verdict.twice = [key for key, times in made.items() if times > 1]
    verdict.lost = [event_id for event_id in _released_events(loop) if event_id not in ledger.event_ids]
    verdict.stuck = _stuck(ledger.rows)
    _compare(verdict, ledger, made)
    verdict.disordered = _disordered(ledger.rows, effects)
    said = loop.loopctl("status", "--prove", exit_status=None)
    verdict.unproven = said if "BROKEN" in said or "holds " not in said else ""
    return verdict


def _released_events(loop: Loop) -> list[str]:
    sql = (
        "select e.event_id from analytics.signal_events e join analytics.signal_builds b on b.build_id = e.build_id "
        "where b.released_at is not null"
    )
    return [row[0] for row in loop.warehouse_rows(sql)]


def _stuck(rows: Sequence[Any]) -> list[str]:
    """What waits for nobody: nothing of its own lane, or of a lane that its group reaches, is held or dead."""
    closed = [row for row in rows if row["state"] in ("held", "dead")]
    lanes = {(row["signal"], row["entity_id"]) for row in closed if row["entity_id"] is not None}
    in_lanes = [row for row in rows if (row["signal"], row["entity_id"]) in lanes]
    groups = {row["group_id"] for row in in_lanes if row["group_id"]} | {row["action_id"] for row in closed}
    waiting = [row for row in rows if row["state"] == "waiting"]
    return [
        row["action_id"]
        for row in waiting
        if (row["signal"], row["entity_id"]) not in lanes and not {row["action_id"], row["group_id"]} & groups
    ]


def _compare(verdict: Verdict, ledger: _Ledger, made: Counter[str]) -> None:
    by_id = {row["action_id"]: row for row in ledger.rows}
    known = ("delivered", "held")
    verdict.unnoticed = [key for key in made if key not in by_id or by_id[key]["state"] not in known]
    verdict.missing = [
        row["action_id"]
        for row in ledger.rows
        if row["state"] == "delivered" and not row["group_id"] and row["operation"] in CREATING
        and row["action_id"] not in made
    ]  # fmt: skip
    verdict.unintended = [key for key in made if not ledger.attempts[key]]
    verdict.unintended += [key for key, times in ledger.attempts.items() if ledger.told[key] != times]


def _disordered(rows: Sequence[Any], effects: Sequence[Effect]) -> list[str]:
    """Effects of an entity and a signal that came after one of a later build."""
    reached: dict[tuple[str, str], int] = {}
    by_id = {row["action_id"]: row for row in rows}
    found = []
    for effect in effects:
        row = by_id.get(str(effect.idempotency_key))
        if row is None or row["entity_id"] is None or not effect.is_created:
            continue
        lane = (row["signal"], row["entity_id"])
        if row["build_no"] < reached.get(lane, 0):
            found.append(row["action_id"])
        reached[lane] = max(reached.get(lane, 0), row["build_no"])
    return found
