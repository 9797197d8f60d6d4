"""Lets one transaction stand still just before its commit while another runs, so that a race is the same every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.pool import NullPool

from dagster_project.ledger.database import Database

First, Second = TypeVar("First"), TypeVar("Second")
WAITING_FOR_A_LOCK = "select count(*) from pg_stat_activity where datname = :name and wait_event_type = 'Lock'"


@contextmanager
def _at_commit(database: Database, act: Callable[[], None]) -> Iterator[None]:
    """Calls `act` once, when the next transaction of this database is about to commit."""

    waiting = [act]

    def about_to_commit(_connection: Connection) -> None:
        if waiting:
            waiting.pop()()

    event.listen(database.engine, "commit", about_to_commit)
    try:
        yield
    finally:
        event.remove(database.engine, "commit", about_to_commit)


def _until_done_or_blocked(url: Any, running: Future[Any]) -> None:
    """Returns when the other transaction has ended, or waits for a lock that the first one holds."""
    watcher = create_engine(url, poolclass=NullPool)
    while not running.done():
        with watcher.connect() as connection:
            if connection.execute(text(WAITING_FOR_A_LOCK), {"name": url.database}).scalar_one():
                return


def interleaved(
    database: Database, first: Callable[[], First], second: Callable[[Database], Second]
) -> tuple[First, Second]:
    """Runs `second` while all of `first` but its commit has happened; returns what both came to."""
    url = database.engine.url
    other = Database(url.render_as_string(hide_password=False), database.clock)
    with ThreadPoolExecutor(1) as pool:
        started: list[Future[Second]] = []

        def meanwhile() -> None:
            started.append(pool.submit(second, other))
            _until_done_or_blocked(url, started[0])

        with _at_commit(database, meanwhile):
            result = first()
        try:
            return result, started[0].result()
        finally:
            other.close()
