"""Thresholds and samples in the console: who proposes, who accepts, what is shown of a record, and to whom."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import select
from starlette.applications import Starlette
from unit.console.calling import Browser
from unit.console.conftest import SignIn
from unit.console.small_console import application_on, file_sampled, foreseen
from unit.verify.small_ledger import SIGNAL, SmallLedger

from dagster_project.contracts.roles import Role
from dagster_project.detect.warehouse_reading import WarehouseUnavailable
from dagster_project.ledger.controls import Person
from dagster_project.ledger.criteria import accept, propose, roll_back, values_in_force
from dagster_project.ledger.erasure import erase_entity
from dagster_project.ledger.schema import actions, audit, criteria, sampled_records

THRESHOLD = "churn_threshold"
ANN, BOB = Person("ann", "too many calls"), Person("bob", "agreed")
OWNER, OTHER = "team:customer-success", "team:purchasing"


def audited(ledger: SmallLedger, verb: str) -> list[str]:
    with ledger.database.reading() as connection:
        return list(
            connection.execute(select(audit.c.actor).where(audit.c.verb == verb).order_by(audit.c.seq)).scalars()
        )


def ticket_in(page: str) -> str:
    found = re.search(r'name="ticket" value="([0-9a-f]{32})"', page)
    assert found, "the page offers nothing to propose"
    return found.group(1)


@pytest.fixture
def application(ledger: SmallLedger) -> Starlette:
    """What a change would do is told beforehand; looking ahead for real takes a built warehouse (tests/e2e/console)."""
    return application_on(ledger, look_ahead=lambda name, value, signals: {one: foreseen() for one in signals})


def test_a_change_is_seen_proposed_accepted_by_another_and_taken_back(ledger: SmallLedger, sign_in: SignIn) -> None:
    eddie, abe = sign_in("eddie", Role.EDITOR), sign_in("abe", Role.APPROVER)
    seen = eddie.deed("/criteria-preview", name=THRESHOLD, value="0.8")
    assert "0.8 instead of 0.85" in seen.text and "<b>3</b> would enter" in seen.text
    assert values_in_force(ledger.database) == {}
    done = eddie.deed("/criteria-propose", ticket=ticket_in(seen.text), why="fewer calls")
    assert done.status == 303 and f"/criteria/{THRESHOLD}" in done.header("location")

    offered = abe.get(f"/criteria/{THRESHOLD}").text
    assert "Accept 0.8" in offered and "fewer calls" in offered and "<b>3</b> would enter" in offered
    assert "another value of churn_threshold waits" in abe.get("/").text
    assert abe.deed("/criteria-accept", name=THRESHOLD, number=1).status == 303
    assert values_in_force(ledger.database) == {THRESHOLD: 0.8}
    everywhere = abe.get("/criteria").text
    assert "differs" in everywhere and "put into force by <b>abe</b>" in everywhere
    assert '<span class="soft">0.85 to</span> <b>0.8</b>' in everywhere and "proposed by <b>eddie</b>" in everywhere
    assert "In force is 0.8 (version 1); the repository says 0.85" in abe.get(f"/criteria/{THRESHOLD}").text
    assert "by <b>abe</b>" in abe.get(f"/signals/{SIGNAL}").text

    assert abe.deed("/criteria-roll-back", name=THRESHOLD).status == 303
    assert values_in_force(ledger.database) == {}
    assert "Taken back by <b>abe</b>" in abe.get("/criteria").text


def test_each_change_says_from_what(ledger: SmallLedger, developer: Browser) -> None:
    for value in (0.8, 0.7):
        accept(ledger.database, THRESHOLD, propose(ledger.database, THRESHOLD, value, {}, ANN), BOB)
    propose(ledger.database, THRESHOLD, 0.75, {}, ANN)
    shown = developer.get("/criteria").text
    for before, after in ((0.85, 0.8), (0.8, 0.7), (0.7, 0.75)):
        assert f'<span class="soft">{before} to</span> <b>{after}</b>' in shown


def test_nobody_accepts_their_own_proposal(ledger: SmallLedger, sign_in: SignIn) -> None:
    both = sign_in("ada", Role.EDITOR, Role.APPROVER)
    number = propose(ledger.database, THRESHOLD, 0.8, {}, Person("Ada", "mine"))
    shown = both.get(f"/criteria/{THRESHOLD}").text
    assert "another person has to accept it" in shown and "Accept 0.8" not in shown
    answer = both.deed("/criteria-accept", name=THRESHOLD, number=number)
    assert answer.status == 403 and "four eyes" in answer.text
    assert audited(ledger, "refused") == ["ada"]
    assert values_in_force(ledger.database) == {}
    assert both.deed("/criteria-withdraw", name=THRESHOLD, number=number).status == 303


def test_where_nobody_signs_in_one_person_does_both(ledger: SmallLedger, developer: Browser) -> None:
    seen = developer.deed("/criteria-preview", name=THRESHOLD, value="0.8")
    developer.deed("/criteria-propose", ticket=ticket_in(seen.text))
    assert "Accept 0.8" in developer.get(f"/criteria/{THRESHOLD}").text
    assert developer.deed("/criteria-accept", name=THRESHOLD, number=1).status == 303
    assert values_in_force(ledger.database) == {THRESHOLD: 0.8}


def test_an_editor_takes_back_only_what_they_proposed(ledger: SmallLedger, sign_in: SignIn) -> None:
    number = propose(ledger.database, THRESHOLD, 0.8, {}, ANN)
    eddie = sign_in("eddie", Role.EDITOR)
    assert eddie.deed("/criteria-withdraw", name=THRESHOLD, number=number).status == 403
    assert sign_in("abe", Role.APPROVER).deed("/criteria-refuse", name=THRESHOLD, number=number).status == 303


@pytest.mark.parametrize("value", ["", "much", ".nan", ".inf", "[1]", "true"])
def test_what_is_no_such_value_is_told_and_not_proposed(ledger: SmallLedger, developer: Browser, value: str) -> None:
    answer = developer.deed("/criteria-preview", name=THRESHOLD, value=value)
    assert answer.status == 400 and "is not a number" in answer.text


def test_a_text_that_could_end_a_literal_is_refused(ledger: SmallLedger, developer: Browser) -> None:
    assert developer.deed("/criteria-preview", name="default_currency", value="USD").status == 200
    for value in ("USD' or 1=1 --", "a\\", 'x"y', "a" * 101):
        assert developer.deed("/criteria-preview", name="default_currency", value=value).status in (200, 400)
        assert values_in_force(ledger.database) == {}
    assert developer.deed("/criteria-preview", name="default_currency", value="USD' or 1=1 --").status == 400
    version = developer.deed("/criteria-preview", name="churn_scorecard_version", value="2")
    assert version.status == 200 and "2 instead of newest" in version.text


def test_what_was_seen_is_no_ticket_once_something_else_is_in_force(ledger: SmallLedger, developer: Browser) -> None:
    seen = developer.deed("/criteria-preview", name=THRESHOLD, value="0.8")
    accept(ledger.database, "churn_high", propose(ledger.database, "churn_high", 0.92, {}, ANN), BOB)
    answer = developer.deed("/criteria-propose", ticket=ticket_in(seen.text))
    assert answer.status == 400 and "look again" in answer.text


def test_another_person_s_ticket_proposes_nothing(ledger: SmallLedger, sign_in: SignIn) -> None:
    seen = sign_in("eddie", Role.EDITOR).deed("/criteria-preview", name=THRESHOLD, value="0.8")
    assert sign_in("erin", Role.EDITOR).deed("/criteria-propose", ticket=ticket_in(seen.text)).status == 400


def test_a_warehouse_that_is_away_is_told(ledger: SmallLedger) -> None:
    def away(_name: str, _value: Any, _signals: Sequence[str]) -> Mapping[str, Any]:
        raise WarehouseUnavailable("the warehouse is being written")

    developer = Browser(application_on(ledger, look_ahead=away))
    answer = developer.deed("/criteria-preview", name=THRESHOLD, value="0.8")
    assert answer.status == 503 and "the warehouse is being written" in answer.text


def test_a_proposal_from_before_another_change_says_that_it_is_old(ledger: SmallLedger, developer: Browser) -> None:
    propose(ledger.database, THRESHOLD, 0.8, {SIGNAL: "3 would enter"}, ANN)
    later = propose(ledger.database, THRESHOLD, 0.7, {}, ANN)
    accept(ledger.database, THRESHOLD, later, BOB)
    shown = developer.get(f"/criteria/{THRESHOLD}").text
    assert "3 would enter" in shown, "versions of before kept a line of text"
    assert "before bob changed what is in force" not in shown, "the clock of the test did not move"
    ledger.now = ledger.now.replace(hour=20)
    roll_back(ledger.database, THRESHOLD, BOB)
    assert "before bob changed what is in force" in developer.get(f"/criteria/{THRESHOLD}").text


def test_a_confined_person_sees_and_proposes_only_what_decides_on_theirs(ledger: SmallLedger, sign_in: SignIn) -> None:
    olga = sign_in("olga", Role.EDITOR, owners=(OTHER,))
    shown = olga.get("/criteria").text
    assert "assumed_lead_time_days" in shown and THRESHOLD not in shown
    assert olga.get(f"/criteria/{THRESHOLD}").status == 404
    assert olga.deed("/criteria-preview", name=THRESHOLD, value="0.8").status == 400
    shared = olga.deed("/criteria-preview", name="default_currency", value="USD")
    assert shared.status == 403, "it decides on another owner's signal too"
    assert olga.deed("/criteria-preview", name="assumed_lead_time_days", value="20").status == 200


def test_a_threshold_that_left_the_repository_is_shown_as_drift(ledger: SmallLedger, developer: Browser) -> None:
    accept(ledger.database, "old_limit", propose(ledger.database, "old_limit", 3, {}, ANN), BOB)
    assert "none any more" in developer.get("/criteria").text
    assert "nothing of it any more" in developer.get("/criteria/old_limit").text


def with_sample(ledger: SmallLedger) -> str:
    ledger.build(1)
    ledger.build(2, "c1", customer_name="Ada Lovelace")
    ledger.deliver("add_to_campaign")
    ledger.deliver("assign_task", external_id="x1", url="http://crm.example/x1")
    with ledger.database.reading() as connection:
        query = select(actions.c.action_id).where(actions.c.step == "assign_task")
        action_id: str = connection.execute(query).scalar_one()
    file_sampled(ledger, "s1", action_id, "mismatch", ("differs: email",))
    return action_id


def test_a_sample_shows_row_record_and_ledger_and_masks_by_role(ledger: SmallLedger, sign_in: SignIn) -> None:
    action_id = with_sample(ledger)
    path = f"/samples/s1/{action_id}"
    vera, abe = sign_in("vera", Role.VIEWER), sign_in("abe", Role.APPROVER)
    assert "Ada Lovelace" not in (hidden := vera.get(path).text)
    assert "eve@example.com" not in hidden and "ada@example.com" not in hidden and "•••" in hidden
    assert "differs" in hidden and "Your own verdict" not in hidden
    assert audited(ledger, "looked") == []
    shown = abe.get(path).text
    for told in ("Ada Lovelace", "ada@example.com", "eve@example.com", "http://crm.example/x1", "delivered"):
        assert told in shown, told
    assert audited(ledger, "looked") == ["abe"]
    assert "1 of the records read back is not as the loop wrote" in vera.get("/").text


def test_a_spot_check_is_kept_with_who_and_why_and_goes_before_the_loop_s(ledger: SmallLedger, sign_in: SignIn) -> None:
    action_id = with_sample(ledger)
    olga = sign_in("olga", Role.OPERATOR)
    form = {"sample": "s1", "action": action_id, "verdict": "match", "back": f"/samples/s1/{action_id}"}
    assert olga.deed("/samples-check", **form, why="the address is an alias").status == 303
    shown = olga.get(f"/samples/s1/{action_id}").text
    assert "<b>olga</b>" in shown and "the address is an alias" in shown
    assert "records read back" not in olga.get("/").text
    for verdict in ("unheard of", ""):
        assert olga.deed("/samples-check", **{**form, "verdict": verdict}).status == 400
    other = sign_in("paula", Role.OPERATOR, owners=(OTHER,))
    assert other.deed("/samples-check", **form).status == 403
    assert other.get(f"/samples/s1/{action_id}").status == 404


def test_samples_are_found_by_day_signal_verdict_and_who_checked(ledger: SmallLedger, developer: Browser) -> None:
    action_id = with_sample(ledger)
    for number in range(120):
        file_sampled(ledger, f"t{number:03}", f"a{number}", "match")
    with ledger.database.reading() as connection:
        day = connection.execute(select(sampled_records.c.checked_at).limit(1)).scalar_one().date()

    def listed(query: str) -> list[str]:
        path, found = f"/samples?{query}", []
        while path:
            text = developer.get(path).text
            found += re.findall(r'href="/samples/([^/"]+)/', text)
            more = re.search(r'class="more" href="([^"]+)"', text)
            path = more.group(1).replace("&amp;", "&") if more else ""
        return found

    assert len(listed("")) == len(set(listed(""))) == 121
    assert listed("verdict=mismatch") == ["s1"]
    assert len(listed(f"day={day}&signal={SIGNAL}")) == 121
    assert listed("day=2020-01-01") == [] == listed("signal=deal_won")
    assert listed("by=somebody") == []
    developer.deed("/samples-check", sample="s1", action=action_id, verdict="match")
    assert listed("by=somebody") == ["s1"] and len(listed("verdict=match")) == 121
    assert len(listed("day=nonsense&verdict=nonsense&by=nonsense&after=nonsense")) == 121


def test_what_was_read_back_is_erased_with_the_entity(ledger: SmallLedger, developer: Browser) -> None:
    action_id = with_sample(ledger)
    with ledger.database.reading() as connection:
        (event_id,) = connection.execute(select(actions.c.event_id).where(actions.c.action_id == action_id)).scalars()
    developer.deed("/samples-check", sample="s1", action=action_id, verdict="match", why="Ada says so")
    developer.deed("/discard", id=event_id, state="waiting")
    erase_entity(ledger.database, SIGNAL, "c1", ANN)
    shown = developer.get(f"/samples/s1/{action_id}").text
    assert "erased with the entity" in shown
    for told in ("ada@example.com", "eve@example.com", "Ada says so", "Ada Lovelace"):
        assert told not in shown, told


def test_a_proposal_keeps_what_its_author_saw(ledger: SmallLedger, developer: Browser) -> None:
    seen = developer.deed("/criteria-preview", name=THRESHOLD, value="0.8")
    developer.deed("/criteria-propose", ticket=ticket_in(seen.text), why="fewer")
    with ledger.database.reading() as connection:
        row = connection.execute(select(criteria)).one()
    assert '"enter": {"count": 3' in row.preview_json and row.proposed_by == "dev" and row.why == "fewer"
