"""A reply is lost on its way: one effect where docs/the_loop.md claims it, and elsewhere nothing sent again blindly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from crash_lab import LONG_LEASE_SECONDS, CrashLab, MakeLab
from invariants import check_invariants

from dagster_project.ledger.schema import actions, attempts
from dagster_project.sandbox.faults import Fault, FaultKind
from dagster_project.sandbox.settings import SandboxSettings

LOST = 3
CALLS = {
    "hook": {"vendor": "hooks"},
    "crm": {"vendor": "hubspot", "path": "*tasks/batch/upsert*"},
    "chat": {"vendor": "slack", "operation": "chat.postMessage"},
    "erp": {"vendor": "tryton", "operation": "model.project.work.create"},
    "mail": {"vendor": "smtp", "operation": "DATA"},
}


@contextmanager
def lost_replies(lab: CrashLab, times: int = LOST) -> Iterator[None]:
    fault = Fault(kind=FaultKind.DROP_AFTER, times=times, **CALLS[lab.role])
    fault_id = lab.sandbox.faults.add(fault)
    try:
        yield
        (armed,) = [one for one in lab.sandbox.faults.list() if one["id"] == fault_id]
        assert armed["struck"] == times, "no reply was lost, so nothing was shown"
    finally:
        lab.sandbox.faults.remove(fault_id)


@pytest.mark.parametrize("kind", ["keyed", "upsert", "found"])
def test_a_lost_reply_leaves_one_effect(make_lab: MakeLab, kind: str) -> None:
    lab = make_lab(kind, lease_seconds=LONG_LEASE_SECONDS if kind == "found" else 1.0)
    with lost_replies(lab):
        lab.recover()
    lab.crashes = LOST
    check_invariants(lab, in_doubt=True)
    assert {row.state for row in lab.rows(actions)} == {"delivered"}
    unknown = [row for row in lab.rows(attempts) if row.verdict == "unknown"]
    assert len(unknown) >= LOST


def test_slack_is_asked_by_the_key_in_the_messages_metadata(make_lab: MakeLab) -> None:
    lab = make_lab("asked")
    with lost_replies(lab):
        lab.recover()
    check_invariants(lab, in_doubt=True)
    assert {a.key for a in lab.arrivals()} == lab.company.wanted_keys()
    assert lab.rows(actions, state="held") == []


def test_slack_without_the_scope_to_read_history_holds_and_says_why(make_lab: MakeLab) -> None:
    lab = make_lab("asked")
    scopes = [scope for scope in SandboxSettings().slack_scopes if scope != "channels:history"]
    lab.sandbox.control.change_settings(slack_scopes=scopes)
    try:
        with lost_replies(lab):
            lab.recover()
            lab.recover()
    finally:
        lab.sandbox.control.change_settings(slack_scopes=SandboxSettings().slack_scopes)
    check_invariants(lab, in_doubt=True)
    held = [row for row in lab.rows(actions, state="held") if row.group_id is None]
    assert len(held) == LOST
    assert all("history" in row.detail for row in held), [row.detail for row in held]


@pytest.mark.parametrize("kind", ["unkeyed", "mailed"])
def test_what_has_no_key_is_held_and_never_sent_again(make_lab: MakeLab, kind: str) -> None:
    lab = make_lab(kind)
    with lost_replies(lab):
        lab.recover()
        lab.recover()
    check_invariants(lab, in_doubt=True)
    held = {row.action_id for row in lab.rows(actions, state="held") if row.group_id is None}
    assert len(held) == LOST
    assert held < {arrival.key for arrival in lab.arrivals()}


@pytest.mark.parametrize("kind", ["unkeyed", "mailed"])
def test_a_playbook_may_accept_a_second_effect_in_so_many_words(make_lab: MakeLab, kind: str) -> None:
    lab = make_lab(kind, more_environment={"CRASH_AT_LEAST_ONCE": "on"})
    with lost_replies(lab):
        lab.recover()
    assert {row.state for row in lab.rows(actions)} == {"delivered"}
    calls = Counter(arrival.key for arrival in lab.arrivals())
    assert set(calls) == lab.company.wanted_keys()
    assert sum(calls.values()) == len(calls) + LOST


@pytest.mark.parametrize("point", ["intent_written", "reply_received", "outcome_open"])
def test_a_crash_around_a_find_then_create_makes_one_record(make_lab: MakeLab, point: str) -> None:
    lab = make_lab("found", lease_seconds=LONG_LEASE_SECONDS)
    lab.run("detect")
    lab.crash("act", point, "SIGKILL")
    lab.recover()
    check_invariants(lab, in_doubt=True)


def test_an_answer_that_was_found_and_not_recorded_is_found_again(make_lab: MakeLab) -> None:
    lab = make_lab("asked")
    lab.run("detect")
    lab.crash("act", "outcome_open", "SIGKILL")
    sent = len(lab.arrivals())
    assert sent
    lab.until_leases_end()
    lab.crash("act", "answer_found", "SIGKILL")
    assert len(lab.arrivals()) == sent, "nothing is sent while an answer is outstanding"
    lab.recover()
    check_invariants(lab, in_doubt=True)
    assert {a.key for a in lab.arrivals()} == lab.company.wanted_keys()
