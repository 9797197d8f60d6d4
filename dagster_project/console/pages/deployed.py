"""Signals and playbooks as they are deployed: criteria, owner, promises, mode, steps; pauses, shadow and live."""

from __future__ import annotations

from sqlalchemy import select
from starlette.responses import Response

from dagster_project.console.criteria_history import read_thresholds
from dagster_project.console.lateness import explain_late
from dagster_project.console.pages.overview import card_of
from dagster_project.console.rendering import page, told
from dagster_project.console.step_graph import draw_steps, in_words
from dagster_project.console.visit import Visit
from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.contracts.roles import Right
from dagster_project.contracts.vocabulary import Kind
from dagster_project.ledger.gates import ALL
from dagster_project.ledger.modes import mode_of
from dagster_project.ledger.schema import destinations, modes, pauses

LONGEST_CRITERIA = 60_000


def show_all(visit: Visit) -> Response:
    catalog = visit.catalog
    with visit.desk.database.reading() as connection:
        paused = connection.execute(select(pauses).order_by(pauses.c.paused_at)).all()
        known = {row.destination: row for row in connection.execute(select(destinations))}
        in_force = {n: mode_of(connection, n, one.spec.mode).value for n, one in catalog.signals.items()}
    rows = [one for name, one in sorted(catalog.signals.items()) if visit.sees(name)]
    return page(
        visit,
        "signals.html",
        area="signals",
        rows=rows,
        modes=in_force,
        quarantined=catalog.quarantined if visit.seen_signals() is None else {},
        paused=[row for row in paused if _sees_pause(visit, row.subject)],
        paused_subjects={row.subject for row in paused},
        destinations=sorted(set(visit.desk.settings.bindings.values())),
        known=known,
        may_pause={one.name: visit.may(Right.PAUSE, one.name) for one in rows},
        may_pause_all=visit.may_everywhere(Right.PAUSE),
    )


def _sees_pause(visit: Visit, subject: str) -> bool:
    return not subject.startswith("signal:") or visit.sees(subject.removeprefix("signal:"))


def show_one(visit: Visit) -> Response:
    name = visit.path["name"]
    signal = visit.catalog.signals.get(name)
    if signal is None or not visit.sees(name):
        return told(visit, "No such signal", f"The catalog has no signal {name!r} that you may see.", 404)
    figures = {one.name: one for one in visit.desk.figures.current().signals}
    declared = {one: known.spec.mode for one, known in visit.catalog.signals.items()}
    with visit.desk.database.reading() as connection:
        late = explain_late(connection, figures[name].late if name in figures else (), declared, visit.at)
        decided = connection.execute(select(modes).where(modes.c.signal == name)).first()
        mode = mode_of(connection, name, signal.spec.mode)
        paused = connection.execute(select(pauses).where(pauses.c.subject.in_((ALL, f"signal:{name}")))).all()
        thresholds = read_thresholds(connection, visit.catalog, visit.seen_signals())
    return page(
        visit,
        "signal.html",
        area="signals",
        signal=signal,
        mode=mode.value,
        decided=decided,
        paused=paused,
        card=card_of(figures[name], visit.at) if name in figures else None,
        guards={kind.value: signal.spec.guard_for(kind) for kind in Kind},
        graph=draw_steps(signal.version.playbook, visit.desk.settings.bindings),
        graph_text=in_words(signal.version.playbook),
        version=signal.version.content_hash(),
        criteria=_criteria(visit, signal),
        late=late,
        late_elsewhere=[
            one for one in figures.values() if one.late_count and one.name != name and visit.sees(one.name)
        ],
        thresholds=[one for one in thresholds if name in one.readers],
        may_pause=visit.may(Right.PAUSE, name),
        may_go_live=visit.may(Right.GO_LIVE, name),
        may_go_shadow=visit.may(Right.GO_SHADOW, name),
    )


def _criteria(visit: Visit, signal: CatalogSignal) -> str:
    """The signal's SQL as it lies in the project; empty where it is not there any more."""
    root = visit.desk.settings.dbt_project_dir.resolve()
    file = (root / signal.sql_file).resolve()
    if not file.is_relative_to(root) or not file.is_file():
        return ""
    return file.read_text(encoding="utf-8")[:LONGEST_CRITERIA]
