"""The console over a small ledger, and tokens for people of any role."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from starlette.applications import Starlette
from unit.contracts.prepared_project import prepared_project
from unit.verify.small_ledger import SIGNAL, SmallLedger

from dagster_project.console.application import build_application
from dagster_project.console.desk import open_desk
from dagster_project.console.exposure import Exposure
from dagster_project.console.previews import LookAhead, PreviewKeeper
from dagster_project.contracts.read_back import ReadBack, as_json
from dagster_project.contracts.roles import Role
from dagster_project.ledger.access import create_token, set_person
from dagster_project.ledger.samples import Sample, Verdict, file_sample


def application_on(
    ledger: SmallLedger, exposure: Exposure | None = None, look_ahead: LookAhead | None = None
) -> Starlette:
    desk = open_desk(prepared_project().settings, ledger.database, lambda: ledger.catalog, cheap_seconds=float("inf"))
    if look_ahead is not None:
        desk = replace(desk, previews=PreviewKeeper(look_ahead))
    return build_application(desk, exposure or Exposure("127.0.0.1", unasked_name="dev"))


def foreseen() -> dict[str, Any]:
    """What a change would do to one signal, as `change_of` tells it."""
    nobody: dict[str, Any] = {"count": 0, "some": []}
    return {
        "flagged": 5,
        "enter": {"count": 3, "some": ["c1", "c2", "c3"]},
        "rise": nobody,
        "leave": nobody,
        "actions": [
            {"step": "add_to_campaign", "operation": "add_to_campaign", "destination": "hubspot", "state": "waiting"}
            | {"reason": "", "count": 3}
        ],
        "volume": 3,
        "usual": {"builds": 2, "mean": 1, "most": 2},
        "held_whole": ["3 opened in one build"],
        "notes": ["models above are read as they were last built"],
    }


def file_sampled(
    ledger: SmallLedger, sample_id: str, action_id: str, verdict: str, findings: tuple[str, ...] = (), **values: Any
) -> None:
    """Files a sample of one record, as a drawing does."""
    row = {
        "action_id": action_id,
        "signal": SIGNAL,
        "step": "assign_task",
        "destination": "hubspot",
        "external_id": "x1",
        **values,
    }
    sample = Sample(sample_id, "daily", 5, ledger.now - timedelta(days=1), ledger.now, {})
    read = ReadBack(expected={"email": "ada@example.com"}, found={"email": "eve@example.com"})
    kept = Verdict(action_id, verdict, findings, True, as_json(read))
    file_sample(ledger.database, sample, [(cast(Any, SimpleNamespace(**row)), kept)])


def token_for(ledger: SmallLedger, name: str, *roles: Role, owners: tuple[str, ...] = ()) -> str:
    set_person(ledger.database, "root", [Role.ADMIN], (), "test")
    if name != "root":
        set_person(ledger.database, name, roles, owners, "test")
    return create_token(ledger.database, name, "", timedelta(days=2), "test")
