"""Every route that the application has, called by every role: the right decides, on the server, and refusals stay."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.routing import Route
from unit.console.calling import Browser
from unit.console.conftest import SignIn
from unit.console.small_console import application_on, file_sampled
from unit.verify.small_ledger import SIGNAL, SmallLedger

from dagster_project.console.application import Guarded
from dagster_project.console.routes import ROUTES, Page
from dagster_project.contracts.roles import RIGHTS, Role
from dagster_project.ledger.controls import Person
from dagster_project.ledger.criteria import accept, propose
from dagster_project.ledger.schema import actions, audit, criteria, modes, pauses, sampled_records

OPEN = {("GET", "/sign-in"), ("POST", "/sign-in"), ("POST", "/sign-out"), ("GET", "/healthz"), ("GET", "/style.css"),
        ("GET", "/icon.svg")}  # fmt: skip
FILLED = {"{subject:path}": "c1", "{state}": "held", "{lever}": "approve", "{name}": SIGNAL,
          "{threshold}": "churn_threshold", "{sample}": "s1", "{action}": "a1"}  # fmt: skip


# Their forms in this test say what no page would have said; the right is asked for all the same.
REFUSED_FOR_WHAT_THEY_SAY = {"/criteria-preview", "/criteria-propose"}
TOUCHED = (actions, pauses, modes, criteria, sampled_records)
THRESHOLD, EDDIE = "churn_threshold", Person("eddie", "a test")


def routes_of(application: Starlette) -> list[Route]:
    routes = [route for route in application.routes if isinstance(route, Route)]
    assert len(routes) == len(application.routes), "a route of another kind would go unguarded and untested"
    return routes


def guarded_pages(application: Starlette) -> list[Page]:
    return [route.endpoint.page for route in routes_of(application) if isinstance(route.endpoint, Guarded)]


def path_of(page: Page) -> str:
    path = page.path
    for hole, value in FILLED.items():
        path = path.replace(hole, value)
    return path


def form_of(page: Page) -> dict[str, Any]:
    names = {"/pause": {"subject": f"signal:{SIGNAL}"}, "/resume": {"subject": f"signal:{SIGNAL}"}}
    names |= {"/go-live": {"signal": SIGNAL}, "/go-shadow": {"signal": SIGNAL}}
    names |= {"/criteria-preview": {"name": THRESHOLD, "value": "no number"}, "/criteria-propose": {"ticket": "none"}}
    names |= {
        "/criteria-accept": {"name": THRESHOLD, "number": 1},
        "/criteria-refuse": {"name": THRESHOLD, "number": 2},
    }
    names |= {"/criteria-withdraw": {"name": THRESHOLD, "number": 3}, "/criteria-roll-back": {"name": "churn_high"}}
    names |= {"/samples-check": {"sample": "s1", "action": "a1", "verdict": "match"}}
    return names.get(page.path, {"id": "no-such-action"})


def with_something_to_decide(ledger: SmallLedger, person: str) -> None:
    """Proposals of another person and one's own, a version in force, and a sampled record."""
    for proposer in ("eddie", "eddie", person):
        propose(ledger.database, THRESHOLD, 0.8, {}, Person(proposer, "a test"))
    accept(ledger.database, "churn_high", propose(ledger.database, "churn_high", 0.9, {}, EDDIE), Person("bob", "yes"))
    file_sampled(ledger, "s1", "a1", "match")


def test_every_route_is_guarded_or_known_to_be_open(application: Starlette) -> None:
    found = set()
    for route in routes_of(application):
        if isinstance(route.endpoint, Guarded):
            assert route.endpoint.page.path == route.path
            continue
        found |= {(method, route.path) for method in route.methods or () if method != "HEAD"}
    assert found == OPEN
    assert {page.path for page in guarded_pages(application)} == {page.path for page in ROUTES}


