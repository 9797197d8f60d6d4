"""A run is gone when it holds no lease and has tried nothing for as long as one holds; until then it is at work."""

from __future__ import annotations

from ledger_bench import LEASE, Clock, MakeBench, opened

from dagster_project.ledger.claims import renew
from dagster_project.ledger.run_presence import runs_gone

PAST_LEASE = LEASE.total_seconds() + 1


def test_a_run_that_has_tried_something_is_at_work_until_its_lease_ends(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    bench.begin(bench.claim(run="dies"))

    assert runs_gone(bench.database, ["dies", "never-seen"], LEASE) == {"never-seen"}
    clock.step(PAST_LEASE)
    assert runs_gone(bench.database, ["dies", "never-seen"], LEASE) == {"dies", "never-seen"}


def test_a_run_that_renews_its_lease_over_one_long_batch_is_at_work(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    held = bench.claim(run="slow")
    bench.begin(held)
    for _ in range(3):
        clock.step(PAST_LEASE / 2)
        renew(bench.database, held, LEASE)

    assert runs_gone(bench.database, ["slow"], LEASE) == set()


def test_a_run_that_has_just_settled_is_at_work(make_bench: MakeBench, clock: Clock) -> None:
    bench = make_bench()
    bench.take_in(opened("a"))
    held = bench.claim(run="settles")
    intents = bench.begin(held)
    clock.step(PAST_LEASE)
    bench.settle(held, intents)

    assert runs_gone(bench.database, ["settles"], LEASE) == set()
