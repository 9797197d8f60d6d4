"""Thresholds: what holds, where it differs from the repository, who changed it, and what another value would do."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from dagster_project.console.criteria_history import Threshold, newest_changes, read_effects, read_thresholds
from dagster_project.console.previews import Busy
from dagster_project.console.rendering import page, told
from dagster_project.console.visit import BadForm, Visit
from dagster_project.contracts.roles import Right
from dagster_project.detect.warehouse_reading import WarehouseUnavailable
from dagster_project.ledger.criteria import CriteriaRefused, parsed, values_in_force
from dagster_project.ledger.stewardship import reach_of_threshold
from dagster_project.preview.compiled_sql import PreviewFailed

LONGEST_VALUE = 100
# What the newest deed to a version was, in words.
DEEDS = {
    "proposed": "proposed",
    "in_force": "put into force",
    "superseded": "put into force",
    "refused": "refused",
    "rolled_back": "taken back",
}


def show_all(visit: Visit) -> Response:
    with visit.desk.database.reading() as connection:
        found = read_thresholds(connection, visit.catalog, visit.seen_signals())
    return page(
        visit,
        "criteria.html",
        area="criteria",
        thresholds=sorted(found, key=lambda one: (not one.proposals, not one.is_drifted)),
        changes=newest_changes(found),
        by_name={one.name: one for one in found},
        deeds=DEEDS,
    )


def show_one(visit: Visit) -> Response:
    name = visit.path["threshold"]
    found = _threshold(visit, name)
    if found is None:
        return told(visit, "No such threshold", f"There is no threshold {name!r} that you may see.", 404)
    return _page(visit, found)


def _threshold(visit: Visit, name: str) -> Threshold | None:
    with visit.desk.database.reading() as connection:
        every = read_thresholds(connection, visit.catalog, visit.seen_signals())
    return next((one for one in every if one.name == name), None)


def _page(visit: Visit, found: Threshold, **more: Any) -> Response:
    with visit.desk.database.reading() as connection:
        effects = read_effects(connection, [name for name in found.readers if visit.sees(name)])
    return page(
        visit,
        "threshold.html",
        area="criteria",
        threshold=found,
        deeds=DEEDS,
        effects=effects,
        may_propose=found.is_known and may(visit, Right.EDIT_CRITERIA, found),
        may_accept=may(visit, Right.APPROVE, found),
        may_refuse=may(visit, Right.REJECT, found),
        is_alone=visit.member.is_unasked,
        **{"seen": None, **more},
    )


def may(visit: Visit, right: Right, found: Threshold) -> bool:
    """Whether the person has a right on all that a threshold decides on."""
    return visit.may(right, *found.readers) if found.readers else visit.may_everywhere(right)


def preview(visit: Visit) -> Response:
    """What another value would do, and the form that proposes it; nothing is written but the ticket kept in memory."""
    name, text = visit.given("name"), visit.given("value")[:LONGEST_VALUE]
    found = _threshold(visit, name)
    if found is None:
        raise BadForm(f"there is no threshold {name!r} that you may see. Nothing was changed.")
    visit.council.ask(visit.member, Right.EDIT_CRITERIA, reach_of_threshold(visit.council, found.readers), name)
    try:
        value = parsed(name, text, visit.catalog.thresholds)
        in_force = values_in_force(visit.desk.database)
        seen = visit.desk.previews.look(visit.member.name, name, value, found.readers, in_force, visit.at)
    except (CriteriaRefused, PreviewFailed) as error:
        raise BadForm(str(error)) from error
    except (WarehouseUnavailable, Busy) as error:
        return told(visit, "It cannot be looked at now", f"{error}", 503)
    return _page(visit, found, seen=seen)
