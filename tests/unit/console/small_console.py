"""The console over a small ledger, and tokens for people of any role."""

from __future__ import annotations

from datetime import timedelta

from starlette.applications import Starlette
from unit.contracts.prepared_project import prepared_project
from unit.verify.small_ledger import SmallLedger

from dagster_project.console.application import build_application
from dagster_project.console.desk import open_desk
from dagster_project.console.exposure import Exposure
from dagster_project.contracts.roles import Role
from dagster_project.ledger.access import create_token, set_person


def application_on(ledger: SmallLedger, exposure: Exposure | None = None) -> Starlette:
    desk = open_desk(prepared_project().settings, ledger.database, lambda: ledger.catalog, cheap_seconds=float("inf"))
    return build_application(desk, exposure or Exposure("127.0.0.1", unasked_name="dev"))


def token_for(ledger: SmallLedger, name: str, *roles: Role, owners: tuple[str, ...] = ()) -> str:
    set_person(ledger.database, "root", [Role.ADMIN], (), "test")
    if name != "root":
        set_person(ledger.database, name, roles, owners, "test")
    return create_token(ledger.database, name, "", timedelta(days=2), "test")
