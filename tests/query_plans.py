"""Says which statements read a whole table that grows: every statement of some work is explained by its database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, event

# `builds` is not one of them: it gets a row a build, and a tick compares all of a signal's builds with the warehouse's
GROWING = frozenset({"actions", "attempts", "audit", "audit_batches", "events", "requests"})
SMALL_INDEXES = frozenset({"attempts_open"})  # of calls under way only, so that all of it may be read
ROW_NUMBERS = {"audit": "max(audit.seq)"}
EXPLAINED = ("select", "update", "delete", "with")  # an insert of values reads nothing


@dataclass
class Recording:
    """The statements that an engine has executed, each once, with the parameters of its first execution."""

    statements: dict[str, Any] = field(default_factory=dict)

    def whole_reads(self, connection: Connection) -> list[str]:
        """A line for each growing table that one of the statements reads from end to end, with the statement."""
        found = []
        for statement, parameters in self.statements.items():
            shown = " ".join(statement.split())[:400]
            found += [f"{what}: {shown}" for what in _whole_reads(connection, statement, parameters)]
        return found


@contextmanager
def recording(engine: Engine) -> Iterator[Recording]:
    """Records what the engine executes meanwhile."""
    made = Recording()

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, is_many: bool) -> None:
        if statement.lstrip().lower().startswith(EXPLAINED):
            made.statements.setdefault(statement, parameters[0] if is_many else parameters)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield made
    finally:
        event.remove(engine, "before_cursor_execute", note)


def _whole_reads(connection: Connection, statement: str, parameters: Any) -> list[str]:
    cursor = connection.connection.cursor()  # the driver's own, so that parameters go as they went
    try:
        if connection.dialect.name == "postgresql":
            cursor.execute(f"explain (format json) {statement}", parameters)
            return sorted(set(_postgres_reads(cursor.fetchall()[0][0][0]["Plan"])))
        cursor.execute(f"explain query plan {statement}", parameters or ())
        return sorted({line[3] for line in cursor.fetchall() if _is_whole_in_sqlite(line[3], statement)})
    finally:
        cursor.close()


def _is_whole_in_sqlite(detail: str, statement: str) -> bool:
    """Whether a line of a plan says so. `SEARCH table` without more is how it words the largest value of a column: at
    once for the row's number, after a look at every row for a column without an index."""
    read = re.match(r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", detail)
    if read is None or _table_of(read[2]) not in GROWING or read[3] in SMALL_INDEXES:
        return False
    return read[1] == "SCAN" or ("USING" not in detail and ROW_NUMBERS.get(read[2], "none") not in statement)


def _table_of(name: str) -> str:
    """SQLAlchemy names an alias after its table: actions_1."""
    return re.sub(r"_\d+$", "", name)


def _postgres_reads(node: dict[str, Any]) -> Iterator[str]:
    """Tables read from end to end: by a sequential scan, or by an index without a condition on it."""
    kind, table = node["Node Type"], node.get("Relation Name")
    by_index = kind in ("Index Scan", "Index Only Scan") and "Index Cond" not in node
    if table in GROWING and (kind == "Seq Scan" or by_index) and node.get("Index Name") not in SMALL_INDEXES:
        yield f"{kind} on {table}"
    for child in node.get("Plans", ()):
        yield from _postgres_reads(child)
