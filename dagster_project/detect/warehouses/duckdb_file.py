"""Reads a DuckDB file, which another process may be writing at this moment."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dagster_project.contracts.warehouse import DuckDBTarget
from dagster_project.detect.warehouses.connection import WarehouseConnection, WarehouseUnavailable, first_line

LOCK_WAIT_SECONDS = 8.0
Mark = tuple[tuple[int, int, int], ...]
DRIVERS = ("duckdb", "_duckdb")


class _DuckDB:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._connection.execute(sql.replace("%s", "?"), list(parameters)).fetchall()
        return found


@contextlib.contextmanager
def open_duckdb(target: DuckDBTarget) -> Iterator[WarehouseConnection]:
    """A read-only connection. Raises WarehouseUnavailable."""
    with contextlib.closing(_open(target)) as connection:
        yield _DuckDB(connection)


def _open(target: DuckDBTarget) -> Any:
    """Waits a little for a writer to let go of the file: DuckDB admits one writing process, or several that read."""
    import duckdb

    if not target.path.exists():
        raise WarehouseUnavailable(
            f"{target.path} does not exist yet; land data and run `dbt build` (or `loopctl tick`)"
        )
    give_up_at = time.monotonic() + LOCK_WAIT_SECONDS
    delay = 0.05
    while True:
        try:
            return duckdb.connect(str(target.path), read_only=True)
        except duckdb.ConnectionException as error:  # this very process has it open for writing
            raise WarehouseUnavailable(
                f"{target.path} is being written by this process: {first_line(error)}"
            ) from error
        except duckdb.IOException as error:
            if not _is_lock(error):
                raise WarehouseUnavailable(f"{target.path} cannot be read: {first_line(error)}") from error
            if time.monotonic() + delay > give_up_at:
                raise WarehouseUnavailable(
                    f"{target.path} is being written by another process: {first_line(error)}"
                ) from error
            time.sleep(delay)
            delay = min(2 * delay, 1.0)


def _is_lock(error: Exception) -> bool:
    """DuckDB has one exception for all trouble with a file; only a lock goes away by waiting."""
    return "lock" in str(error)


def mark_of(target: DuckDBTarget) -> Mark:
    """Changes with every commit, and costs two looks at the folder: the file and its log, without opening either.

    It is a hint that a look pays, never proof that nothing is new: a file system counts time in steps.
    """
    return tuple(_seen(file) for file in (target.path, target.path.with_name(f"{target.path.name}.wal")))


def _seen(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def is_free(target: DuckDBTarget) -> bool:
    """Whether no other process writes the file now, so that reading it would not have to wait."""
    import duckdb

    try:
        duckdb.connect(str(target.path), read_only=True).close()
    except duckdb.Error:
        return False
    return True
