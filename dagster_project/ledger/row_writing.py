"""Writes many rows at once at the speed of the database's driver, for these writes are most of what an action costs.

SQLAlchemy prepares every value of every row anew, which takes three times as long as SQLite takes to store them. Here a
statement and the conversions of its columns are made once. On PostgreSQL the round trips dominate, and SQLAlchemy
already sends many rows in one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Table, bindparam, insert, update

Conversion = Callable[[Any], Any]
_NOTHING = object()


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows that all name the same columns.

    Parameters: the connection, in a transaction; the table; the rows, values by column name.
    """
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(insert(table), list(rows))
        return
    names = tuple(rows[0])
    marks = ", ".join("?" * len(names))
    statement = f"insert into {table.name} ({', '.join(names)}) values ({marks})"
    connection.exec_driver_sql(statement, _converted(table, names, connection.dialect, rows))


def update_rows(connection: Connection, table: Table, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Changes rows found by their key, each to values of its own.

    Parameters: the connection, in a transaction; the table; the name of the key column; for each row its key and the
    new values, by column name, the same names in all of them.
    """
    if not rows:
        return
    changed = tuple(name for name in rows[0] if name != key)
    if connection.dialect.name == "postgresql":
        statement = update(table).where(table.c[key] == bindparam("key_of_row"))
        values = [{**{name: row[name] for name in changed}, "key_of_row": row[key]} for row in rows]
        connection.execute(statement.values({name: bindparam(name) for name in changed}), values)
        return
    assignments = ", ".join(f"{name} = ?" for name in changed)
    statement_text = f"update {table.name} set {assignments} where {key} = ?"
    connection.exec_driver_sql(statement_text, _converted(table, (*changed, key), connection.dialect, rows))


def _converted(
    table: Table, names: tuple[str, ...], dialect: Dialect, rows: Sequence[Mapping[str, Any]]
) -> list[tuple[Any, ...]]:
    """The rows as the driver takes them. A column's value is converted again only where it is another object than in
    the row before: a batch has one moment, not five hundred."""
    columns = []
    for name, convert in zip(names, _conversions(table, names, dialect), strict=True):
        values = list(map(itemgetter(name), rows))
        columns.append(values if convert is None else _converted_column(values, convert))
    return list(zip(*columns, strict=True))


def _converted_column(values: Sequence[Any], convert: Conversion) -> list[Any]:
    last: Any = _NOTHING
    made: Any = None
    found = []
    for value in values:
        if value is not last:
            last, made = value, convert(value)
        found.append(made)
    return found


@lru_cache(maxsize=64)
def _conversions(table: Table, names: tuple[str, ...], dialect: Dialect) -> tuple[Conversion | None, ...]:
    return tuple(table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names)
