"""The audit trail with filters: who did what, when, why, and what was refused."""

from __future__ import annotations

from starlette.responses import Response

from dagster_project.console.audit_trail import TrailFilter, read_trail
from dagster_project.console.rendering import page
from dagster_project.console.visit import Visit
from dagster_project.contracts.vocabulary import AUDIT_VERBS

FIELDS = ("actor", "verb", "signal", "action_id")


def show(visit: Visit) -> Response:
    asked = {name: visit.asked(name)[:128] for name in FIELDS}
    is_by_people = visit.asked("who", "people") == "people"
    wanted = TrailFilter(**asked, is_by_people=is_by_people, seen=visit.seen_signals())
    before = visit.asked("before")
    with visit.desk.database.reading() as connection:
        found = read_trail(connection, wanted, int(before) if before.isdecimal() and len(before) < 19 else None)
    return page(
        visit,
        "audit.html",
        area="audit",
        rows=found.rows,
        before=found.before,
        is_cut=found.is_cut,
        asked={name: value for name, value in asked.items() if value},
        who="people" if is_by_people else "everybody",
        verbs=AUDIT_VERBS,
        signals=sorted(name for name in visit.catalog.signals if visit.sees(name)),
    )
