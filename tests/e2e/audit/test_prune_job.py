"""The daily job prunes nothing until the settings say how long the past is kept, and deletes old runs of Dagster's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import DagsterInstance, job, op
from small_loop import SmallLoop

from dagster_project.contracts.vocabulary import Lifecycle
from dagster_project.ledger.controls import Person
from dagster_project.ledger.pruning import PruneRefused
from dagster_project.ledger.schema import events
from dagster_project.retention import build_prune_job, delete_old_runs, ends_by_itself, prune_all
from dagster_project.sandbox.server import SandboxServer

ADA = Person("ada", "old")


@op
def nothing() -> None:
    """Takes no time."""


@job
def idle() -> None:
    nothing()


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[SmallLoop]:
    (tmp_path / "sandbox").mkdir()
    with SandboxServer(tmp_path / "sandbox") as sandbox:
        one = SmallLoop(sandbox, tmp_path)
        yield one
        one.database.close()


def test_ended_runs_go_after_their_time_and_younger_ones_stay(tmp_path: Path) -> None:
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert idle.execute_in_process(instance=instance).success
        assert delete_old_runs(instance, datetime.now(UTC) - timedelta(days=1)) == 0
        assert delete_old_runs(instance, datetime.now(UTC) + timedelta(minutes=1)) == 1
        assert instance.get_runs_count() == 0


def test_the_job_keeps_all_history_unless_it_is_told_otherwise(tmp_path: Path, loop: SmallLoop) -> None:
    loop.flag("c1")
    loop.clock.ahead += timedelta(days=1000)
    with DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert build_prune_job(lambda: loop.around).execute_in_process(instance=instance).success
    assert len(loop.rows(events)) == 1


def test_what_stays_is_told_with_its_reason_and_too_short_a_time_is_refused(loop: SmallLoop) -> None:
    loop.flag("c1")
    while loop.run():
        pass
    loop.clock.ahead += timedelta(days=1000)
    told = list(prune_all(loop.around, timedelta(days=400), ADA, with_warehouse=False))
    assert told[0] == ("customer_churn_risk: 0 events, 0 actions and 0 attempts went; 1 events stay: episode_open"), (
        told
    )
    with pytest.raises(PruneRefused, match="Nothing was pruned"):
        list(prune_all(loop.around, timedelta(days=7), ADA, with_warehouse=False))


def test_an_occurrence_ends_by_itself_where_nothing_answers_its_escalation(loop: SmallLoop) -> None:
    assert not ends_by_itself(loop.signal), "a state may still escalate and resolve"
    once = loop.signal.model_copy(
        update={"spec": loop.signal.spec.model_copy(update={"lifecycle": Lifecycle.OCCURRENCE})}
    )
    assert ends_by_itself(once)
    assert not ends_by_itself(None), "nobody knows what a signal that is gone will be"
