"""Old builds leave the capture tables, the state stays: what is built afterwards is as if nothing had gone."""

from __future__ import annotations

import json

import pytest
from capture_lab import CaptureLab, Flag

SIGNAL = "customer_churn_risk"
pytestmark = pytest.mark.long


def build(lab: CaptureLab, day: int, *flags: Flag) -> list[str]:
    """One day's build of the signal, tests and release included; returns the signal's new events."""
    lab.land(f"2026-02-{day:02} 00:00:00", {SIGNAL: flags})
    step = lab.dbt("build", "--select", f"+{SIGNAL}")
    assert step.is_success, step.errors
    return [event for event in step.events if event.startswith(SIGNAL)]


def prune(lab: CaptureLab, through: int) -> None:
    arguments = json.dumps({"through": {SIGNAL: through}})
    assert lab.dbt("run-operation", "signal_capture_prune", "--args", arguments).is_success


def builds(lab: CaptureLab) -> list[int]:
    rows = lab.rows(f"select build_no from lab.signal_builds where signal = '{SIGNAL}' order by build_no")
    return [int(row[0]) for row in rows]


def test_old_builds_go_with_their_events_and_episodes_go_on(lab: CaptureLab) -> None:
    build(lab, 1, Flag("a"))
    build(lab, 2, Flag("a"), Flag("b"))
    build(lab, 3, Flag("b"))
    state = lab.rows("select signal, entity_id, status, episode, peak_severity from lab.signal_state order by 1, 2")
    prune(lab, 2)
    assert builds(lab) == [3]
    assert lab.one(f"select count(*) from lab.signal_events where signal = '{SIGNAL}'") == 1
    assert lab.rows(f"select through_build_no, builds, events from lab.signal_pruned where signal = '{SIGNAL}'") == [
        (2, 2, 2)
    ]
    after = lab.rows("select signal, entity_id, status, episode, peak_severity from lab.signal_state order by 1, 2")
    assert after == state
    assert build(lab, 4, Flag("a"), Flag("b", severity="high")) == [
        f"{SIGNAL}: a.2 opened:low",
        f"{SIGNAL}: b.1 escalated:high",
    ]

    prune(lab, 99)
    assert builds(lab) == [4], "the newest build stays whatever is asked: the next one is numbered after it"
    assert build(lab, 5, Flag("b", severity="high")) == [f"{SIGNAL}: a.2 resolved"]
    assert builds(lab) == [4, 5]
