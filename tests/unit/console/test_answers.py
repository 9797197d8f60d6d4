"""The questions people come with: why one got nothing, and which work is late and why."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from unit.console.calling import Browser
from unit.verify.small_ledger import SIGNAL, SmallLedger

from dagster_project.contracts.destination import ReasonFor, Verdict
from dagster_project.ledger.controls import Person, Selection, approve, pause
from dagster_project.ledger.schema import attempts

STEPS = ("add_to_campaign", "assign_task", "alert_team")
FIRST_STEP = STEPS[0]
PROMISED = timedelta(hours=4)  # act_within of the signal


def late_row(developer: Browser, entity: str) -> str:
    """What the signal's page says of one late entity."""
    page = developer.get(f"/signals/{SIGNAL}").text
    rows = page.partition('id="late"')[2].partition("</table>")[0].split("<tr>")
    return next(row for row in rows if f">{entity}</a>" in row)


def deliver_all(ledger: SmallLedger) -> None:
    while sum(ledger.deliver(step) for step in STEPS):
        pass


def test_why_somebody_got_nothing_is_one_sentence(ledger: SmallLedger, developer: Browser) -> None:
    ledger.build(1, "c0")
    ledger.build(2, "c1", "c2")
    ledger.deliver(FIRST_STEP, Verdict.REJECTED, reason=ReasonFor.NOT_FOUND, detail="no such contact")
    baseline = developer.get("/story/c0").text
    assert "Nothing was planned: baseline, the signal&#39;s first build is not acted upon" in baseline
    dead = developer.get("/story/c1").text
    assert f"{FIRST_STEP} is dead (not_found, the destination has no such record)" in dead
    nobody = developer.get("/search?q=c99").text
    assert "No signal that you may see has ever flagged an entity of that name" in nobody
    assert 'href="/criteria"' in nobody


def test_a_story_leads_to_the_run_and_to_the_record(ledger: SmallLedger, developer: Browser) -> None:
    ledger.build(1)
    ledger.build(2, "c1")
    ledger.deliver(FIRST_STEP, external_id="x1", url="http://crm.example/x1")
    shown = developer.get("/story/c1").text
    with ledger.database.reading() as connection:
        run_id = connection.execute(select(attempts.c.run_id)).scalars().first()
    assert f'href="http://127.0.0.1:3000/runs/{run_id}"' in shown
    assert 'href="http://crm.example/x1"' in shown
    assert f"{FIRST_STEP} was done" in shown


def test_late_work_says_what_stands_in_its_way(ledger: SmallLedger, developer: Browser) -> None:
    ledger.build(1)
    ledger.build(2, "dead")
    ledger.deliver(FIRST_STEP, Verdict.REJECTED, reason=ReasonFor.NOT_FOUND, detail="no such contact")
    ledger.build(3, "again")
    ledger.deliver(FIRST_STEP, Verdict.RETRY, reason=ReasonFor.SERVER_ERROR, detail="502")
    ledger.now += PROMISED + timedelta(minutes=5)
    assert f"<b>{FIRST_STEP}</b> is dead: not_found" in late_row(developer, "dead")
    assert "due: the next run takes it (server_error, the destination failed)" in late_row(developer, "again")
    pause(ledger.database, f"signal:{SIGNAL}", Person("ada", "x"))
    assert f"<b>{FIRST_STEP}</b> paused" in late_row(developer, "again")
    assert "2 late or failed: why" in developer.get("/").text


def test_work_that_a_paused_destination_keeps_says_who_paused_it_and_why(
    ledger: SmallLedger, developer: Browser
) -> None:
    ledger.build(1)
    ledger.build(2, "c1")
    pause(ledger.database, "destination:hubspot", Person("ada", "maintenance"))
    ledger.now += PROMISED + timedelta(minutes=5)
    assert f"<b>{FIRST_STEP}</b> hubspot is paused by ada: maintenance" in late_row(developer, "c1")
    assert "hubspot is paused by ada: maintenance" in developer.get("/queues/waiting?kind=due").text


def test_the_page_of_another_signal_leads_on_to_what_is_late_here(ledger: SmallLedger, developer: Browser) -> None:
    ledger.build(1)
    ledger.build(2, "c1")
    link = f'<a href="/signals/{SIGNAL}#late">1 late or failed of {SIGNAL}</a>'
    assert link not in developer.get("/signals/deal_won").text
    ledger.now += PROMISED + timedelta(minutes=5)
    assert link in developer.get("/signals/deal_won").text
    assert link not in developer.get(f"/signals/{SIGNAL}").text


def test_work_that_was_done_late_says_what_took_so_long(ledger: SmallLedger, developer: Browser) -> None:
    ledger.build(1)
    ledger.build(2, "slow")
    ledger.deliver(FIRST_STEP, Verdict.RETRY, reason=ReasonFor.SERVER_ERROR, detail="502")
    ledger.now += PROMISED + timedelta(minutes=5)
    deliver_all(ledger)
    row = late_row(developer, "slow")
    assert "done, late" in row
    assert f"<b>{FIRST_STEP}</b> needed 2 attempts; failed: 1 by server_error" in row


def test_a_wave_that_waited_for_a_person_says_so(ledger: SmallLedger, developer: Browser) -> None:
    ledger.build(1)
    ledger.build(2, *(f"c{number:03}" for number in range(501)))
    ledger.now += PROMISED + timedelta(hours=1)
    assert "waits for a person: volume_guard" in late_row(developer, "c000")
    approve(ledger.database, Selection(signal=SIGNAL), Person("ada", "yes"))
    deliver_all(ledger)
    assert "was held for 5 h until a person decided" in developer.get(f"/signals/{SIGNAL}").text
