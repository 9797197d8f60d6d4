"""What a restored ledger does not know of is asked about by its key at every kind of destination, and sent by none."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_loop import SmallLoop

from dagster_project.ledger.claims import due_count
from dagster_project.ledger.controls import Person, Selection, approve, mark_done
from dagster_project.ledger.intake import bind_incarnation
from dagster_project.ledger.marks import DatabaseMarks, FileMarks, mark_place
from dagster_project.ledger.restoring import advance
from dagster_project.ledger.unknown_outcomes import unknown_count
from dagster_project.sandbox.server import SandboxServer
from dagster_project.verify.alerting import LEDGER_RESTORED, ledger_conditions
from dagster_project.verify.conservation import prove

ADA = Person("ada", "looked at it")


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxServer]:
    (tmp_path / "sandbox").mkdir()
    with SandboxServer(tmp_path / "sandbox") as server:
        yield server


@pytest.fixture(params=["file", pytest.param("database", marks=pytest.mark.long)])
def loop(request: pytest.FixtureRequest, tmp_path: Path, sandbox: SandboxServer) -> Iterator[SmallLoop]:
    more = {"ledger_mark": f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"} if request.param == "database" else {}
    one = SmallLoop(sandbox, tmp_path, more_settings=more)
    bind_incarnation(one.database, "w1")
    yield one
    one.database.close()


def advance_as_a_sensor_does(loop: SmallLoop) -> None:
    advance(loop.database, mark_place(loop.settings.ledger_mark_address))


def restored(loop: SmallLoop, backup: Path) -> SmallLoop:
    """The same loop on the ledger of the backup, with the warehouse as it is now."""
    loop.database.close()
    for old in loop.folder.glob("ledger.sqlite*"):
        old.unlink()
    shutil.copyfile(backup, loop.folder / "ledger.sqlite")
    again = SmallLoop(loop.sandbox, loop.folder, loop.signal, loop.more_settings)
    again.builds = loop.builds
    return again


def backed_up(loop: SmallLoop) -> Path:
    target = loop.folder / "backup.sqlite"
    with sqlite3.connect(loop.folder / "ledger.sqlite") as old, sqlite3.connect(target) as new:
        old.backup(new)
    old.close()
    new.close()
    return target


def run_until_quiet(loop: SmallLoop) -> None:
    """Runs for as long as a sensor would ask for them."""
    for _ in range(10):
        if not due_count(loop.database, loop.signal.name) + unknown_count(loop.database, loop.signal.name):
            return
        loop.run()
    raise AssertionError(f"it never comes to rest: {loop.said}")


def effects(loop: SmallLoop) -> Counter[tuple[str, str]]:
    """What was made, by its key or entity; an upsert that found its record again made nothing."""
    return Counter((e.operation, e.idempotency_key or e.entity or "") for e in loop.sandbox.effects() if e.is_created)


def test_waiting_work_that_was_done_after_the_backup_is_found_and_not_done_again(loop: SmallLoop) -> None:
    loop.flag("c1", "c2")
    advance_as_a_sensor_does(loop)
    backup = backed_up(loop)
    run_until_quiet(loop)
    before = effects(loop)
    delivered = {row.action_id: row.external_id for row in loop.rows(state="delivered")}
    assert len(delivered) == 12, "five steps for each of two, and the order's two groups"

    again = restored(loop, backup)
    run_until_quiet(again)
    assert effects(again) == before
    found = {row.action_id: row.external_id for row in again.rows(state="delivered")}
    assert found.items() <= delivered.items() and len(found) == 10
    assert {(row.step, row.reason) for row in again.rows(state="held")} == {("write", "restored_ledger")}
    assert again.run() == 0
    with again.database.reading() as connection:
        assert [proof for proof in prove(connection) if not proof.holds] == []
    (condition,) = [c for c in ledger_conditions(again.database, again.around.catalog) if c.kind == LEDGER_RESTORED]
    assert "2 actions and groups may have been done" in condition.summary

    assert mark_done(again.database, Selection(reason="restored_ledger", signal=again.signal.name), ADA) == 2
    run_until_quiet(again)
    assert effects(again) == before
    with again.database.reading() as connection:
        assert [proof for proof in prove(connection) if not proof.holds] == []
    assert not [c for c in ledger_conditions(again.database, again.around.catalog) if c.kind == LEDGER_RESTORED]
    again.database.close()


def test_what_was_not_done_goes_on_once_that_is_proven_and_a_person_releases_the_rest(loop: SmallLoop) -> None:
    loop.flag("c1")
    advance_as_a_sensor_does(loop)
    backup = backed_up(loop)
    advance_as_a_sensor_does(loop)  # a run claimed something else meanwhile; nothing of this was sent
    again = restored(loop, backup)
    again.run()
    assert again.rows(state="held", reason="restored_ledger"), "Slack may still be at work on it, mail cannot be asked"
    again.clock.ahead += again.settings.lease_within
    run_until_quiet(again)
    done = {row.step for row in again.rows(state="delivered")}
    assert {"join", "call", "order"} <= done
    approve(again.database, Selection(reason="restored_ledger", signal=again.signal.name), ADA)
    run_until_quiet(again)
    assert {row.state for row in again.rows()} == {"delivered"}
    assert max(effects(again).values()) == 1
    again.database.close()


def test_the_ledger_that_goes_on_is_never_taken_for_a_restored_one(loop: SmallLoop) -> None:
    for entity in ("c1", "c2"):
        loop.flag(entity)
        advance_as_a_sensor_does(loop)
        run_until_quiet(loop)
    assert {row.state for row in loop.rows()} == {"delivered"}


def test_a_place_is_named_by_its_address(tmp_path: Path) -> None:
    assert mark_place(str(tmp_path / "mark.json")) == FileMarks(tmp_path / "mark.json")
    assert mark_place("postgresql://loop@host/marks") == DatabaseMarks("postgresql://loop@host/marks")
