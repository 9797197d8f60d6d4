"""What pages show of a ledger, what their forms do to it, and what they keep from whom."""

from __future__ import annotations

import re
from html import unescape

import pytest
from sqlalchemy import select
from unit.console.calling import Browser
from unit.console.conftest import SignIn
from unit.verify.small_ledger import SIGNAL, SmallLedger

from dagster_project.contracts.destination import ReasonFor, Verdict
from dagster_project.contracts.roles import Role
from dagster_project.ledger.controls import Person, Selection, replay
from dagster_project.ledger.schema import actions, audit
from dagster_project.verify.conservation import prove
from dagster_project.verify.explain import explain
from dagster_project.verify.status import read_status

FIRST_STEP = "add_to_campaign"
OWNER = "team:customer-success"


def state_of(ledger: SmallLedger, action_id: str) -> str:
    with ledger.database.reading() as connection:
        return connection.execute(select(actions.c.state).where(actions.c.action_id == action_id)).scalar_one()


def ids_in(ledger: SmallLedger, state: str) -> list[str]:
    with ledger.database.reading() as connection:
        return list(connection.execute(select(actions.c.action_id).where(actions.c.state == state)).scalars())


def with_dead(ledger: SmallLedger, *entities: str) -> None:
    ledger.build(1)
    ledger.build(2, *entities)
    ledger.deliver(FIRST_STEP, Verdict.REJECTED, reason=ReasonFor.NOT_FOUND, detail="no such contact")


def with_held(ledger: SmallLedger, count: int = 501) -> None:
    """A wave beyond the guard of 500."""
    ledger.build(1)
    ledger.build(2, *(f"c{number:04}" for number in range(count)))


def audited(ledger: SmallLedger, verb: str) -> list[tuple[str, str]]:
    with ledger.database.reading() as connection:
        query = select(audit.c.actor, audit.c.detail).where(audit.c.verb == verb).order_by(audit.c.seq)
        return [(row.actor, row.detail) for row in connection.execute(query)]


def test_the_overview_says_what_status_says(ledger: SmallLedger, developer: Browser) -> None:
    ledger.build(1)
    assert "no build yet" in developer.get("/").text  # of the other two signals
    with_dead_page = developer.get("/").text
    assert "<b>0</b> dead" in with_dead_page
    ledger.build(2, "c1", "c2")
    ledger.deliver(FIRST_STEP, Verdict.REJECTED, reason=ReasonFor.NOT_FOUND, detail="gone")
    with ledger.database.reading() as connection:
        status = next(s for s in read_status(connection, ledger.catalog, ledger.now).signals if s.signal == SIGNAL)
    shown = developer.get("/").text
    assert not status.is_sla_kept
    assert f"<b>{status.actions['dead']}</b> dead" in shown
    assert f'href="/queues/dead?signal={SIGNAL}"' in shown
    assert "late or failed" in shown
    assert 'class="verdict bad"' in shown


def test_a_story_is_what_explain_tells(ledger: SmallLedger, developer: Browser) -> None:
    with_dead(ledger, "c1")
    with ledger.database.reading() as connection:
        lines = explain(connection, ledger.catalog, "c1")
    shown = unescape(re.sub(r"<[^>]+>", "", developer.get("/story/c1").text))
    assert lines
    for line in lines:
        assert line.text in shown
    assert developer.get("/story/nobody").status == 404


def test_runs_and_records_are_linked(ledger: SmallLedger, developer: Browser) -> None:
    ledger.build(1)
    ledger.build(2, "c1")
    ledger.deliver(FIRST_STEP, external_id="77", url="https://crm.example/77")
    shown = developer.get("/story/c1").text
    assert f'href="http://127.0.0.1:3000/runs/run-{FIRST_STEP}"' in shown
    assert 'href="https://crm.example/77"' in shown


def test_an_address_that_is_no_web_address_is_no_link(ledger: SmallLedger, developer: Browser) -> None:
    ledger.build(1)
    ledger.build(2, "<script>alert(1)</script>")
    ledger.deliver(FIRST_STEP, external_id="77", url="javascript:alert(1)")
    shown = developer.get("/story/build-2-%3Cscript%3Ealert(1)%3C/script%3E").text
    assert 'href="javascript' not in shown
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize("wanted", ["c1", "build-2-c1", "the action", "77"])
def test_search_finds_by_entity_event_key_and_external_id(ledger: SmallLedger, developer: Browser, wanted: str) -> None:
    ledger.build(1)
    ledger.build(2, "c1", "c2")
    ledger.deliver(FIRST_STEP, external_id="77")
    with ledger.database.reading() as connection:
        query = select(actions.c.action_id).where(actions.c.entity_id == "c1", actions.c.step == FIRST_STEP)
        action_id = connection.execute(query).scalar_one()
    answer = developer.get(f"/search?q={action_id if wanted == 'the action' else wanted}")
    if wanted == "77":
        assert answer.text.count("by external id") == 2
    else:
        assert answer.status == 303
        assert developer.get(answer.header("location")).status == 200


