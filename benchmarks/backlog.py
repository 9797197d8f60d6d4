"""Makes a backlog large: one build that was really taken in, its events and actions copied by SQL many times over."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Table, func, insert, select, text, true
from sqlalchemy.sql.expression import ColumnElement
from workloads import SIGNAL, fill

from dagster_project.ledger.schema import actions, events
from dagster_project.respond.action_run import Surroundings

_OWN = frozenset(
    {"action_id", "event_id", "entity_id"}
)  # what differs between copies; new columns are copied as they are


def grow_to(around: Surroundings, waiting: int, build_no: int, taken_in: int = 1000) -> None:
    """Makes so many actions of the benchmark's signal due, at least.

    Copied are events and actions only, no audit rows: the ledger's proofs do not hold on it.
    Parameters: what a run needs; how many are wanted; a build number that the ledger does not have; how many events
    that build has, each of which is copied as often as it takes.
    """
    with around.database.reading() as connection:
        missing = waiting - waiting_count(connection)
    if missing <= 0:
        return
    taken_in = min(taken_in, missing)
    fill(around, taken_in, build_no)
    copies = -(-missing // taken_in) - 1
    with around.database.writing() as connection:
        if not around.database.is_postgres:
            connection.exec_driver_sql("pragma cache_size = -500000")  # KB: the indexes' pages are hit at random
        for table in (events, actions):
            _copy(connection, table, build_no, copies)


def waiting_count(connection: Connection) -> int:
    due = (actions.c.signal == SIGNAL, actions.c.state == "waiting")
    return connection.execute(select(func.count()).select_from(actions).where(*due)).scalar_one()


def _copy(connection: Connection, table: Table, build_no: int, copies: int) -> None:
    """Copies the build's rows of one table; the marks of an event's copy and of its action's are the same."""
    numbers = text(
        "select n from (with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < :copies) "
        "select n from numbers)"
    ).bindparams(copies=copies)
    counted = numbers.columns(Column("n")).subquery("copy")
    build = select(actions.c.build_id).where(actions.c.build_no == build_no).limit(1).scalar_subquery()
    copied = [_copied(column, counted.c.n) for column in table.columns]
    chosen = select(*copied).select_from(table.join(counted, true())).where(table.c.build_id == build)
    if copies > 0:
        connection.execute(insert(table).from_select(list(table.columns.keys()), chosen))


def _copied(column: Column[object], number: ColumnElement[object]) -> ColumnElement[object]:
    return column.concat("~").concat(number).label(column.name) if column.name in _OWN else column
