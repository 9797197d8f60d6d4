"""Broken surroundings: a clear error, nothing sent that is not on record, nothing lost once they are mended."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from e2e.bad_input.disturbed_loop import (
    IMPATIENT,
    BuiltLoop,
    Effects,
    act,
    act_until_done,
    change_ledger,
    effects,
    rows,
)
from e2e.loop.loop_driver import Loop

from dagster_project.cli.ticking import act_on_all, dagster_instance, detect_all
from dagster_project.ledger.database import Database, utc_now
from dagster_project.prepare import current_catalog
from dagster_project.respond.action_run import Surroundings
from dagster_project.respond.bindings import bind_roles
from dagster_project.respond.destinations.hubspot import HubSpot, HubSpotConnection
from dagster_project.settings import Settings


def test_an_unreachable_destination_waits_and_recovers(built: BuiltLoop, undisturbed: Effects) -> None:
    with built.fresh(**IMPATIENT) as loop:
        nowhere = Loop(loop.state_dir, loop.sandbox, {**loop.more_environment, **_to_a_closed_port()})
        act(nowhere, exit_status=None)
        assert rows(loop, "select count(*) from actions where state in ('dead', 'delivered')") == [(0,)]
        opened = rows(loop, "select count(*) from audit where verb = 'circuit_opened' and detail like 'hubspot%'")
        assert opened == [(1,)], "one alert for the whole destination"
        assert "waiting: unreachable" in nowhere.loopctl("status", exit_status=None)
        act_until_done(loop)
        assert effects(loop) == undisturbed
        assert "BROKEN" not in loop.loopctl("status", "--prove")


def _to_a_closed_port() -> dict[str, str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    return {"LOOP_SANDBOX_PORT": port, "LOOP_SANDBOX_SMTP_PORT": port}


def test_a_wrong_token_pauses_the_whole_destination_with_one_alert(built: BuiltLoop, undisturbed: Effects) -> None:
    with built.fresh() as loop:
        wrong = Loop(loop.state_dir, loop.sandbox, {**loop.more_environment, **_hubspot_with(loop, "a-wrong-token")})
        act(wrong)
        assert [subject for (subject,) in rows(loop, "select subject from pauses")] == ["destination:hubspot"]
        assert rows(loop, "select count(*) from audit where verb = 'paused'") == [(1,)]
        states = "select state, max(attempts) from actions where destination = 'hubspot' and state <> 'suppressed' "
        assert rows(loop, states + "group by state") == [("waiting", 0)], "no attempt is burnt"
        assert not [key for key in effects(loop) if key[0] == "hubspot"]
        assert [key for key in effects(loop) if key[0] == "tryton"], "other destinations go on"
        calls = loop.calls()
        act(wrong)
        assert loop.calls() == calls, "a paused destination is not asked again"
        said = wrong.loopctl("status", exit_status=1)
        assert "paused: destination:hubspot" in said
        assert "a-wrong-token" not in said
        act(loop)
        assert loop.calls() == calls, "the right token alone does not end a pause"
        loop.loopctl("resume", "destination:hubspot", "--why", "renewed the token")
        act_until_done(loop)
        assert effects(loop) == undisturbed


def _hubspot_with(loop: Loop, token: str) -> dict[str, str]:
    connection = HubSpot.sandbox_connection(loop.sandbox.address)
    assert isinstance(connection, HubSpotConnection)
    return {"LOOP_DESTINATIONS__HUBSPOT__BASE_URL": connection.base_url, "LOOP_DESTINATIONS__HUBSPOT__TOKEN": token}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="a small disk is mounted, which takes root")
@pytest.mark.parametrize("is_planned", [False, True], ids=["before_planning", "before_the_intents"])
def test_a_full_disk_lets_nothing_out_without_a_recorded_intent(
    built: BuiltLoop, undisturbed: Effects, tmp_path: Path, is_planned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with built.fresh() as loop, _small_disk(tmp_path, loop.state_dir / "ledger.sqlite") as disk:
        on_it = Loop(
            loop.state_dir,
            loop.sandbox,
            {**loop.more_environment, "LOOP_LEDGER_URL": f"sqlite:///{disk / 'ledger.sqlite'}", **IMPATIENT},
        )
        if is_planned:
            _pass_under_clock(on_it, timedelta(0), monkeypatch, is_acting=False)
        _fill(disk)
        said = act(on_it, exit_status=1)
        assert effects(loop) == {}
        assert "Traceback" not in said, said
        assert is_planned or "disk" in said, said
        (disk / "filler").unlink()
        act_until_done(on_it)
        assert effects(loop) == undisturbed


@contextmanager
def _small_disk(folder: Path, ledger: Path) -> Iterator[Path]:
    """A disk of 8 MB with a copy of the ledger."""
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode()}")
    try:
        shutil.copyfile(ledger, disk / "ledger.sqlite")
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)


def test_a_ledger_that_cannot_be_written_lets_nothing_out(built: BuiltLoop, undisturbed: Effects) -> None:
    with built.fresh() as loop:
        read_only = f"sqlite:///file:{loop.state_dir / 'ledger.sqlite'}?mode=ro&uri=true"
        locked = Loop(loop.state_dir, loop.sandbox, {**loop.more_environment, "LOOP_LEDGER_URL": read_only})
        said = act(locked, exit_status=1)
        assert "readonly" in said and "Traceback" not in said, said
        assert loop.calls() == 0
        act(loop)
        assert effects(loop) == undisturbed


def test_a_ledger_of_another_warehouse_is_refused(built: BuiltLoop) -> None:
    with built.fresh() as loop:
        import duckdb

        with duckdb.connect(str(loop.state_dir / "warehouse.duckdb")) as connection:
            connection.execute("update analytics.signal_incarnation set incarnation_id = 'another-warehouse'")
        said = act(loop, exit_status=1)
        assert "another-warehouse" in said
        assert "Traceback" not in said
        assert loop.calls() == 0
        assert rows(loop, "select count(*) from builds where build_no = 2") == [(0,)]


def test_a_newer_ledger_under_older_code_is_refused(built: BuiltLoop) -> None:
    with built.fresh() as loop:
        change_ledger(loop, "update ledger_version set version_num = '9999'")
        said = act(loop, exit_status=1)
        assert "at version 9999" in said
        assert "newer code has written it" in said
        assert "Traceback" not in said
        assert loop.calls() == 0


def test_a_stale_catalog_is_refused_by_the_running_side(built: BuiltLoop, tmp_path: Path) -> None:
    """`tick` makes the catalog anew; Dagster's light location does not load, so no sensor and no job can run."""
    with built.fresh() as loop:
        playbooks = tmp_path / "playbooks"
        shutil.copytree(Settings(_env_file=None).playbooks_dir, playbooks)
        (playbooks / "another.yaml").write_text("# changed\n", encoding="utf-8")
        changed = {**loop.environment, "LOOP_PLAYBOOKS_DIR": str(playbooks)}
        command = [sys.executable, "-c", "import dagster_project.activate"]
        done = subprocess.run(command, env=changed, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "is stale" in done.stderr
        assert "Renew it with `loopctl prepare`" in done.stderr
        assert loop.calls() == 0


@pytest.mark.parametrize("hours", [1, -1], ids=["an_hour_ahead", "an_hour_behind"])
def test_a_clock_that_is_off_repeats_nothing_and_loses_nothing(
    built: BuiltLoop, undisturbed: Effects, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is done under the wrong clock; under the right one there is nothing left to do."""
    with built.fresh() as loop:
        _pass_under_clock(loop, timedelta(hours=hours), monkeypatch)
        assert effects(loop) == undisturbed
        calls = loop.calls()
        act(loop)
        assert loop.calls() == calls
        assert "BROKEN" not in loop.loopctl("status", "--prove", exit_status=None)


def test_work_planned_under_a_clock_an_hour_ahead_waits_for_its_moment(
    built: BuiltLoop, undisturbed: Effects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that is set back leaves work due in the future: it waits, is not lost, and is done once."""
    with built.fresh() as loop:
        _pass_under_clock(loop, timedelta(hours=1), monkeypatch, is_acting=False)
        act(loop)
        assert effects(loop) == {}
        waiting = rows(loop, "select count(*) from actions where state = 'waiting'")
        assert waiting[0][0] > 0
        _pass_under_clock(loop, timedelta(hours=1), monkeypatch)
        assert effects(loop) == undisturbed


def _pass_under_clock(loop: Loop, offset: timedelta, monkeypatch: pytest.MonkeyPatch, is_acting: bool = True) -> None:
    """One pass with the ledger's clock off by so much."""
    with monkeypatch.context() as patched:
        for name, value in loop.environment.items():
            if name.startswith("LOOP_"):
                patched.setenv(name, value)
        settings = Settings(_env_file=None)
        database = Database(settings.ledger_address, lambda: utc_now() + offset)
        around = Surroundings(
            settings=settings, catalog=current_catalog(settings), database=database, bindings=bind_roles(settings)
        )
        detect_all(around, lambda text: None)
        if is_acting:
            with dagster_instance(settings) as instance:
                act_on_all(around, instance, lambda text: None)
        database.close()
