"""Says what another value of a threshold would do at the next build, signal by signal, for whoever decides on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from dagster_project.contracts.vocabulary import Kind
from dagster_project.detect.episodes import Foreseen
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import actions, builds
from dagster_project.preview.compiled_sql import PreviewFailed
from dagster_project.preview.looking_ahead import Preview, preview
from dagster_project.respond.action_run import Surroundings

NAMED = 50  # entities that are kept by name; all are counted
USUAL_BUILDS = 14  # that the expected volume is compared with
WORDS = {Kind.OPENED: "enter", Kind.ESCALATED: "rise", Kind.RESOLVED: "leave"}
ACTED = ("waiting", "held")


def change_of(around: Surroundings, name: str, value: Any, signals: Sequence[str]) -> dict[str, Any]:
    """What a threshold would change, by signal, as JSON: who enters, rises and leaves, which actions, and how many.

    Parameters: the surroundings; the threshold; the value that it would have; the signals to look at.
    Raises PreviewFailed or WarehouseUnavailable; nothing was written and nothing was sent.
    """
    found = {}
    for signal in signals:
        try:
            found[signal] = _of_signal(around.database, preview(around, signal, {name: value}, is_rendered=False))
        except PreviewFailed as error:
            raise PreviewFailed(f"{signal}: {error}") from error
    return found


def _of_signal(database: Database, seen: Preview) -> dict[str, Any]:
    kinds = {word: _some([one for one in seen.foreseen if one.kind is kind]) for kind, word in WORDS.items()}
    return {
        "flagged": seen.flagged,
        **kinds,
        "actions": _actions(seen),
        "volume": sum(not one.is_group and one.state.value in ACTED for one in seen.plan.actions),
        "usual": _usual(database, seen.signal),
        "held_whole": sorted(seen.plan.guards.values()),
        "notes": list(seen.notes),
    }


def _some(foreseen: Sequence[Foreseen]) -> dict[str, Any]:
    return {"count": len(foreseen), "some": [one.entity_id for one in foreseen[:NAMED]]}


def _actions(seen: Preview) -> list[dict[str, Any]]:
    counts = Counter(
        (one.step_index, one.step.name, one.step.operation, one.bound.destination, one.state.value, one.reason)
        for one in seen.plan.actions
        if not one.is_group
    )
    names = ("step", "operation", "destination", "state", "reason")
    return [{**dict(zip(names, key[1:], strict=True)), "count": count} for key, count in sorted(counts.items())]


def _usual(database: Database, signal: str) -> dict[str, Any]:
    """How many actions a build of this signal planned so far: how many builds were looked at, the mean, the most."""
    newest = (
        select(builds.c.build_id)
        .where(builds.c.signal == signal, builds.c.handling == "planned")
        .order_by(builds.c.build_no.desc())
        .limit(USUAL_BUILDS)
    )
    with database.reading() as connection:
        ids: Sequence[str] = connection.execute(newest).scalars().all()
        of_builds = (actions.c.build_id.in_(ids), actions.c.is_group.is_(False))
        rows = connection.execute(select(func.count()).where(*of_builds).group_by(actions.c.build_id)).scalars().all()
    return {"builds": len(ids), "mean": round(sum(rows) / len(ids)) if ids else 0, "most": max(rows, default=0)}


def in_words(told: str | Mapping[str, Any]) -> str:
    """One line on what a change would do to one signal; versions of before kept only such a line."""
    if isinstance(told, str):
        return told
    return (
        f"{told['flagged']} flagged, {told['enter']['count']} would enter, {told['rise']['count']} rise, "
        f"{told['leave']['count']} leave, {told['volume']} actions (a build so far: {told['usual']['mean']})"
    )
