"""An incident is told once when it begins and once when it ends; no channel depends on another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from small_loop import SmallLoop
from sqlalchemy import update

from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.ledger.controls import Person, discard, pause
from dagster_project.ledger.controls import Selection as Chosen
from dagster_project.ledger.incidents import Condition, Incident, intend, open_incidents
from dagster_project.ledger.schema import actions, alert_messages, audit, incidents
from dagster_project.sandbox.effects import Effect
from dagster_project.sandbox.faults import Fault, FaultKind
from dagster_project.sandbox.server import SandboxServer
from dagster_project.verify.alert_delivery import tell, watch
from dagster_project.verify.alerting import (
    BROKEN_CHAIN,
    DEAD_LETTERS,
    FROM_TRAIL,
    KINDS,
    AlertChannels,
    composed,
    trail_conditions,
)
from dagster_project.verify.audit_trail import Finding, TrailReport

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"
ALERTS = {"alert_channel": "#retention-urgent", "alert_email": "operators@example.com"}
ANN = Person("ann", "mended")


@pytest.fixture
def loop(sandbox: SandboxServer, tmp_path: Path) -> Iterator[SmallLoop]:
    played = SmallLoop(sandbox, tmp_path, more_settings=ALERTS)
    yield played
    played.database.close()


def told(loop: SmallLoop, vendor: str) -> list[Effect]:
    """The alerts that arrived at a vendor, without what the playbook itself sent there."""
    keys = {row.message_id for row in loop.rows(alert_messages)}
    return [one for one in loop.sandbox.effects(vendor) if one.idempotency_key in keys]


def states(loop: SmallLoop) -> dict[tuple[str, str], str]:
    return {(row.role, row.phase): row.state for row in loop.rows(alert_messages)}


def kill_one(loop: SmallLoop) -> None:
    """Leaves a dead letter: the CRM refuses one contact for good."""
    loop.sandbox.faults.add(
        Fault(vendor="hubspot", operation="objects/contacts/batch/upsert", kind=FaultKind.VENDOR_ERROR, status=400)
    )
    loop.flag("C1")
    loop.run()
    loop.sandbox.faults.clear()
    assert loop.action("C1", "join").state == "dead", loop.action("C1", "join")


def kinds_open(loop: SmallLoop) -> set[str]:
    return {one.kind for one in open_incidents(loop.database)}


def test_nothing_is_told_while_all_is_well(loop: SmallLoop) -> None:
    loop.flag("C1")
    loop.run()
    watch(loop.around)

    assert loop.rows(incidents) == []
    assert loop.rows(alert_messages) == []


def test_a_dead_letter_is_told_once_to_chat_and_mail_however_often_one_looks(loop: SmallLoop) -> None:
    kill_one(loop)
    for _ in range(3):
        watch(loop.around)

    assert DEAD_LETTERS in kinds_open(loop)
    opened = len(open_incidents(loop.database))
    assert len(told(loop, "slack")) == len(told(loop, "smtp")) == opened
    assert set(states(loop).values()) == {"delivered"}


def test_its_end_is_told_once(loop: SmallLoop) -> None:
    kill_one(loop)
    watch(loop.around)
    discard(loop.database, Chosen(signal=loop.signal.name), ANN)
    for _ in range(2):
        watch(loop.around)

    assert kinds_open(loop) == set()
    phases = [row.phase for row in loop.rows(alert_messages, role="mail")]
    assert phases.count("opened") == phases.count("resolved") == len(loop.rows(incidents))
    assert [row.verb for row in loop.rows(audit, reason=DEAD_LETTERS)] == ["incident_opened", "incident_resolved"]


def test_a_second_occurrence_is_a_new_incident(loop: SmallLoop) -> None:
    conditions = [Condition(BROKEN_CHAIN, "audit trail", "1 finding")]
    for found in (conditions, [], conditions):
        tell(loop.around, found, FROM_TRAIL)

    assert len(loop.rows(incidents)) == 2
    assert [row.phase for row in sorted(loop.rows(alert_messages, role="chat"), key=lambda row: row.made_at)] == [
        "opened",
        "resolved",
        "opened",
    ]


def test_an_end_is_only_seen_by_who_looks_at_that_kind(loop: SmallLoop) -> None:
    tell(loop.around, [Condition(BROKEN_CHAIN, "audit trail", "1 finding")], FROM_TRAIL)
    watch(loop.around)

    assert kinds_open(loop) == {BROKEN_CHAIN}


def test_with_the_chat_down_the_mail_is_sent_and_the_chat_hears_of_it_later(loop: SmallLoop) -> None:
    loop.sandbox.faults.add(Fault(vendor="slack", kind=FaultKind.STATUS, status=503))
    kill_one(loop)
    loop.sandbox.faults.add(Fault(vendor="slack", kind=FaultKind.STATUS, status=429))
    watch(loop.around)
    assert {state for (role, _), state in states(loop).items() if role == "mail"} == {"delivered"}
    assert {state for (role, _), state in states(loop).items() if role == "chat"} == {"waiting"}

    loop.sandbox.faults.clear()
    loop.clock.ahead = timedelta(hours=1)
    watch(loop.around)
    assert {state for (_, phase), state in states(loop).items() if phase == "opened"} == {"delivered"}


def test_a_paused_chat_keeps_its_own_alert_and_not_the_mail_s(loop: SmallLoop) -> None:
    pause(loop.database, "destination:slack", Person("loop", "unauthorized"))
    watch(loop.around)

    assert kinds_open(loop) == {"destination_paused"}
    assert states(loop) == {("mail", "opened"): "delivered", ("chat", "opened"): "waiting"}


def test_an_incident_that_ends_before_anybody_was_told_is_not_told(loop: SmallLoop) -> None:
    pause(loop.database, "destination:slack", Person("ann", "maintenance"))
    tell(loop.around, [Condition(BROKEN_CHAIN, "audit trail", "1 finding")], FROM_TRAIL)
    tell(loop.around, [], FROM_TRAIL)

    assert states(loop) == {
        ("mail", "opened"): "delivered",
        ("mail", "resolved"): "delivered",
        ("chat", "opened"): "not_needed",
    }


def test_a_message_that_a_dead_run_had_sent_is_found_and_not_sent_twice(loop: SmallLoop) -> None:
    tell(loop.around, [Condition(BROKEN_CHAIN, "audit trail", "1 finding")], FROM_TRAIL)
    with loop.database.writing() as connection:  # as if the run had died before it could record the outcome
        connection.execute(update(alert_messages).values(state="sending", settled_at=None))
    tell(loop.around, [Condition(BROKEN_CHAIN, "audit trail", "1 finding")], FROM_TRAIL)
    assert set(states(loop).values()) == {"sending"}  # it may still be under way

    loop.clock.ahead = timedelta(hours=1)
    tell(loop.around, [Condition(BROKEN_CHAIN, "audit trail", "1 finding")], FROM_TRAIL)
    assert states(loop) == {("mail", "opened"): "unknown", ("chat", "opened"): "delivered"}
    assert len(told(loop, "slack")) == len(told(loop, "smtp")) == 1


def test_two_runs_at_once_send_a_message_once(loop: SmallLoop) -> None:
    pause(loop.database, "destination:slack", Person("ann", "maintenance"))
    pause(loop.database, "destination:email", Person("ann", "maintenance"))
    tell(loop.around, [Condition(BROKEN_CHAIN, "audit trail", "1 finding")], FROM_TRAIL)
    (message,) = loop.rows(alert_messages, role="chat")

    assert [intend(loop.database, message), intend(loop.database, message)] == [True, False]


def test_a_message_that_the_destination_refuses_is_dead_and_the_log_says_so(
    loop: SmallLoop, caplog: pytest.LogCaptureFixture
) -> None:
    loop.sandbox.faults.add(
        Fault(vendor="slack", operation="chat.postMessage", kind=FaultKind.VENDOR_ERROR, code="is_archived")
    )
    tell(loop.around, [Condition(BROKEN_CHAIN, "audit trail", "1 finding")], FROM_TRAIL)

    assert states(loop) == {("mail", "opened"): "delivered", ("chat", "opened"): "dead"}
    assert "could not be sent over chat" in caplog.text


def test_without_channels_incidents_are_kept_and_nothing_is_sent(sandbox: SandboxServer, tmp_path: Path) -> None:
    quiet = SmallLoop(sandbox, tmp_path)
    kill_one(quiet)
    watch(quiet.around)

    assert DEAD_LETTERS in kinds_open(quiet)
    assert quiet.rows(alert_messages) == []
    quiet.database.close()


def test_held_and_late_work_and_an_open_circuit_are_incidents(loop: SmallLoop) -> None:
    loop.sandbox.faults.add(Fault(vendor="hubspot", kind=FaultKind.STATUS, status=503))
    loop.flag("C1")
    for _ in range(8):
        loop.run()
        loop.clock.ahead += timedelta(minutes=30)
    with loop.database.writing() as connection:
        connection.execute(
            update(actions)
            .where(actions.c.step == "tell")
            .values(state="held", planned_at=loop.clock() - timedelta(days=9))
        )
    loop.sandbox.faults.clear()
    watch(loop.around)

    assert {"sla_breach", "held_too_long", "circuit_open"} <= kinds_open(loop)


def test_failed_checks_are_incidents_until_they_pass(loop: SmallLoop) -> None:
    watch(loop.around, [("actions/customer_churn_risk", "conservation")])
    assert kinds_open(loop) == {"failed_check"}
    watch(loop.around)  # nobody looked at checks
    assert kinds_open(loop) == {"failed_check"}
    watch(loop.around, [])
    assert kinds_open(loop) == set()


def test_a_touched_trail_is_one_incident() -> None:
    report = TrailReport(9, (), (Finding(3, "*", "edited"), Finding(5, "*", "edited")))
    (condition,) = trail_conditions(report)

    assert "2 finding(s), the first in row 3" in condition.summary
    assert trail_conditions(TrailReport(9, (), ())) == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_place_in_the_runbook(kind: str, loop: SmallLoop) -> None:
    headings = [
        line.lstrip("# ").lower() for line in RUNBOOK.read_text(encoding="utf-8").splitlines() if line[:1] == "#"
    ]
    anchors = {"".join(c for c in heading if c.isalnum() or c in " -").replace(" ", "-") for heading in headings}
    incident = Incident("i", kind, "subject", "summary", loop.clock())
    messages = composed(incident, "opened", AlertChannels("#c", "a@b.c", "https://example.com/runbook"))

    assert KINDS[kind][1] in anchors
    assert f"https://example.com/runbook#{KINDS[kind][1]}" in messages["mail"]["text"]
    assert messages["chat"]["links"]["What to do"].endswith(KINDS[kind][1])


def test_a_defect_of_a_connector_keeps_no_other_alert_from_going(
    loop: SmallLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> list[Outcome]:
        raise KeyError(Verdict.DELIVERED)

    monkeypatch.setattr(loop.bindings["chat"].connector, "call", broken)
    tell(loop.around, [Condition(BROKEN_CHAIN, "audit trail", "1 finding")], FROM_TRAIL)

    assert states(loop) == {("mail", "opened"): "delivered", ("chat", "opened"): "sending"}