def test_search_suggests_what_begins_so(ledger: SmallLedger, developer: Browser) -> None:
    ledger.build(1)
    ledger.build(2, "c10", "c11", "d1", "C1")
    shown = developer.get("/search?q=c1").text
    assert ">c10<" in shown and ">c11<" in shown and ">d1<" not in shown and ">C1<" not in shown
    assert "Nothing for" in developer.get("/search?q=%25").text


def test_dead_work_is_replayed_one_some_and_all_of_a_cause(ledger: SmallLedger, developer: Browser) -> None:
    with_dead(ledger, "c1", "c2", "c3", "c4")
    dead = ids_in(ledger, "dead")
    shown = developer.get("/queues/dead").text
    assert "not_found" in shown and "no such contact" in shown
    assert developer.deed("/replay", id=dead[0]).status == 303
    assert developer.deed("/replay", id=dead[1:3]).status == 303
    assert ids_in(ledger, "dead") == [dead[3]]
    form = {"signal": SIGNAL, "reason": "not_found", "until": ledger.now.isoformat()}
    answer = developer.deed("/replay", **form)
    assert "replay%3A+1+actions" in answer.header("location")
    assert ids_in(ledger, "dead") == []
    assert ("dev", "a test") in audited(ledger, "replayed")


def test_all_of_a_cause_is_what_was_there_when_the_person_looked(ledger: SmallLedger, developer: Browser) -> None:
    with_dead(ledger, "c1")
    form = {"signal": SIGNAL, "reason": "not_found", "until": ledger.now.isoformat()}
    ledger.now = ledger.now.replace(hour=9)
    ledger.build(3, "c2")
    ledger.deliver(FIRST_STEP, Verdict.REJECTED, reason=ReasonFor.NOT_FOUND)
    assert len(ids_in(ledger, "dead")) == 2
    developer.deed("/replay", **form)
    assert len(ids_in(ledger, "dead")) == 1


def test_discarding_a_dead_cause_leaves_waiting_work_of_the_same_reason(
    ledger: SmallLedger, developer: Browser
) -> None:
    ledger.build(1)
    ledger.build(2, "c1")
    ledger.deliver(FIRST_STEP, Verdict.REJECTED, reason=ReasonFor.SERVER_ERROR)
    ledger.build(3, "c2")
    ledger.deliver(FIRST_STEP, Verdict.RETRY, reason=ReasonFor.SERVER_ERROR)
    (dead,) = ids_in(ledger, "dead")
    until = ledger.now.replace(hour=23).isoformat()
    developer.deed("/discard", signal=SIGNAL, reason="server_error", state="dead", until=until)
    assert state_of(ledger, dead) == "suppressed"
    with ledger.database.reading() as connection:
        retrying = select(actions.c.state).where(actions.c.reason == "server_error")
        assert connection.execute(retrying).scalars().all() == ["waiting"]


def test_a_held_wave_is_approved_whole_and_every_count_still_adds_up(ledger: SmallLedger, developer: Browser) -> None:
    with_held(ledger)
    held = len(ids_in(ledger, "held"))
    assert held >= 501
    review = developer.get(f"/review/approve?signal={SIGNAL}&reason=volume_guard")
    assert f"Approve {held:,}" in review.text
    assert "Not rendered yet" in review.text
    developer.deed("/approve", signal=SIGNAL, reason="volume_guard", until=ledger.now.replace(hour=9).isoformat())
    assert ids_in(ledger, "held") == []
    with ledger.database.reading() as connection:
        assert all(proof.holds for proof in prove(connection))


def test_paging_shows_every_row_once(ledger: SmallLedger, developer: Browser) -> None:
    with_held(ledger)
    path, seen = "/queues/held", []
    for _ in range(100):
        shown = developer.get(path).text
        seen += re.findall(r'name="id" value="([0-9a-f]+)"', shown)
        following = re.search(r'class="more" href="([^"]+)"', shown)
        if following is None:
            break
        path = unescape(following.group(1))
    assert sorted(seen) == sorted(ids_in(ledger, "held"))


@pytest.mark.parametrize("after", ["x", "W10=", "eyJhIjoxfQ==", "WzEsMiwzLDQsNV0="])
def test_a_made_up_page_is_the_first(ledger: SmallLedger, developer: Browser, after: str) -> None:
    with_dead(ledger, "c1")
    assert "c1" in developer.get(f"/queues/dead?after={after}").text


def test_four_eyes(ledger: SmallLedger, sign_in: SignIn) -> None:
    with_held(ledger)
    held = ids_in(ledger, "held")
    both = sign_in("ada", Role.OPERATOR, Role.APPROVER)
    with ledger.database.writing() as connection:
        entry = {"at": ledger.now, "actor": "ada", "verb": "replayed", "action_id": held[0], "reason": "", "detail": ""}
        connection.execute(audit.insert(), entry)
    review = both.get(f"/review/approve?id={held[0]}").text
    assert "another person has to approve it" in review and "Approve 1" not in review
    answer = both.deed("/approve", id=held[:2])
    assert answer.status == 403 and "four eyes" in answer.text
    assert state_of(ledger, held[0]) == "held" == state_of(ledger, held[1])
    assert ("ada", audited(ledger, "refused")[-1][1]) == audited(ledger, "refused")[-1]
    assert both.deed("/approve", id=held[1]).status == 303
    other = sign_in("bob", Role.APPROVER)
    assert other.deed("/approve", id=held[0]).status == 303
    assert state_of(ledger, held[0]) == "waiting"


