"""Opens the ledger's database, brings its schema up to date, and gives out transactions that may write."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError

Clock = Callable[[], datetime]
T = TypeVar("T")

SQLITE_BUSY_SECONDS = 30
VERSION_TABLE = "ledger_version"
NEWEST_VERSION = "0008"  # the newest migration; a test holds it to the files
TRANSACTION_TRIES = 6
# PostgreSQL: serialization_failure and deadlock_detected; the transaction did nothing and may be run again.
RETRIED_SQLSTATES = frozenset({"40001", "40P01"})

log = logging.getLogger(__name__)


class LedgerUnavailable(Exception):
    """The ledger cannot be opened or written; nothing is sent without a recorded intent."""


class LedgerTooNew(LedgerUnavailable):
    """The ledger was written by newer code than this."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Database:
    """The ledger's database. Reads and writes go through `reading()` and `writing()`.

    On SQLite a writing transaction takes the write lock at its start (BEGIN IMMEDIATE), so that what it read stays true
    until it commits; on PostgreSQL rows are locked where they are claimed.
    """

    def __init__(self, url: str, clock: Clock = utc_now) -> None:
        self.clock = clock
        self.shown_url = make_url(url).render_as_string(hide_password=True)
        self.engine = _engine(url)
        self.is_postgres = self.engine.dialect.name == "postgresql"

    def now(self) -> datetime:
        return self.clock()

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot: every statement inside sees the same moment."""
        with self.engine.connect() as connection:
            if self.is_postgres:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            else:
                connection.exec_driver_sql("begin")
            yield connection
            connection.rollback()

    @contextmanager
    def writing(self, over: str | None = None) -> Iterator[Connection]:
        """One transaction, committed at the end; any exception rolls it back whole.

        What it reads stays true until it commits: writers over one subject (a signal, a destination) exclude each
        other, and one over everything (None) excludes all. On SQLite there is one writer at a time anyway.
        """
        with self.engine.connect() as connection:
            if not self.is_postgres:
                connection.exec_driver_sql("begin immediate")
            with connection.begin() if self.is_postgres else _committed(connection):
                if self.is_postgres:
                    _exclude_other_writers(connection, over)
                yield connection

    def write(self, work: Callable[[Connection], T], over: str | None = None) -> T:
        """Runs work in a writing transaction, again where the database asks for that (deadlock, serialization).

        Parameters: the work; the subject that it writes over, None for everything.
        """
        for attempt in range(1, TRANSACTION_TRIES + 1):
            try:
                with self.writing(over) as connection:
                    return work(connection)
            except DBAPIError as error:
                if attempt == TRANSACTION_TRIES or not _may_run_again(error):
                    raise
                log.info("ledger transaction runs again (%d of %d): %s", attempt, TRANSACTION_TRIES, error.orig)
                time.sleep(random.uniform(0.01, 0.05) * 2**attempt)
        raise AssertionError("unreachable")


def _exclude_other_writers(connection: Connection, over: str | None) -> None:
    """Advisory locks that end with the transaction; always taken in this order, so that they cannot deadlock."""
    everything, subject = "hashtextextended('signal loop ledger', 0)", "hashtextextended(%(over)s, 0)"
    if over is None:
        connection.exec_driver_sql(f"select pg_advisory_xact_lock({everything})")
        return
    connection.exec_driver_sql(f"select pg_advisory_xact_lock_shared({everything})")
    connection.exec_driver_sql(f"select pg_advisory_xact_lock({subject})", {"over": f"signal loop ledger: {over}"})


@contextmanager
def _committed(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _may_run_again(error: DBAPIError) -> bool:
    is_locked = getattr(error.orig, "sqlite_errorname", "") == "SQLITE_BUSY"
    return is_locked or getattr(error.orig, "pgcode", None) in RETRIED_SQLSTATES


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() == "postgresql":
        # Many rows travel in one round trip, updates too.
        return create_engine(url, pool_pre_ping=True, executemany_mode="values_plus_batch")
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun in so many words
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute(f"pragma busy_timeout = {SQLITE_BUSY_SECONDS * 1000}")

    return engine


def open_database(url: str, clock: Clock = utc_now) -> Database:
    """Opens the ledger and migrates it forward.

    Raises LedgerUnavailable where it cannot be reached or written, LedgerTooNew where newer code has migrated it.
    """
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, ImportError) as error:
        raise LedgerUnavailable("LOOP_LEDGER_URL is no address of a SQLite or PostgreSQL database.") from error
    try:
        if parsed.get_backend_name() == "sqlite" and _is_plain_path(parsed.database):
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        database = Database(url, clock)
        _migrate(database)
    except (DatabaseError, OSError) as error:
        raise LedgerUnavailable(
            f"the ledger at {parsed.render_as_string(hide_password=True)} cannot be opened: "
            f"{str(getattr(error, 'orig', error)).strip()}. Nothing was sent. "
            "Check LOOP_LEDGER_URL, the disk and the server."
        ) from error
    return database


def _is_plain_path(name: str | None) -> TypeGuard[str]:
    """Whether a SQLite database is named by its path. `file:...?mode=ro` is for SQLite to read; it names no folder."""
    return bool(name) and not str(name).startswith("file:")


def _migrate(database: Database) -> None:
    if _version_of(database) == NEWEST_VERSION:
        return
    # Alembic is imported only where there is something to migrate: it would cost every process a fifth of a second.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    current = _version_of(database)
    if current is not None and current not in known:
        raise LedgerTooNew(
            f"the ledger at {database.shown_url} is at version {current}, which this code does not know: newer code "
            "has written it. Nothing was read or sent. Update the code, or restore the ledger's backup."
        )
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version_of(database: Database) -> str | None:
    """The version that the ledger is at; None before the first migration."""
    with database.engine.connect() as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        found = connection.exec_driver_sql(f"select version_num from {VERSION_TABLE}").scalar()
        return None if found is None else str(found)
