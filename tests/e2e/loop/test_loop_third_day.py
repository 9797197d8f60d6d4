"""Episodes go on: a risk that rises raises its task and replies in its thread, one that ends closes the task."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from loop_driver import Loop, PlayedDays, running_loop


@pytest.fixture(scope="module")
def many_days(two_days: PlayedDays, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """Goes on from a copy of the two days that have been played already."""
    state_dir = tmp_path_factory.mktemp("many_days") / "state"
    shutil.copytree(two_days.loop.state_dir, state_dir)
    with running_loop(state_dir) as loop:
        for day in (3, 4):
            loop.play_day(day)
        yield loop


def _delivered(loop: Loop, step: str) -> list[tuple[str, str]]:
    """(entity, external id) of a step's delivered actions."""
    import sqlite3

    path: Path = loop.state_dir / "ledger.sqlite"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        return connection.execute(
            "select entity_id, external_id from actions where step = ? and state = 'delivered'", (step,)
        ).fetchall()


def test_a_resolved_risk_closes_its_own_task(many_days: Loop) -> None:
    closed = _delivered(many_days, "close_task")
    assert closed, "day 4 should resolve some episode that was acted on"
    opened = dict(_delivered(many_days, "assign_task"))
    assert all(opened[entity] == task for entity, task in closed)


def test_a_rising_risk_raises_its_task_and_replies_in_its_thread(many_days: Loop) -> None:
    raised = _delivered(many_days, "raise_task")
    assert raised, "day 3 should escalate some episode that was acted on"
    opened = dict(_delivered(many_days, "assign_task"))
    assert all(opened[entity] == task for entity, task in raised)
    alerts = dict(_delivered(many_days, "alert_team"))
    replies = _delivered(many_days, "tell_of_rise")
    assert {entity for entity, _ in replies} == {entity for entity, _ in raised}
    assert all(reply != alerts[entity] for entity, reply in replies)


def test_an_approved_order_is_sent_exactly_as_it_was_shown(many_days: Loop) -> None:
    shown = many_days.loopctl("held")
    orders = [line for line in shown.splitlines() if "create_purchase_order" in line and "needs_approval" in line]
    assert orders
    group = orders[0].split()[0]
    before = {e.idempotency_key for e in many_days.sandbox.effects("tryton")}
    assert group not in before
    refused = many_days.loopctl("approve", group, "--why", "a look", exit_status=1, answer="n\n")
    assert "would send create_purchase_order" in refused
    assert group not in {e.idempotency_key for e in many_days.sandbox.effects("tryton")}
    said = many_days.loopctl("approve", group, "--why", "checked with the buyer", "--who", "ana", "--yes")
    assert "1 actions and groups" in said
    many_days.loopctl("tick", "--no-build")
    after = [e.idempotency_key for e in many_days.sandbox.effects("tryton")]
    assert after.count(group) == 1
    assert "approved by ana" in many_days.loopctl("explain", group)
    assert "BROKEN" not in many_days.loopctl("status", "--prove")
