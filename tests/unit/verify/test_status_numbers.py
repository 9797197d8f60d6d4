"""Status counts what there is, and says why the rest is not."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from audit_guards import without_guards
from unit.verify.small_ledger import SIGNAL, SmallLedger

from dagster_project.contracts.catalog import Problem, Quarantined
from dagster_project.contracts.destination import Verdict
from dagster_project.detect.warehouse_reading import UnreleasedBuild
from dagster_project.ledger.controls import Person, Selection, discard, pause
from dagster_project.ledger.held_builds import note_held_builds
from dagster_project.verify.alerting import ledger_conditions
from dagster_project.verify.conservation import prove
from dagster_project.verify.guarded import held_lines, read_guarded
from dagster_project.verify.status import LoopStatus, SignalStatus, read_status

ME = Person("me", "a test")


def status_of(ledger: SmallLedger) -> LoopStatus:
    with ledger.database.reading() as connection:
        return read_status(connection, ledger.catalog, ledger.now)


def churn(ledger: SmallLedger) -> SignalStatus:
    return next(signal for signal in status_of(ledger).signals if signal.signal == SIGNAL)


def test_an_empty_ledger_has_seen_nothing_and_is_well(ledger: SmallLedger) -> None:
    found = status_of(ledger)
    assert [s.signal for s in found.signals] == ["customer_churn_risk", "deal_won", "product_low_stock"]
    assert found.is_well
    assert (churn(ledger).flagged, churn(ledger).builds, churn(ledger).oldest_waiting) == (None, 0, None)
    assert churn(ledger).share_in_time == 1.0


def test_a_baseline_is_counted_and_not_acted_upon(ledger: SmallLedger) -> None:
    ledger.build(1, "a", "b", "c")
    found = churn(ledger)
    assert (found.flagged, found.builds, dict(found.events)) == (3, 1, {"opened": 3})
    assert dict(found.unplanned) == {"baseline": 3}
    assert dict(found.actions) == {}


def test_the_funnel_after_some_work(ledger: SmallLedger) -> None:
    ledger.build(1, "a")
    ledger.build(2, "b", "c")
    assert ledger.deliver("add_to_campaign", external_id="7", url="http://crm/7") == 2
    assert ledger.deliver("assign_task", Verdict.REJECTED, reason="refused", detail="no such owner") == 2
    ledger.now += timedelta(hours=1)
    found = churn(ledger)
    assert dict(found.events) == {"opened": 3}
    assert dict(found.unplanned) == {"baseline": 1}
    assert dict(found.actions) == {"delivered": 2, "dead": 2, "waiting": 2}
    assert dict(found.reasons["dead"]) == {"refused": 2}
    assert found.oldest_waiting is not None
    assert found.oldest_waiting > timedelta(hours=1)
    assert not status_of(ledger).is_well


def test_what_was_discarded_keeps_its_reason(ledger: SmallLedger) -> None:
    ledger.build(1)
    ledger.build(2, "b")
    assert discard(ledger.database, Selection(signal=SIGNAL), ME) == 3
    assert dict(churn(ledger).reasons["suppressed"]) == {"discarded": 3}
    assert read_guarded(ledger.database) == [f"{SIGNAL}: 3 suppressed by discarded"]


def test_a_wave_beyond_the_guard_is_held_and_told(ledger: SmallLedger) -> None:
    ledger.build(1)
    ledger.build(2, *(f"c{i}" for i in range(501)))
    assert dict(churn(ledger).reasons["held"]) == {"volume_guard": 3 * 501}
    lines = list(held_lines(ledger.database, ledger.catalog))
    assert len(lines) == 3 * 501
    assert "volume_guard. 501 opened in one build, the guard lets 500 pass" in lines[0]


def test_a_request_that_is_held_is_shown_without_what_is_personal(ledger: SmallLedger) -> None:
    ledger.build(1)
    ledger.build(2, "b")
    ledger.deliver("add_to_campaign", Verdict.UNKNOWN, reason="reply_lost")
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("update actions set state = 'held', reason = 'x' where step = 'add_to_campaign'")
    hidden = "\n".join(held_lines(ledger.database, ledger.catalog))
    assert "would send add_to_campaign: (holds personal data; --show-personal-data shows it)" in hidden
    assert "ada@example.com" not in hidden
    assert "ada@example.com" in "\n".join(held_lines(ledger.database, ledger.catalog, shows_personal_data=True))
    unknown = ledger.catalog.model_copy(update={"signals": {}})
    assert "ada@example.com" not in "\n".join(held_lines(ledger.database, unknown))


def test_builds_that_the_warehouse_holds_are_told_until_one_is_released(ledger: SmallLedger) -> None:
    held = [UnreleasedBuild(no, "test failed: not_null_reason", ledger.now) for no in (6, 7, 11)]
    note_held_builds(ledger.database, SIGNAL, held)
    seen_at, ledger.now = ledger.now, ledger.now + timedelta(minutes=5)
    note_held_builds(ledger.database, SIGNAL, held)
    told = f"builds 6 to 11 are held: test failed: not_null_reason (seen {seen_at:%Y-%m-%d %H:%M} UTC)"
    assert churn(ledger).held_builds == told
    assert not status_of(ledger).is_well
    wrong = {(one.kind, one.subject, one.summary) for one in ledger_conditions(ledger.database, ledger.catalog)}
    assert ("builds_held", SIGNAL, told) in wrong

    note_held_builds(ledger.database, SIGNAL, [])
    assert churn(ledger).held_builds == ""
    assert status_of(ledger).is_well


def test_a_build_counts_as_left_untested_only_after_an_hour(ledger: SmallLedger) -> None:
    built = [UnreleasedBuild(2, "", ledger.now)]
    note_held_builds(ledger.database, SIGNAL, built)
    assert churn(ledger).held_builds == ""
    ledger.now += timedelta(hours=1)
    note_held_builds(ledger.database, SIGNAL, built)
    assert churn(ledger).held_builds.startswith("build 2 is held: its tests have not run")


def test_pauses_and_quarantine_are_no_state_to_leave_alone(ledger: SmallLedger) -> None:
    pause(ledger.database, f"signal:{SIGNAL}", ME)
    found = status_of(ledger)
    assert found.paused == {f"signal:{SIGNAL}": f"by me at {ledger.now:%Y-%m-%d %H:%M} UTC: a test"}
    assert not found.is_well
    broken = Quarantined(name="x", problems=(Problem(file="x.yml", line=2, message="no owner"),))
    ledger.catalog = ledger.catalog.model_copy(update={"quarantined": {"x": broken}})
    assert status_of(ledger).quarantined == {"x": ("x.yml:2: no owner",)}


def test_work_that_is_late_breaks_the_promise(ledger: SmallLedger) -> None:
    ledger.build(1)
    ledger.build(2, "b")
    ledger.now += timedelta(hours=3)
    assert churn(ledger).is_sla_kept
    ledger.now += timedelta(hours=2)
    assert not churn(ledger).is_sla_kept
    assert churn(ledger).share_in_time == 0.0


def test_all_of_it_can_be_written_as_json(ledger: SmallLedger) -> None:
    ledger.build(1)
    ledger.build(2, "b")
    written = json.loads(json.dumps(status_of(ledger).as_json(), default=str))
    assert written["signals"][0]["actions"] == {"waiting": 3}
    assert written["is_well"] is True


@pytest.mark.parametrize("signal", [None, SIGNAL])
def test_every_law_holds_on_what_the_loop_did(ledger: SmallLedger, signal: str | None) -> None:
    ledger.build(1, "a")
    ledger.build(2, "b", "c")
    ledger.deliver("add_to_campaign", external_id="7")
    ledger.deliver("assign_task", Verdict.REJECTED, reason="refused")
    with ledger.database.reading() as connection:
        proofs = prove(connection, signal)
    assert all(proof.holds for proof in proofs), [proof for proof in proofs if not proof.holds]
    assert sum(proof.checked for proof in proofs) > 10


@pytest.mark.parametrize(
    ("statement", "law"),
    [
        ("delete from events where event_id = 'build-2-b'", "a build's counts equal"),
        ("update events set reason = '' where event_id = 'build-1-a'", "every event has its actions"),
        ("update events set reason = 'x' where event_id = 'build-2-b'", "every event has its actions"),
        ("update actions set state = 'held', reason = 'x' where step = 'alert_team'", "stored states equal"),
        ("delete from audit where verb = 'planned'", "stored states equal"),
        ("update audit set to_state = 'dead' where verb = 'planned'", "stored states equal"),
        ("delete from attempts", "every delivery has its"),
        ("update actions set reason = '' where state = 'dead'", "whatever is suppressed, held or dead"),
    ],
)
def test_a_broken_count_breaks_its_law_and_names_the_row(ledger: SmallLedger, statement: str, law: str) -> None:
    ledger.build(1, "a")
    ledger.build(2, "b")
    ledger.deliver("add_to_campaign", external_id="7")
    ledger.deliver("assign_task", Verdict.REJECTED, reason="refused")
    with ledger.database.writing() as connection:
        without_guards(connection)
        connection.exec_driver_sql(statement)
    with ledger.database.reading() as connection:
        broken = {proof.law: proof.examples for proof in prove(connection) if not proof.holds}
    named = next((examples for name, examples in broken.items() if name.startswith(law)), ())
    assert named, broken