@pytest.mark.parametrize("role", Role)
def test_every_route_asks_for_its_right(role: Role, ledger: SmallLedger, sign_in: SignIn) -> None:
    ledger.build(1)
    ledger.build(2, "c1")
    browser = sign_in(f"the-{role}", role)
    with_something_to_decide(ledger, f"the-{role}")
    key = browser.form_key()
    for page in guarded_pages(browser.application):
        before = refusals(ledger)
        if page.is_deed:
            answer = browser.post(path_of(page), {"form_key": key, "why": "a test", **form_of(page)})
        else:
            answer = browser.get(path_of(page))
        if page.needs in RIGHTS[role]:
            wanted = (400,) if page.path in REFUSED_FOR_WHAT_THEY_SAY else (200, 303, 404)
            assert answer.status in wanted, f"{role} {page.path}: {answer.status}"
            assert refusals(ledger) == before
        else:
            assert answer.status == 403, f"{role} {page.path}: {answer.status}"
            assert "the attempt is in the audit trail" in answer.text
            assert refusals(ledger) == before + 1


def test_nobody_who_is_not_signed_in_gets_a_page_or_does_a_deed(ledger: SmallLedger, sign_in: SignIn) -> None:
    application = sign_in("root", Role.ADMIN).application
    for page in guarded_pages(application):
        stranger = Browser(application, address=f"10.0.0.{ROUTES.index(page)}")
        if page.is_deed:
            assert stranger.post(path_of(page), {"why": "x", **form_of(page)}).status == 401, page.path
        else:
            answer = stranger.get(path_of(page))
            assert (answer.status, answer.header("location")[:8]) == (303, "/sign-in"), page.path
        assert "c1" not in stranger.cookies


def test_what_was_refused_has_changed_nothing(ledger: SmallLedger, sign_in: SignIn) -> None:
    ledger.build(1)
    ledger.build(2, "c1")
    viewer = sign_in("vera", Role.VIEWER)
    with_something_to_decide(ledger, "vera")
    with ledger.database.reading() as connection:
        before = [connection.execute(select(table)).all() for table in TOUCHED]
        waiting = connection.execute(select(actions.c.action_id).where(actions.c.state == "waiting")).scalars().all()
    key = viewer.form_key()
    for path, form in (
        ("/pause", {"subject": "all"}), ("/go-shadow", {"signal": SIGNAL}), ("/discard", {"id": list(waiting)}),
        ("/approve", {"id": list(waiting)}), ("/replay", {"id": list(waiting)}),
        ("/criteria-accept", {"name": THRESHOLD, "number": 1}),
        ("/criteria-withdraw", {"name": THRESHOLD, "number": 3}),
        ("/criteria-roll-back", {"name": "churn_high"}),
        ("/samples-check", {"sample": "s1", "action": "a1", "verdict": "gone"}),
    ):  # fmt: skip
        assert viewer.post(path, {"form_key": key, "why": "mine", **form}).status == 403
    with ledger.database.reading() as connection:
        assert [connection.execute(select(table)).all() for table in TOUCHED] == before
        told = connection.execute(select(audit).where(audit.c.verb == "refused")).all()
    assert {row.actor for row in told} == {"vera"}
    rights = {"pause", "go_shadow", "discard", "approve", "replay", "edit_criteria", "check_samples"}
    assert {row.reason for row in told} == rights


def test_a_person_who_is_taken_out_is_out_at_once(ledger: SmallLedger, sign_in: SignIn) -> None:
    from dagster_project.ledger.access import remove_person

    browser = sign_in("olga", Role.OPERATOR)
    assert browser.get("/").status == 200
    assert remove_person(ledger.database, "olga", "root")
    assert browser.get("/").status == 303


def test_a_role_that_is_taken_away_is_gone_at_the_next_call(ledger: SmallLedger, sign_in: SignIn) -> None:
    from dagster_project.ledger.access import set_person

    browser = sign_in("olga", Role.OPERATOR)
    key = browser.form_key()
    set_person(ledger.database, "olga", [Role.VIEWER], (), "root")
    assert browser.post("/pause", {"form_key": key, "why": "x", "subject": "all"}).status == 403


def refusals(ledger: SmallLedger) -> int:
    with ledger.database.reading() as connection:
        query = select(func.count()).select_from(audit).where(audit.c.verb == "refused")
        return connection.execute(query).scalar_one()


def test_the_application_is_the_same_on_another_machine(ledger: SmallLedger) -> None:
    from dagster_project.console.exposure import Exposure

    elsewhere = application_on(ledger, Exposure("0.0.0.0"))
    assert Browser(elsewhere).get("/").status == 303, "without people it must not fall back to an admin"
