"""A console over a small ledger, and people who sign in to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from unit.console.calling import Browser
from unit.console.small_console import application_on, token_for
from unit.verify.small_ledger import SmallLedger

from dagster_project.contracts.roles import Role

SignIn = Callable[..., Browser]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SmallLedger]:
    small = SmallLedger(tmp_path)
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
