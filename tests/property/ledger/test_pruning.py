"""Two ledgers live through the same history, one is pruned at random times: they decide alike ever after."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_bench import DELIVERED, REJECTED, UNKNOWN, Bench, Clock, Happening, signal_of, step
from test_ledger_machine import OWNER, empty_ledger

from dagster_project.contracts.catalog import CaptureRelations, Catalog
from dagster_project.contracts.vocabulary import Kind, Severity
from dagster_project.ledger.controls import Person
from dagster_project.ledger.database import Database
from dagster_project.ledger.pruning import Horizon, prune_signal
from dagster_project.ledger.schema import builds, pruned_deeds
from dagster_project.ledger.work import earlier_work
from dagster_project.verify.status import read_status

ADA = Person("ada", "old enough")
DAY = 86400.0
KEEP = timedelta(days=20)
SIGNAL = signal_of(
    step("order", role="erp", group_by="row.owner"),
    step("join"),
    step("tell", role="chat", needs=("join",)),
    step("raise_it", on=("escalated",), follows="join"),
    step("close", on=("resolved",), follows="join"),
    cool_down={"days": 45},
    guards={"opened": {"count": 3}},
)
CAPTURE = CaptureRelations(incarnation="i", builds="b", events="e", state="s")
ANSWERS = {"delivered": DELIVERED, "rejected": REJECTED, "unknown": UNKNOWN}


@dataclass
class Episode:
    number: int = 0
    severity: Severity | None = None  # None while the entity is not flagged


@dataclass
class Twin:
    """One of the two ledgers; both see the same warehouse at the same time."""

    bench: Bench
    episodes: dict[str, Episode] = field(default_factory=lambda: {name: Episode() for name in OWNER})

    def happening(self, entity: str, rises: bool) -> Happening:
        one, row = self.episodes[entity], {"owner": OWNER[entity]}
        if one.severity is None:
            one.number, one.severity = one.number + 1, Severity.HIGH
            return Happening(entity, Kind.OPENED, one.number, Severity.HIGH, row)
        if rises and one.severity is Severity.HIGH:
            one.severity = Severity.CRITICAL
            return Happening(entity, Kind.ESCALATED, one.number, Severity.CRITICAL, row)
        severity, one.severity = one.severity, None
        return Happening(entity, Kind.RESOLVED, one.number, severity, row)

    def decided(self) -> dict[str, tuple[Any, ...]]:
        return {
            row.action_id: (row.state, row.reason, row.is_ready, row.group_id, row.external_id)
            for row in self.bench.rows()
        }

    def remembers(self) -> list[dict[str, Any]]:
        names = ("order", "join", "tell")
        return [earlier_work(self.bench.database, SIGNAL.name, name, sorted(OWNER)) for name in names]


@contextmanager
def twins() -> Iterator[tuple[Twin, Twin, Clock]]:
    folder, clock = Path(tempfile.mkdtemp(prefix="pruning-")), Clock()
    databases = []
    for name in ("whole", "pruned"):
        shutil.copyfile(empty_ledger(), folder / f"{name}.sqlite")
        databases.append(Database(f"sqlite:///{folder / f'{name}.sqlite'}", clock))
    try:
        whole, pruned = (Twin(Bench(database, clock, SIGNAL)) for database in databases)
        yield whole, pruned, clock
    finally:
        for database in databases:
            database.close()
        shutil.rmtree(folder)


MOVES = st.one_of(
    st.tuples(st.just("build"), st.dictionaries(st.sampled_from(sorted(OWNER)), st.booleans(), min_size=1)),
    st.tuples(st.just("run"), st.sampled_from(sorted(ANSWERS))),
    st.tuples(st.just("run"), st.just("delivered")),
    st.tuples(st.just("days"), st.sampled_from((1, 15, 30, 60))),
    st.tuples(st.just("prune"), st.none()),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(moves=st.lists(MOVES, min_size=6, max_size=24))
def test_a_pruned_ledger_decides_as_a_whole_one(moves: list[tuple[str, Any]]) -> None:
    live_alike(moves)


@pytest.mark.long
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(moves=st.lists(MOVES, min_size=10, max_size=40))
def test_a_pruned_ledger_decides_as_a_whole_one_for_longer(moves: list[tuple[str, Any]]) -> None:
    live_alike(moves)


def live_alike(moves: list[tuple[str, Any]]) -> None:
    with twins() as (whole, pruned, clock):
        for move, how in [*moves, ("days", 60), ("prune", None), ("build", dict.fromkeys(sorted(OWNER), False))]:
            if move == "build":
                for twin in (whole, pruned):
                    happened = [twin.happening(entity, rises) for entity, rises in sorted(how.items())]
                    twin.bench.put(*with_clock(twin.bench.build(*happened), clock))
            elif move == "run":
                for twin in (whole, pruned):
                    twin.bench.run(ANSWERS[how])
            elif move == "days":
                clock.step(how * DAY)
            else:
                prune_signal(pruned.bench.database, SIGNAL.name, Horizon(clock() - KEEP), ADA)
            if move in ("build", "prune"):
                assert_alike(whole, pruned)


def with_clock(made: tuple[Any, list[Any]], clock: Clock) -> tuple[Any, list[Any]]:
    """The build and its events as of now: the bench dates them all to its beginning."""
    build, happened = made
    return replace(build, captured_at=clock(), released_at=clock()), [replace(e, emitted_at=clock()) for e in happened]


def assert_alike(whole: Twin, pruned: Twin) -> None:
    """Whatever the pruned one still has is as in the whole one, and it is asked the same, it says the same."""
    assert pruned.bench.broken_laws() == []
    every, kept = whole.decided(), pruned.decided()
    assert {action_id: every[action_id] for action_id in kept} == kept
    assert pruned.remembers() == whole.remembers()
    assert totals_of(pruned) == totals_of(whole)
    gone = set(every) - set(kept)
    assert all(every[action_id][0] in ("delivered", "suppressed") for action_id in gone)


def totals_of(twin: Twin) -> tuple[Any, ...]:
    catalog = Catalog(
        sources_hash="", warehouse="duckdb", capture=CAPTURE, signals={SIGNAL.name: SIGNAL}, quarantined={}, models={}
    )
    with twin.bench.database.reading() as connection:
        (found,) = read_status(connection, catalog, twin.bench.clock()).signals
    return found.builds, found.events, found.unplanned, found.actions, found.reasons, found.is_sla_kept


def test_what_is_ended_and_settled_goes_and_the_rest_stays() -> None:
    with twins() as (_, twin, clock):
        for happened in ({"a": False, "b": False}, {"a": False}, {"a": False}):
            made = twin.bench.build(*(twin.happening(entity, rises) for entity, rises in happened.items()))
            twin.bench.put(*with_clock(made, clock))
            twin.bench.run_until_quiet()
            clock.step(50 * DAY)
        report = prune_signal(twin.bench.database, SIGNAL.name, Horizon(clock() - KEEP), ADA, is_dry_run=True)
        assert (report.events, dict(report.kept)) == (2, {"episode_open": 2})
        assert len(twin.bench.rows()) > report.actions
        done = prune_signal(twin.bench.database, SIGNAL.name, Horizon(clock() - KEEP), ADA)
        assert (done.events, done.actions, done.attempts) == (report.events, report.actions, report.attempts)
        assert {row.entity_id for row in twin.bench.rows(pruned_deeds)} == {"a"}
        assert [row.pruned_events for row in twin.bench.rows(builds)] == [1, 1, 0]
        assert twin.bench.broken_laws() == []
