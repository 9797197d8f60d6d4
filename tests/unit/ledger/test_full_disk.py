"""A disk that takes nothing more: no call is begun without its recorded intent, and nothing written is lost."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ledger_bench import Bench, Clock, opened, signal_of
from sqlalchemy.exc import OperationalError

from dagster_project.ledger.database import LedgerUnavailable, open_database
from dagster_project.ledger.schema import attempts


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow, as on a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_intent_is_handed_out_that_could_not_be_written(tmp_path: Path, clock: Clock) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'ledger.sqlite'}", clock)
    bench = Bench(database, clock, signal_of())
    bench.take_in(opened("a"))
    held = bench.claim()
    items = bench.ready(held)
    bench.render(held, items)

    with full_disk(), pytest.raises((OperationalError, LedgerUnavailable)):
        bench.intend(held, [item.action_id for item in items])

    assert bench.rows(attempts) == []
    assert len(bench.intend(held, [item.action_id for item in items])) == 1
    assert bench.broken_laws() == []
    database.close()


def test_a_ledger_that_cannot_be_written_is_refused_in_words(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(LedgerUnavailable, match="Nothing was sent"):
        open_database(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
