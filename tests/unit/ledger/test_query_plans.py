"""No question that the loop asks all the time reads a growing table from end to end, on either database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random

import pytest
from ledger_bench import FAILED, LEASE, REJECTED, RETRY, SERVER_LIMIT, Bench, Clock, MakeBench, opened, step
from query_plans import recording
from sqlalchemy import Connection, text

from dagster_project.contracts.catalog import CaptureRelations, Catalog
from dagster_project.contracts.vocabulary import Mode
from dagster_project.ledger.claims import due_count, release
from dagster_project.ledger.database import Database
from dagster_project.ledger.intake import baseline_through, known_builds
from dagster_project.ledger.modes import declare_mode
from dagster_project.ledger.removed_signals import hold_removed
from dagster_project.ledger.sweep import SweepPolicy
from dagster_project.ledger.unknown_outcomes import unknown_count
from dagster_project.verify.alerting import ledger_conditions
from dagster_project.verify.explain import explain
from dagster_project.verify.guarded import read_guarded
from dagster_project.verify.status import read_status

ENTITIES, BUILDS = 250, 8
STEPS = (step("call"), step("tell", role="chat", needs=("call",)), step("order", role="erp", group_by="row.supplier"))


def entities(build: int) -> list[str]:
    return [f"e{build}-{n}" for n in range(ENTITIES)]


@pytest.fixture
def large(make_bench: MakeBench, clock: Clock) -> Iterator[Bench]:
    """Two thousand events and six thousand actions: most of them delivered, some of each other state, the last due."""
    bench = make_bench(*STEPS, guards={"opened": {"count": 100_000}})
    for build in range(BUILDS):
        bench.take_in(*(opened(entity, supplier=f"s{n % 5}") for n, entity in enumerate(entities(build))))
        if build < BUILDS - 1:
            held = bench.claim()
            intents = bench.begin(held, "call") + bench.begin(held, "order")
            bench.settle(held, intents[:4], FAILED)
            bench.settle(held, intents[4:8], REJECTED)
            bench.settle(held, intents[8:])
            bench.settle(held, bench.begin(held, "tell"))
            release(bench.database, held)
        clock.step(timedelta(days=5).total_seconds())
    _collect_statistics(bench.database)
    yield bench


def _collect_statistics(database: Database) -> None:
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("analyze"))


def catalog_of(bench: Bench) -> Catalog:
    capture = CaptureRelations(incarnation="i", builds="b", events="e", state="s")
    signals = {bench.signal.name: bench.signal}
    return Catalog(sources_hash="", warehouse="duckdb", capture=capture, signals=signals, models={})


def tick(bench: Bench) -> None:
    known_builds(bench.database, bench.signal.name)
    declare_mode(bench.database, bench.signal.name, Mode.LIVE)
    baseline_through(bench.database, bench.signal.name, 0)
    assert due_count(bench.database, bench.signal.name) > 100
    unknown_count(bench.database, bench.signal.name)


def one_run(bench: Bench) -> None:
    """Claim, rendering, intents, settling, and giving back the rest."""
    held = bench.claim(limit=50)
    assert held.count == 50
    bench.settle(held, bench.begin(held))
    release(bench.database, held)


def a_dead_run_s_work(bench: Bench) -> None:
    bench.begin(bench.claim(limit=20, run="dead"))
    bench.clock.step(LEASE.total_seconds() + SERVER_LIMIT)
    assert bench.claim(limit=10).count == 10


def tidying(bench: Bench) -> None:
    hold_removed(bench.database, {bench.signal.name}, SweepPolicy(RETRY, Random(1), SERVER_LIMIT))


def status(bench: Bench) -> None:
    with bench.database.reading() as connection:
        (found,) = read_status(connection, catalog_of(bench), bench.clock()).signals
    assert found.actions["delivered"] > 2000


def alerts(bench: Bench) -> None:
    assert ledger_conditions(bench.database, catalog_of(bench))


def story(bench: Bench) -> None:
    with bench.database.reading() as connection:
        assert explain(connection, catalog_of(bench), entities(1)[7])


def guarded(bench: Bench) -> None:
    read_guarded(bench.database)


QUESTIONS: tuple[Callable[[Bench], None], ...] = (
    tick, one_run, a_dead_run_s_work, tidying, status, alerts, story, guarded,
)  # fmt: skip


def test_what_is_asked_all_the_time_is_found_by_index(large: Bench) -> None:
    found: list[str] = []
    for question in QUESTIONS:
        with recording(large.database.engine) as made:
            question(large)
        assert made.statements
        with large.database.engine.connect() as connection:
            _prefer_indexes(connection)
            found += [f"{question.__name__}: {line}" for line in made.whole_reads(connection)]

    assert found == []


def _prefer_indexes(connection: Connection) -> None:
    """PostgreSQL rightly reads a small table whole; what matters is whether it could do without in a large one."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("set local enable_seqscan = off"))


def test_a_whole_read_would_be_noticed(large: Bench) -> None:
    queries = ("select * from actions where detail = 'x'", "select max(sealed_at) from audit_batches")
    with recording(large.database.engine) as made, large.database.reading() as connection:
        for query in queries:
            connection.execute(text(query))
    with large.database.engine.connect() as connection:
        _prefer_indexes(connection)
        assert len(made.whole_reads(connection)) == len(queries)