def test_personal_data_is_shown_to_those_who_decide_and_the_look_is_audited(
    ledger: SmallLedger, sign_in: SignIn
) -> None:
    with_dead(ledger, "c1")
    (dead,) = ids_in(ledger, "dead")
    with ledger.database.writing() as connection:  # as an unknown outcome leaves it: rendered, and held
        values = {"state": "held", "reason": "needs_approval", "step": "assign_task"}
        connection.execute(actions.update().where(actions.c.action_id == dead).values(**values))
    assert ledger.catalog.may_hold_personal_data(SIGNAL, "assign_task")
    for name, role, sees in (
        ("vera", Role.VIEWER, False),
        ("olga", Role.OPERATOR, False),
        ("abe", Role.APPROVER, True),
    ):
        shown = sign_in(name, role).get(f"/review/approve?id={dead}").text
        assert ("ada@example.com" in shown) is sees, name
        assert ("•••" in shown) is not sees, name
    assert audited(ledger, "looked") == [("abe", "before approve")]
    assert "ada@example.com" not in sign_in("abe2", Role.APPROVER).get("/story/c1").text


def test_who_is_confined_sees_and_does_only_their_own(ledger: SmallLedger, sign_in: SignIn) -> None:
    with_dead(ledger, "c1")
    (dead,) = ids_in(ledger, "dead")
    stranger = sign_in("sam", Role.OPERATOR, owners=("team:other",))
    for path in (
        "/",
        "/queues/dead",
        "/queues/waiting",
        "/search?q=c1",
        "/story/c1",
        "/signals",
        "/audit?who=everybody",
    ):
        assert SIGNAL not in stranger.get(path).text, path
    assert stranger.get(f"/signals/{SIGNAL}").status == 404
    assert stranger.deed("/replay", id=dead).status == 403
    assert stranger.deed("/pause", subject=f"signal:{SIGNAL}").status == 403
    assert state_of(ledger, dead) == "dead"
    own = sign_in("olga", Role.OPERATOR, owners=(OWNER,))
    assert SIGNAL in own.get("/queues/dead").text
    assert own.deed("/pause", subject="all").status == 403
    assert own.deed("/pause", subject="destination:hubspot").status == 403
    assert own.deed("/pause", subject=f"signal:{SIGNAL}").status == 303
    assert own.deed("/replay", id=dead).status == 303


def test_pause_resume_shadow_and_live(ledger: SmallLedger, developer: Browser) -> None:
    ledger.build(1)
    developer.deed("/pause", subject=f"signal:{SIGNAL}")
    assert "paused: signal:customer_churn_risk" in developer.get("/").text
    ledger.build(2, "c1")
    assert "paused" in developer.get("/queues/waiting?kind=due").text
    assert developer.deed("/resume", subject=f"signal:{SIGNAL}").status == 303
    assert developer.deed("/resume", subject=f"signal:{SIGNAL}").status == 404
    developer.deed("/go-shadow", signal=SIGNAL)
    assert "shadow" in developer.get(f"/signals/{SIGNAL}").text
    developer.deed("/go-live", signal=SIGNAL)
    assert ("dev", "a test") in audited(ledger, "decided")


def test_the_audit_trail_is_filtered(ledger: SmallLedger, developer: Browser) -> None:
    with_dead(ledger, "c1")
    replay(ledger.database, Selection(reason="not_found"), Person("olga", "mended"))
    developer.deed("/pause", subject="all")
    everything = developer.get("/audit?who=everybody").text
    people = developer.get("/audit").text
    assert "ingested" in everything and "run:" in everything
    assert "mended" in people and "run:" not in people.split("<tbody>")[1]
    assert "mended" not in developer.get("/audit?verb=paused").text
    assert "mended" in developer.get(f"/audit?actor=olga&signal={SIGNAL}").text
    assert developer.get("/audit?before=x&verb=%27").status == 200


def test_nonsense_in_an_address_is_no_failure(ledger: SmallLedger, developer: Browser) -> None:
    ledger.build(1)
    for path, status in (
        ("/queues/nonsense", 404), ("/review/nonsense", 404), ("/review/approve", 404), ("/signals/nonsense", 404),
        ("/queues/waiting?page=99999999999&kind=x", 200), ("/queues/held?signal=%00&reason=%27", 200),
        ("/search?q=" + "x" * 3000, 200), ("/audit?before=99999999999999999999", 200), ("/nowhere", 404),
    ):  # fmt: skip
        assert developer.get(path).status == status, path
