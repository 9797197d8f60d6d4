"""Keeps the sandbox's world in one SQLite file and commits it before any reply leaves, several calls at a time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

Parameters = Sequence[Any] | dict[str, Any]


def now_text() -> str:
    """The present moment as ISO 8601 in UTC with milliseconds, the form that HubSpot uses."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """One connection to the sandbox's file; used from one event loop only.

    Changes are made at once, inside savepoints; `committed` returns when they are in the file. Calls that reach the
    same pass of the event loop share one commit. WAL with synchronous=NORMAL: a killed process loses nothing that was
    replied to, a power cut may lose the last commits (https://www.sqlite.org/pragma.html#pragma_synchronous).
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
        self._connection.row_factory = sqlite3.Row
        self._waiting: asyncio.Future[None] | None = None
        self._is_lost = False  # SQLite gave up the whole open transaction by itself, as it does on a full disk
        for pragma in ("journal_mode=wal", "synchronous=normal", "case_sensitive_like=on", "wal_autocheckpoint=4000"):
            self._connection.execute(f"pragma {pragma}")
        self._connection.executescript(files(__package__).joinpath("schema.sql").read_text(encoding="utf-8"))

    def close(self) -> None:
        """Commits what is open and closes the file."""
        if self._connection.in_transaction:
            self._connection.commit()
        self._connection.close()

    def run(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Executes one statement; writes need an enclosing `change`."""
        return self._connection.execute(sql, parameters)

    def one(self, sql: str, parameters: Parameters = ()) -> sqlite3.Row | None:
        """The first row, or None."""
        row: sqlite3.Row | None = self._connection.execute(sql, parameters).fetchone()
        return row

    def rows(self, sql: str, parameters: Parameters = ()) -> list[sqlite3.Row]:
        """All rows."""
        return self._connection.execute(sql, parameters).fetchall()

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """The first column of the first row, or None."""
        row = self._connection.execute(sql, parameters).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def change(self) -> Iterator[None]:
        """All writes inside are kept, or none: an exception undoes them and nothing of other calls."""
        if not self._connection.in_transaction:
            self._connection.execute("begin immediate")
        self._connection.execute("savepoint change")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("rollback to change")
                self._connection.execute("release change")
            else:
                self._is_lost = True
            raise
        self._connection.execute("release change")

    async def committed(self) -> None:
        """Waits until everything changed so far is in the file.

        Raises sqlite3.OperationalError when the commit fails (full disk); the changes of all who wait are then undone.
        """
        if not self._connection.in_transaction and not self._is_lost:
            return
        if self._waiting is None:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            loop.call_soon(self._commit)
        # each caller waits on its own: one that is cancelled must not cancel the commit of the others
        await asyncio.shield(self._waiting)

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        try:
            if self._is_lost:
                raise sqlite3.OperationalError("the database gave up the transaction that these changes belonged to")
            self._connection.commit()
        except sqlite3.Error as error:
            self._is_lost = False
            if self._connection.in_transaction:
                self._connection.rollback()
            waiting.set_exception(error)
        else:
            waiting.set_result(None)

    def clear(self) -> None:
        """Empties every table."""
        names = self.rows(
            "select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\'"
        )
        with self.change():
            for (name,) in names:
                self.run(f"delete from {name}")  # names come from the schema, not from a caller
            self.run("delete from sqlite_sequence")
