"""Samples of records that were read back, and one of them beside what was flagged, what was sent, and the ledger."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import Row
from starlette.responses import Response

from dagster_project.console.rendering import page, told
from dagster_project.console.sample_trail import (
    CHECKED_BY,
    Compared,
    SampleFilter,
    compared,
    count_verdicts,
    read_record,
    read_samples,
)
from dagster_project.console.visit import Visit
from dagster_project.console.wording import MASK, masked_request, pretty
from dagster_project.contracts.catalog import masked
from dagster_project.contracts.roles import Right
from dagster_project.ledger.governed import note_look
from dagster_project.ledger.samples import VERDICTS, Drawn, drawn

MEANINGS = {
    "match": "as the loop wrote it",
    "changed": "differs, and was changed after the loop's last write",
    "mismatch": "differs, and nobody changed it since",
    "gone": "the destination has no such record any more",
    "unreadable": "cannot be read back",
}
BY_PERSON = tuple(name for name in VERDICTS if name != "unreadable")
MEMBERS_SHOWN = 20


def show_all(visit: Visit) -> Response:
    asked = {name: visit.asked(name)[:128] for name in ("signal", "verdict", "day", "by")}
    wanted = SampleFilter(
        signal=asked["signal"],
        verdict=asked["verdict"] if asked["verdict"] in VERDICTS else "",
        day=_day(asked["day"]),
        checked_by=asked["by"] if asked["by"] in CHECKED_BY else "",
        seen=visit.seen_signals(),
    )
    with visit.desk.database.reading() as connection:
        found = read_samples(connection, wanted, visit.asked("after"))
        counts = count_verdicts(connection, visit.at, visit.seen_signals())
    return page(
        visit,
        "samples.html",
        area="samples",
        rows=[(row, json.loads(row.findings_json)) for row in found.rows],
        following=found.following,
        asked={name: value for name, value in asked.items() if value},
        counts=counts,
        verdicts=MEANINGS,
        signals=sorted(name for name in visit.catalog.signals if visit.sees(name)),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class Shown:
    """One sampled record as the person may see it."""

    row: Row[Any]
    findings: Sequence[str]
    snapshots: Sequence[tuple[str, str]]  # entity, the row as it was when it was flagged
    request: str | None
    lines: Sequence[Compared]
    is_masked: bool
    is_look: bool  # personal data is shown
    drawn: Drawn | None  # None where the action is not in the ledger any more


def show_one(visit: Visit) -> Response:
    sample_id, action_id = visit.path["sample"], visit.path["action"]
    with visit.desk.database.reading() as connection:
        row = read_record(connection, sample_id, action_id)
        known = drawn(connection, [action_id]) if row is not None and visit.sees(row.signal) else []
    if row is None or not visit.sees(row.signal):
        return told(visit, "No such sample", "There is no such sampled record that you may see.", 404)
    shown = _shown(visit, row, known[0] if known else None)
    if shown.is_look:
        note_look(visit.desk.database, visit.member, [action_id], f"sample {sample_id}")
    read = json.loads(row.read_json) if row.read_json else {}
    return page(
        visit,
        "sample.html",
        area="samples",
        shown=shown,
        row=row,
        read=read,
        meaning=MEANINGS[row.verdict],
        meanings={name: MEANINGS[name] for name in BY_PERSON},
        members_shown=MEMBERS_SHOWN,
        may_check=visit.may(Right.CHECK_SAMPLES, row.signal),
    )


def _shown(visit: Visit, row: Row[Any], known: Drawn | None) -> Shown:
    may_see = visit.may(Right.SEE_PERSONAL_DATA, row.signal)
    is_personal = visit.catalog.may_hold_personal_data(row.signal, row.step)
    is_masked = is_personal and not may_see
    findings = json.loads(row.findings_json)
    lines = compared(row.read_json, findings)
    request = known.arguments_json if known is not None else None
    snapshots, has_pii = ([], False) if known is None else _snapshots(visit, row.signal, known.row_jsons, may_see)
    return Shown(
        row=row,
        findings=findings,
        snapshots=snapshots,
        request=None if request is None else masked_request(request) if is_masked else pretty(request),
        lines=[_masked_line(line) for line in lines] if is_masked else lines,
        is_masked=is_masked,
        is_look=may_see and ((is_personal and (bool(lines) or request is not None)) or has_pii),
        drawn=known,
    )


def _snapshots(
    visit: Visit, signal: str, rows: Sequence[tuple[str, str]], may_see: bool
) -> tuple[list[tuple[str, str]], bool]:
    """Rows as they were flagged, and whether there are personal columns among them; of a signal that is gone any is."""
    known = visit.catalog.signals.get(signal)
    found, has_pii = [], False
    for entity, text in rows[:MEMBERS_SHOWN]:
        content = json.loads(text)
        pii = (known.pii_columns if known is not None else frozenset(content) - {"entity_id"}) & frozenset(content)
        has_pii = has_pii or bool(pii)
        shown = masked(content, frozenset() if may_see else pii)
        found.append((entity, json.dumps(shown, indent=2, ensure_ascii=False)))
    return found, has_pii


def _masked_line(line: Compared) -> Compared:
    return replace(line, written=None if line.written is None else MASK, found=None if line.found is None else MASK)
