"""Waits inside a sensor's evaluation for the moment in which a look at the warehouse pays.

Dagster looks at its sensors every five seconds and has no setting for it. A sensor that watches for most of those five
seconds sees a commit within a tenth of one. The watch is a hint and nothing else: what it misses, the next evaluation
finds, because each begins with a full look.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Protocol

from dagster_project.contracts.catalog import CaptureRelations
from dagster_project.contracts.warehouse import DuckDBTarget, PostgresTarget, WarehouseTarget
from dagster_project.detect.warehouses.connection import WarehouseConnection, WarehouseUnavailable
from dagster_project.detect.warehouses.duckdb_file import is_free, mark_of
from dagster_project.detect.warehouses.opening import connect, told_as_unavailable

GLANCE_SECONDS = 0.05  # between two looks at the mark
ASK_SECONDS = 0.5  # between two questions whether work has become due by itself


class Watch(Protocol):
    """What can be asked often, because it costs next to nothing."""

    def mark(self) -> Hashable:
        """Differs from an earlier one where a look at the warehouse may find something new."""
        ...

    def is_free(self) -> bool:
        """Whether a look would not have to wait for a writer."""
        ...


class Lookout:
    """Lets a bounded number of sensors wait at once: each holds a thread of the code server's, which has few."""

    def __init__(self, at_once: int, within_seconds: float) -> None:
        """Parameters: how many evaluations may wait at the same time in this process; for how many seconds each."""
        self._places = threading.Semaphore(at_once)
        self._within_seconds = within_seconds

    @contextlib.contextmanager
    def place(self) -> Iterator[float | None]:
        """Until when (seconds of time.monotonic()) the evaluation may wait; None where no place is free."""
        ends_at = time.monotonic() + self._within_seconds
        if not self._within_seconds or not self._places.acquire(blocking=False):
            yield None
            return
        try:
            yield ends_at
        finally:
            self._places.release()


def wait_for_news(watch: Watch, seen: Hashable, is_due: Callable[[], bool], until: float) -> bool:
    """Returns True as soon as the mark differs or work is due by itself (a retry, a person's word), False at the end.

    Parameters: what to ask; the mark before the last full look; whether a run is missing; the end in seconds of
    time.monotonic().
    """
    ask_at = time.monotonic() + ASK_SECONDS
    while (now := time.monotonic()) < until:
        if watch.mark() != seen and watch.is_free():
            return True
        if now >= ask_at:
            if is_due():
                return True
            ask_at = now + ASK_SECONDS
        time.sleep(min(GLANCE_SECONDS, until - now))
    return False


@contextlib.contextmanager
def watching(target: WarehouseTarget, capture: CaptureRelations, signal: str) -> Iterator[Watch | None]:
    """The watch over one signal; None where the warehouse has nothing that may be asked so often.

    Snowflake has nothing: questions would keep a warehouse awake that is paid for by the minute.
    """
    if isinstance(target, DuckDBTarget):
        yield _DuckDBWatch(target)
    elif isinstance(target, PostgresTarget):
        with contextlib.ExitStack() as held:
            try:
                connection = held.enter_context(connect(target))
            except WarehouseUnavailable:
                yield None  # the full look meets it too and says what is wrong
                return
            yield _PostgresWatch(connection, capture, signal)
    else:
        yield None


@dataclass(frozen=True)
class _DuckDBWatch:
    target: DuckDBTarget

    def mark(self) -> Hashable:
        return mark_of(self.target)

    def is_free(self) -> bool:
        """A build commits many times and lets go of the file once."""
        return is_free(self.target)


@dataclass(frozen=True)
class _PostgresWatch:
    connection: WarehouseConnection
    capture: CaptureRelations
    signal: str

    def mark(self) -> Hashable:
        """How many builds are released, and when the last one was; None if the database does not answer any more."""
        sql = f"select count(released_at), max(released_at) from {self.capture.builds} where signal = %s"
        try:
            with told_as_unavailable():
                return self.connection.rows(sql, [self.signal])[0]
        except WarehouseUnavailable:
            return None

    def is_free(self) -> bool:
        return True
