"""A ledger restored from day 1's backup meets the warehouse of day 3: nothing that day 2 did is done a second time."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from loop_driver import Loop, running_loop

from dagster_project.sandbox.effects import Effect

KEYED = ("tasks.upsert", "purchase.purchase.create", "project.work.create", "chat.postMessage", "send")


pytestmark = pytest.mark.long


@dataclass
class RestoredLoop:
    """What was seen on the way."""

    loop: Loop
    after_day_2: tuple[Effect, ...]
    first_tick: str  # what was said when the restored ledger was recognised
    after_first_tick: tuple[Effect, ...]
    held: dict[str, int] = field(default_factory=dict)  # by destination, once nothing is to be asked any more


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestoredLoop]:
    with running_loop(tmp_path_factory.mktemp("restored") / "state") as loop:
        loop.play_day(1)
        backup = loop.state_dir / "backup.sqlite"
        copy_ledger(loop.state_dir / "ledger.sqlite", backup)
        loop.play_day(2)
        after_day_2 = tuple(loop.sandbox.effects())
        for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
            (loop.state_dir / name).unlink(missing_ok=True)
        copy_ledger(backup, loop.state_dir / "ledger.sqlite")
        said = loop.loopctl("tick", "--no-build", exit_status=None)
        yield RestoredLoop(loop, after_day_2, said, tuple(loop.sandbox.effects()), held_by_destination(loop))


def copy_ledger(source: Path, target: Path) -> None:
    """SQLite's own backup, as the runbook has it."""
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    old.close()
    new.close()


def ledger_rows(loop: Loop, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(loop.state_dir / "ledger.sqlite")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def held_by_destination(loop: Loop) -> dict[str, int]:
    rows = ledger_rows(
        loop,
        "select destination, count(*) from actions where state = 'held' and reason = 'restored_ledger' "
        "and group_id is null group by 1",
    )
    return dict(rows)


def keyed(effects: tuple[Effect, ...]) -> Counter[str]:
    """Every effect that carries its action's key; an upsert that found its record again counts too."""
    return Counter(e.idempotency_key for e in effects if e.operation in KEYED and e.idempotency_key)


def test_no_key_and_no_entity_has_a_second_effect(restored: RestoredLoop) -> None:
    assert sum(keyed(restored.after_day_2).values()) > 20, "day 2 should have done a lot"
    assert keyed(restored.after_first_tick) == keyed(restored.after_day_2)
    made = Counter((e.operation, e.entity) for e in restored.after_first_tick if e.entity and e.is_created)
    assert made == Counter((e.operation, e.entity) for e in restored.after_day_2 if e.entity and e.is_created)


def test_what_can_be_asked_about_is_found_and_the_rest_is_held_in_words(restored: RestoredLoop) -> None:
    assert "restored_ledger ledger:" in restored.first_tick, restored.first_tick
    # Mail cannot be asked about. A message to a buyer names an order that was held for approval, and still is.
    assert restored.held["email"] and set(restored.held) <= {"email", "slack"}, restored.held
    assert restored.held.get("slack", 0) <= 2, restored.held
    (restored_row,) = ledger_rows(restored.loop, "select detail from audit where verb = 'restored'")
    assert "newer than the ledger" in restored_row[0]
    delivered = dict(
        ledger_rows(
            restored.loop,
            "select destination, count(*) from actions where state = 'delivered' and group_id is null group by 1",
        )
    )
    assert {"hubspot", "tryton", "slack"} <= set(delivered)


def test_status_explain_and_an_incident_tell_of_it(restored: RestoredLoop) -> None:
    status = restored.loop.status()
    told = [signal["reasons"].get("held", {}).get("restored_ledger", 0) for signal in status["signals"]]
    assert sum(told) >= sum(restored.held.values()) > 0
    assert all(law["broken"] == 0 for law in status["laws"]), status["laws"]
    (entity,) = ledger_rows(
        restored.loop,
        "select entity_id from actions where state = 'held' and reason = 'restored_ledger' and entity_id is not null "
        "limit 1",
    )[0]
    assert "restored_ledger" in restored.loop.loopctl("explain", entity)
    assert ledger_rows(restored.loop, "select kind from incidents where kind = 'restored_ledger'")


def test_the_loop_goes_on_and_a_person_decides_by_range(restored: RestoredLoop) -> None:
    before = keyed(tuple(restored.loop.sandbox.effects()))
    restored.loop.play_day(3)
    after = keyed(tuple(restored.loop.sandbox.effects()))
    assert sum(after.values()) > sum(before.values()), "new work is done as ever"
    assert max(after.values()) == 1
    done = restored.loop.loopctl(
        *("mark-done", "--reason", "restored_ledger", "--destination", "email", "--until", "2100-01-01"),
        *("--why", "it went out"),
    )
    assert f"mark-done: {restored.held['email']}" in done
    restored.loop.loopctl("tick", "--no-build", exit_status=None)
    assert max(keyed(tuple(restored.loop.sandbox.effects())).values()) == 1
    assert "email" not in held_by_destination(restored.loop)
    assert "BROKEN" not in restored.loop.loopctl("status", "--prove", exit_status=None)
