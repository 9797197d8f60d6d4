"""A wave delays a critical case by no more than the batches that are under way, in its own signal or in another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from isolation_bench import HOOK, OTHER_HOOK, IsolationBench, Parcel
from sqlalchemy import select

from dagster_project.contracts.vocabulary import Severity
from dagster_project.ledger.schema import actions, attempts

MakeBench = Callable[..., IsolationBench]
RUNS_IN_FLIGHT = 2
GIVE_UP_AFTER_SECONDS = 1800
SIZES = [
    (1_000, 200),
    pytest.param(5_000, 1_000, marks=pytest.mark.long),
    pytest.param(100_000, 1_000, marks=pytest.mark.long),
]


def _wave(count: int) -> list[Parcel]:
    return [Parcel(f"wave-{number}") for number in range(count)]


def _until_one_is_told(bench: IsolationBench) -> None:
    give_up_at = time.monotonic() + GIVE_UP_AFTER_SECONDS
    while _told(bench) == 0:
        assert time.monotonic() < give_up_at, "no run sends anything"
        time.sleep(0.01)


def _told(bench: IsolationBench) -> int:
    with bench.around.database.reading() as connection:
        return len(connection.execute(select(actions.c.action_id).where(actions.c.state == "delivered").limit(1)).all())


def _runs_before(bench: IsolationBench, entity: str) -> int:
    """How many runs had begun to send before the one that told of the entity."""
    with bench.around.database.reading() as connection:
        rows = connection.execute(
            select(attempts.c.run_id, actions.c.entity_id)
            .join(actions, actions.c.action_id == attempts.c.action_id)
            .order_by(attempts.c.attempt_id)
        ).all()
    (its_run,) = {row.run_id for row in rows if row.entity_id == entity}
    runs = list(dict.fromkeys(row.run_id for row in rows))
    return runs.index(its_run)


@pytest.mark.parametrize(("size", "batch"), SIZES)
def test_a_wave_delays_a_critical_case_of_its_signal_by_the_batches_under_way(
    bench_with: MakeBench, size: int, batch: int
) -> None:
    """Two runs of the wave are at work when the case comes, as many as its sensor asks for at once."""
    bench = bench_with(claim_limit=batch)
    bench.flag(HOOK, _wave(size))
    wave = [threading.Thread(target=bench.run, args=(HOOK,)) for _ in range(RUNS_IN_FLIGHT)]
    for run in wave:
        run.start()
    _until_one_is_told(bench)
    bench.flag(HOOK, [Parcel("critical", Severity.CRITICAL)], build_no=2)
    for run in wave:
        run.join()
    bench.run(HOOK)
    assert _runs_before(bench, "critical") == RUNS_IN_FLIGHT, "the next run that claims takes the case"
    at_once = bench.around.settings.in_flight_calls
    assert bench.told().index("critical") <= RUNS_IN_FLIGHT * batch + at_once, "and it is among its first calls"


@pytest.mark.parametrize(("size", "batch"), SIZES)
def test_a_wave_of_another_signal_at_the_same_destination_delays_by_no_batch(
    bench_with: MakeBench, size: int, batch: int
) -> None:
    """The case's own run begins while the wave's runs are at work, and shares the destination with them."""
    bench = bench_with(claim_limit=batch)
    bench.flag(HOOK, _wave(size))
    wave = [threading.Thread(target=bench.run, args=(HOOK,)) for _ in range(RUNS_IN_FLIGHT)]
    for run in wave:
        run.start()
    _until_one_is_told(bench)
    bench.flag(OTHER_HOOK, [Parcel("critical", Severity.CRITICAL)])
    bench.run(OTHER_HOOK)
    for run in wave:
        run.join()
    told = bench.told()
    assert told.count("critical") == 2, "both of its steps"
    assert told.index("critical") <= RUNS_IN_FLIGHT * batch
