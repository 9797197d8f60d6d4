"""A console over a small ledger, and people who sign in to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_ledger import emptied_postgres
from postgres_server import PostgresServer
from starlette.applications import Starlette
from unit.console.calling import Browser
from unit.console.small_console import application_on, token_for
from unit.verify.small_ledger import SmallLedger

from dagster_project.contracts.roles import Role
from dagster_project.ledger.database import open_database

SignIn = Callable[..., Browser]


@pytest.fixture(scope="session")
def postgres_console_url(postgres_server: PostgresServer) -> str:
    """One migrated ledger a session; `ledger` empties it for each test."""
    url = postgres_server.url(postgres_server.fresh_database("console"))
    open_database(url).close()
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallLedger]:
    """On PostgreSQL only where there is time for it, save for the tests that ask for it by name."""
    if request.param == "sqlite":
        small = SmallLedger(tmp_path)
    else:
        url = request.getfixturevalue("postgres_console_url")
        small = SmallLedger(tmp_path, lambda clock: emptied_postgres(url, clock))
    yield small
    small.database.close()


@pytest.fixture
def application(ledger: SmallLedger) -> Starlette:
    return application_on(ledger)


@pytest.fixture
def developer(application: Starlette) -> Browser:
    """Whoever sits at a machine where nobody has to sign in."""
    return Browser(application)


@pytest.fixture
def sign_in(ledger: SmallLedger, application: Starlette) -> SignIn:
    """A browser in which a person of these roles has signed in."""

    def begin(name: str, *roles: Role, owners: tuple[str, ...] = ()) -> Browser:
        browser = Browser(application)
        answer = browser.post("/sign-in", {"token": token_for(ledger, name, *roles, owners=owners), "to": "/"})
        assert answer.status == 303
        return browser

    return begin
