"""What a sensor, a run and a look at the status ask of the ledger costs the same however much history lies behind it.

Cost is counted in steps of SQLite's machine, which no other work on the computer changes. A plan that looks like a
search and yet walks through all actions, because of the statistics or for want of them, is seen by nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event

from dagster_project.ledger.database import Database, open_database

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from ledger_fill import fill
from ledger_scale import OPERATIONS, stand_of

SMALL, LARGE = 10_000, 40_000  # events; ten days and forty, the last seven of both with the same unfinished work
GRAIN = 50  # steps between two counts
MOST_GROWTH = 1.3  # trees get deeper
OF_BUILDS = (
    2_500  # steps: a tick compares the ids of all builds with the warehouse's, and there are thirty more of them
)


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Database]]:
    folder = tmp_path_factory.mktemp("flat")
    opened = {size: open_database(f"sqlite:///{folder / f'{size}.sqlite'}") for size in (SMALL, LARGE)}
    for size, database in opened.items():
        fill(database, size)
    yield opened
    for database in opened.values():
        database.close()


class Steps:
    """How many steps the database has made."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += GRAIN
        return 0  # go on


@contextmanager
def counting(database: Database) -> Iterator[Steps]:
    """Counts the steps of every statement meanwhile, on connections that are made for it."""
    made = Steps()

    def count(driver_connection: object, _record: object) -> None:
        driver_connection.set_progress_handler(made, GRAIN)  # type: ignore[attr-defined]

    database.engine.dispose()
    event.listen(database.engine, "connect", count)
    try:
        yield made
    finally:
        event.remove(database.engine, "connect", count)
        database.engine.dispose()


def steps_of(database: Database, name: str) -> int:
    with counting(database) as made:
        OPERATIONS[name](stand_of(database))
    return made.count


@pytest.mark.parametrize("statistics", ["collected", "none"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_history_costs_nothing(ledgers: dict[int, Database], name: str, statistics: str) -> None:
    if statistics == "none":
        for database in ledgers.values():
            _forget_statistics(database)
    small, large = (steps_of(ledgers[size], name) for size in (SMALL, LARGE))

    assert large <= small * MOST_GROWTH + OF_BUILDS, f"{name}: {small} steps after ten days, {large} after forty"


def _forget_statistics(database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("delete from sqlite_stat1")
    database.engine.dispose()  # a connection reads them when it opens the file


def test_a_walk_through_all_actions_is_counted(ledgers: dict[int, Database]) -> None:
    counted = []
    for database in ledgers.values():
        with counting(database) as made, database.reading() as connection:
            connection.exec_driver_sql("select count(*) from actions where detail = 'x'").scalar_one()
        counted.append(made.count)

    assert counted[1] > counted[0] * 3
