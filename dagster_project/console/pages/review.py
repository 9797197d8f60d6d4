"""The page before a deed: exactly what will be sent, tried again or ended, and the question why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row
from starlette.responses import Response

from dagster_project.console.queues import Filter, chosen_rows, read_causes, read_members, read_page, read_requests
from dagster_project.console.rendering import page, told
from dagster_project.console.visit import Visit
from dagster_project.console.wording import masked_request, pretty
from dagster_project.contracts.roles import Right
from dagster_project.ledger.controls import Selection
from dagster_project.ledger.governed import Lever, note_look, own_work
from dagster_project.ledger.retry_policy import UNKNOWN_OUTCOME

SHOWN = 20  # requests on one page
STATE_OF = {Lever.APPROVE: "held", Lever.REJECT: "held", Lever.REPLAY: "dead", Lever.DISCARD: "dead"}
TITLES = {
    Lever.APPROVE: "Let this be sent?",
    Lever.REJECT: "End this for good?",
    Lever.REPLAY: "Try this anew?",
    Lever.DISCARD: "End this for good?",
}
OFFERED = {
    Lever.APPROVE: (Lever.APPROVE, Lever.REJECT),
    Lever.REJECT: (Lever.REJECT,),
    Lever.REPLAY: (Lever.REPLAY,),
    Lever.DISCARD: (Lever.DISCARD,),
}


@dataclass(frozen=True)
class Shown:
    """One action or group as the person decides on it."""

    row: Row[Any]
    request: str | None  # None where nothing was rendered yet
    is_masked: bool
    members: Sequence[str]
    own_verb: str  # what the person has done to it themselves, which keeps them from approving it
    is_unknown: bool


def show(visit: Visit) -> Response:
    lever = next((one for one in Lever if one.value == visit.path["lever"]), None)
    if lever is None:
        return told(visit, "No such deed", f"There are: {', '.join(Lever)}.", 404)
    ids = tuple(visit.query.get("id", ()))
    with visit.desk.database.reading() as connection:
        rows, total = _rows(connection, visit, lever, ids)
        shown = _shown(connection, visit, lever, rows)
    if looked_at := [one.row.action_id for one in shown if _is_look(visit, one)]:
        note_look(visit.desk.database, visit.member, looked_at, f"before {lever}")
    signals = {row.signal for row in rows}
    offered = [one for one in OFFERED[lever] if visit.may(Right(one.value), *signals)]
    if any(one.own_verb for one in shown):
        offered = [one for one in offered if one is not Lever.APPROVE]
    return page(
        visit,
        "review.html",
        200 if rows else 404,
        area=STATE_OF[lever],
        lever=lever,
        title=TITLES[lever],
        shown=shown,
        total=total,
        ids=ids,
        cause=_cause_fields(visit) if not ids else {},
        offered=offered,
        back=visit.asked("back") or f"/queues/{STATE_OF[lever]}",
    )


def _rows(connection: Connection, visit: Visit, lever: Lever, ids: tuple[str, ...]) -> tuple[Sequence[Row[Any]], str]:
    """What is to be decided on, the first of it, and how much it is in all."""
    if ids:
        rows = chosen_rows(connection, ids, visit.seen_signals())
        return rows, f"{len(rows):,}"
    fields = _cause_fields(visit)
    if not fields["signal"] or not fields["reason"]:
        return (), "0"
    wanted = Filter(
        STATE_OF[lever], fields["signal"], fields["reason"], fields["destination"] or None, visit.seen_signals()
    )
    causes = read_causes(connection, wanted)
    more = "+" if any(cause.is_more for cause in causes) else ""
    return read_page(connection, wanted, limit=SHOWN).rows, f"{sum(cause.count for cause in causes):,}{more}"


def _cause_fields(visit: Visit) -> dict[str, str]:
    fields = {name: visit.asked(name) for name in ("signal", "reason", "destination")}
    return {**fields, "until": visit.at.isoformat(), "state": visit.asked("state")}


def _shown(connection: Connection, visit: Visit, lever: Lever, rows: Sequence[Row[Any]]) -> list[Shown]:
    first = rows[:SHOWN]
    ids = [row.action_id for row in first]
    requests = read_requests(connection, ids)
    members = read_members(connection, [row.action_id for row in first if row.is_group])
    own: Mapping[str, str] = {}
    if lever is Lever.APPROVE and ids:
        own = own_work(connection, visit.member, Selection(ids=tuple(row.action_id for row in rows)))
    return [_one(visit, lever, row, requests.get(row.action_id), members, own) for row in first]


def _one(
    visit: Visit,
    lever: Lever,
    row: Row[Any],
    request: str | None,
    members: Mapping[str, Sequence[str]],
    own: Mapping[str, str],
) -> Shown:
    decides = lever in (Lever.APPROVE, Lever.REJECT) and row.state == "held"
    may_see = decides and visit.may(Right.SEE_PERSONAL_DATA, row.signal)
    is_masked = request is not None and visit.catalog.may_hold_personal_data(row.signal, row.step) and not may_see
    text = None if request is None else masked_request(request) if is_masked else pretty(request)
    is_unknown = row.reason == UNKNOWN_OUTCOME
    return Shown(row, text, is_masked, members.get(row.action_id, ()), own.get(row.action_id, ""), is_unknown)


def _is_look(visit: Visit, one: Shown) -> bool:
    """Whether personal data was shown."""
    return (
        one.request is not None
        and not one.is_masked
        and visit.catalog.may_hold_personal_data(one.row.signal, one.row.step)
    )
