"""Every route that the application has, called by every role: the right decides, on the server, and refusals stay."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.routing import Route
from unit.console.calling import Browser
from unit.console.conftest import SignIn
from unit.console.small_console import application_on
from unit.verify.small_ledger import SIGNAL, SmallLedger

from dagster_project.console.application import Guarded
from dagster_project.console.routes import ROUTES, Page
from dagster_project.contracts.roles import RIGHTS, Role
from dagster_project.ledger.schema import actions, audit, modes, pauses

OPEN = {("GET", "/sign-in"), ("POST", "/sign-in"), ("POST", "/sign-out"), ("GET", "/healthz"), ("GET", "/style.css"),
        ("GET", "/icon.svg")}  # fmt: skip
FILLED = {"{subject:path}": "c1", "{state}": "held", "{lever}": "approve", "{name}": SIGNAL, "{threshold}": "churn_threshold",
          "{sample}": "s1", "{action}": "a1"}  # fmt: skip


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
    return names.get(page.path, {"id": "no-such-action"})


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
    key = browser.form_key()
    for page in guarded_pages(browser.application):
        before = refusals(ledger)
        if page.is_deed:
            answer = browser.post(path_of(page), {"form_key": key, "why": "a test", **form_of(page)})
        else:
            answer = browser.get(path_of(page))
        if page.needs in RIGHTS[role]:
            assert answer.status in (200, 303, 404), f"{role} {page.path}: {answer.status}"
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
    with ledger.database.reading() as connection:
        before = [connection.execute(select(table)).all() for table in (actions, pauses, modes)]
        waiting = connection.execute(select(actions.c.action_id).where(actions.c.state == "waiting")).scalars().all()
    key = viewer.form_key()
    for path, form in (
        ("/pause", {"subject": "all"}), ("/go-shadow", {"signal": SIGNAL}), ("/discard", {"id": list(waiting)}),
        ("/approve", {"id": list(waiting)}), ("/replay", {"id": list(waiting)}),
    ):  # fmt: skip
        assert viewer.post(path, {"form_key": key, "why": "mine", **form}).status == 403
    with ledger.database.reading() as connection:
        assert [connection.execute(select(table)).all() for table in (actions, pauses, modes)] == before
        told = connection.execute(select(audit).where(audit.c.verb == "refused")).all()
    assert {row.actor for row in told} == {"vera"}
    assert {row.reason for row in told} == {"pause", "go_shadow", "discard", "approve", "replay"}


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
