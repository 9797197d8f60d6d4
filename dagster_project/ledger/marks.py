"""Keeps, outside of the ledger, how far the ledger has come, so that one restored from a backup is recognised as older.

The mark lives where a restore of the ledger does not reach it: a file beside the state, or a table in another database
where workers come and go. It only ever rises.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock
from sqlalchemy import BigInteger, Column, Connection, MetaData, String, Table, Text, create_engine, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from dagster_project.ledger.database import SQLITE_BUSY_SECONDS, LedgerUnavailable

MARKS = Table(  # not the ledger's: it stands in whichever database LOOP_LEDGER_MARK names
    "loop_ledger_marks",
    MetaData(),
    Column("incarnation", String(128), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("at", String(40), nullable=False),
    Column("taken_in", Text, nullable=False),
)


class MarkUnavailable(LedgerUnavailable):
    """The mark cannot be read or written; whether the ledger is the newest cannot be told, so nothing is sent."""


@dataclass(frozen=True)
class Mark:
    """How far a ledger has come: a number that rises before any work goes out, and the builds it has taken in."""

    number: int
    at: datetime
    taken_in: Mapping[str, int] = field(default_factory=dict)  # signal -> newest build number

    def merged(self, other: Mark | None) -> Mark:
        """The further of two marks; neither number ever falls."""
        if other is None:
            return self
        names = {*self.taken_in, *other.taken_in}
        taken_in = {name: max(self.taken_in.get(name, 0), other.taken_in.get(name, 0)) for name in sorted(names)}
        return Mark(max(self.number, other.number), max(self.at, other.at), taken_in)

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "at": self.at.astimezone(UTC).isoformat(), "taken_in": dict(self.taken_in)}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Mark:
        return cls(int(given["number"]), datetime.fromisoformat(given["at"]), dict(given["taken_in"]))


class MarkPlace(Protocol):
    """Where marks are kept, one for each warehouse incarnation."""

    def read(self, incarnation: str) -> Mark | None:
        """The mark, None where none was ever made. Raises MarkUnavailable."""
        ...

    def raise_to(self, incarnation: str, mark: Mark) -> None:
        """Durably keeps the further of the two. Raises MarkUnavailable."""
        ...


@dataclass(frozen=True)
class FileMarks:
    """Marks in a file: right wherever all processes see one file system."""

    path: Path

    def read(self, incarnation: str) -> Mark | None:
        found = self._all().get(incarnation)
        return None if found is None else Mark.from_json(found)

    def raise_to(self, incarnation: str, mark: Mark) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock"):
                every = self._all()
                before = every.get(incarnation)
                merged = mark.merged(None if before is None else Mark.from_json(before))
                self._write({**every, incarnation: merged.as_json()})
        except OSError as error:
            raise self._unavailable(error) from error

    def _all(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise self._unavailable(error) from error
        return found

    def _write(self, every: Mapping[str, Any]) -> None:
        """A process that dies in between leaves the file as it was."""
        scratch = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        with scratch.open("w", encoding="utf-8") as file:
            json.dump(every, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self.path)

    def _unavailable(self, error: Exception) -> MarkUnavailable:
        return MarkUnavailable(
            f"the ledger's mark in {self.path.name} cannot be read or written: {error}. Nothing was sent. Mend the "
            "file or the disk; without the mark a restored ledger cannot be told from the newest one."
        )


@dataclass(frozen=True)
class DatabaseMarks:
    """Marks in a table of another database, for workers that share no file system."""

    url: str

    def read(self, incarnation: str) -> Mark | None:
        def work(connection: Connection) -> Mark | None:
            return _row_mark(connection, incarnation)

        found: Mark | None = self._within(work)
        return found

    def raise_to(self, incarnation: str, mark: Mark) -> None:
        def work(connection: Connection) -> None:
            # What is read here stays true until the commit; else of two that raise at once the lower could be kept.
            is_postgres = connection.dialect.name == "postgresql"
            connection.exec_driver_sql(
                f"lock table {MARKS.name} in exclusive mode" if is_postgres else "begin immediate"
            )
            merged = mark.merged(_row_mark(connection, incarnation))
            connection.execute(MARKS.delete().where(MARKS.c.incarnation == incarnation))
            row = {**merged.as_json(), "taken_in": json.dumps(dict(merged.taken_in), sort_keys=True)}
            connection.execute(MARKS.insert(), {"incarnation": incarnation, **row})

        self._within(work)

    def _within(self, work: Any) -> Any:
        try:
            is_sqlite = make_url(self.url).get_backend_name() == "sqlite"
            engine = create_engine(self.url, connect_args={"timeout": SQLITE_BUSY_SECONDS} if is_sqlite else {})
            try:
                with engine.begin() as connection:
                    MARKS.create(connection, checkfirst=True)
                with engine.begin() as connection:
                    return work(connection)
            finally:
                engine.dispose()
        except SQLAlchemyError as error:
            shown = make_url(self.url).render_as_string(hide_password=True)
            raise MarkUnavailable(
                f"the ledger's mark at {shown} cannot be read or written: {getattr(error, 'orig', None) or 'refused'}. "
                "Nothing was sent. Check LOOP_LEDGER_MARK, the server and the rights on loop_ledger_marks."
            ) from error


def _row_mark(connection: Connection, incarnation: str) -> Mark | None:
    row = connection.execute(select(MARKS).where(MARKS.c.incarnation == incarnation)).first()
    if row is None:
        return None
    return Mark.from_json({"number": row.number, "at": row.at, "taken_in": json.loads(row.taken_in)})


def mark_place(address: str) -> MarkPlace:
    """The place that an address names: a database's URL, or else the path of a file."""
    return DatabaseMarks(address) if "://" in address else FileMarks(Path(address))
