"""Keeps how many builds, events and actions there are in each state, so that nobody has to count a ledger of years.

Invariant: a count equals the rows that are in the ledger, for it moves in the transaction that moves the row. Writers
of one signal exclude each other already, and a count belongs to one signal, so nobody waits for a count. Whoever
deletes rows takes them off here with `add_counts`; `recount` says what the counts have to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal, select, union_all
from sqlalchemy.dialects import postgresql, sqlite

from dagster_project.ledger.schema import actions, builds, events, row_counts


class Subject(StrEnum):
    ACTION = "action"  # members of groups included, groups not
    GROUP = "group"
    EVENT = "event"
    BUILD = "build"


class Counted(NamedTuple):
    """What is counted together."""

    signal: str
    subject: Subject
    name: str  # of an action or group its step, of an event its kind, of a build how it was handled
    state: str = ""  # of actions and groups
    reason: str = ""  # of an action's state, or why an event was planned without any action


def counted_action(signal: str, step: str, is_group: bool, state: str, reason: str) -> Counted:
    return Counted(signal, Subject.GROUP if is_group else Subject.ACTION, step, state, reason)


def add_counts(connection: Connection, changes: Mapping[Counted, int]) -> None:
    """Adds to the counts, in one statement. Parameters: by how much each changes, below 0 for rows that are gone."""
    rows = [{**_columns(key), "row_count": change} for key, change in sorted(changes.items()) if change]
    if not rows:
        return
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    added = dialect.insert(row_counts)
    total = row_counts.c.row_count + added.excluded.row_count
    statement = added.on_conflict_do_update(index_elements=list(row_counts.primary_key), set_={"row_count": total})
    connection.execute(statement, rows)


def _columns(key: Counted) -> dict[str, str]:
    return {**key._asdict(), "subject": key.subject.value}


def read_counts(connection: Connection, signal: str | None = None) -> dict[Counted, int]:
    """The counts as they are kept, without what there is none of. Parameters: the signal, or None for all."""
    query = select(row_counts).where(row_counts.c.row_count != 0)
    if signal is not None:
        query = query.where(row_counts.c.signal == signal)
    return _as_counts(connection.execute(query))


def recount(connection: Connection, signal: str | None = None) -> dict[Counted, int]:
    """The counts as the rows say, which takes as long as there are rows. Parameters: the signal, or None for all."""
    subject = case((actions.c.is_group, Subject.GROUP.value), else_=Subject.ACTION.value)
    of_actions = _grouped(actions, [subject, actions.c.step, actions.c.state, actions.c.reason], signal)
    of_events = _grouped(events, [literal(Subject.EVENT.value), events.c.kind, literal(""), events.c.reason], signal)
    of_builds = _grouped(builds, [literal(Subject.BUILD.value), builds.c.handling, literal(""), literal("")], signal)
    return _as_counts(connection.execute(union_all(of_actions, of_events, of_builds)))


def _grouped(table: Any, parts: list[ColumnElement[str]], signal: str | None) -> Select[Any]:
    names = ("subject", "name", "state", "reason")
    columns = [table.c.signal, *(part.label(name) for part, name in zip(parts, names, strict=True))]
    some = select(*columns)
    some = some if signal is None else some.where(table.c.signal == signal)
    inner = some.subquery()
    return select(*inner.c, func.count().label("row_count")).group_by(*inner.c)


def _as_counts(rows: Iterable[Any]) -> dict[Counted, int]:
    return {Counted(row.signal, Subject(row.subject), row.name, row.state, row.reason): row.row_count for row in rows}
