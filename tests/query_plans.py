"""Says which statements read a whole table that grows: every statement of some work is explained by its database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, event

GROWING = frozenset({"actions", "attempts", "audit", "audit_batches", "builds", "events", "requests"})
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
        return sorted({line[3] for line in cursor.fetchall() if _is_whole_in_sqlite(line[3])})
    finally:
        cursor.close()


def _is_whole_in_sqlite(detail: str) -> bool:
    scanned = re.match(r"SCAN (\w+)", detail)
    return scanned is not None and _table_of(scanned[1]) in GROWING


def _table_of(name: str) -> str:
    """SQLAlchemy names an alias after its table: actions_1."""
    return re.sub(r"_\d+$", "", name)


def _postgres_reads(node: dict[str, Any]) -> Iterator[str]:
    """Tables read from end to end: by a sequential scan, or by an index without a condition on it."""
    kind, table = node["Node Type"], node.get("Relation Name")
    by_index = kind in ("Index Scan", "Index Only Scan") and "Index Cond" not in node
    if table in GROWING and (kind == "Seq Scan" or by_index):
        yield f"{kind} on {table}"
    for child in node.get("Plans", ()):
        yield from _postgres_reads(child)
