"""What goes wrong with a warehouse: each trouble is a skip with its reason, and the next tick has caught up."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from cut_wire import wire_to
from dagster import DagsterInstance
from loop_tick import SIGNAL, Watch, watch_on
from postgres_server import PostgresServer
from pydantic import SecretStr
from snowflake_server import SnowflakeServer
from warehouse_kits import DuckDBKit, Kit, PostgresKit, SnowflakeKit

from dagster_project.contracts.warehouse import SnowflakeTarget
from dagster_project.detect.warehouse_reading import WarehouseUnavailable, events_of, reading
from dagster_project.detect.warehouses import duckdb_file, snowflake_account

WRITER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
connection.close()
"""


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def watch(kit: Kit, tmp_path: Path) -> Iterator[Watch]:
    watching = watch_on(kit, tmp_path)
    yield watching
    watching.database.close()


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_file, "LOCK_WAIT_SECONDS", 0.3)
    monkeypatch.setattr(snowflake_account, "LOGIN_WITHIN_SECONDS", 2)
    monkeypatch.setattr(snowflake_account, "NETWORK_WITHIN_SECONDS", 2)


def capture_a_build(kit: Kit, number: int) -> None:
    """One released build with one event, as the capture writes it: the event first."""
    at = f"cast('2026-11-0{number} 00:00:00' as {kit.moment})"
    build, entity = f"'build-{number}'", f"'c{number}'"
    event = [f"'event-{number}'", build, f"'{SIGNAL}'", entity, "1", "'opened'", "'high'", "0.9", at, at, "'{}'"]
    counts = ["100", "1", "1", "0", "0"]
    row = [
        build,
        f"'{SIGNAL}'",
        str(number),
        "'captured'",
        "false",
        "'c'",
        "'k'",
        at,
        *counts,
        at,
        at,
        "cast(null as varchar)",
    ]
    kit.insert("flagged", [[entity, "'high'"]])
    kit.insert("signal_events", [event])
    kit.insert("signal_builds", [row])


def assert_catches_up(watch: Watch, instance: DagsterInstance, *builds: str) -> None:
    said = watch.tick(instance)
    assert "warehouse not read" not in said
    assert watch.builds() == set(builds)


@contextmanager
def writing_process(kit: DuckDBKit) -> Iterator[None]:
    """Another process that has the file open for writing, as dbt has during a build."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(kit.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "open\n"
        yield
    finally:
        process.communicate("close\n", timeout=30)


def test_every_warehouse_is_read_tick_by_tick(watch: Watch, kit: Kit, instance: DagsterInstance) -> None:
    assert "no new build" in watch.tick(instance)
    capture_a_build(kit, 1)
    capture_a_build(kit, 2)
    assert_catches_up(watch, instance, "build-1", "build-2")
    assert "no new build" in watch.tick(instance)
    capture_a_build(kit, 3)
    assert_catches_up(watch, instance, "build-1", "build-2", "build-3")


def test_a_missing_table_is_a_skip_and_then_caught_up(watch: Watch, kit: Kit, instance: DagsterInstance) -> None:
    capture_a_build(kit, 1)
    away, back = kit.relation("signal_events"), kit.relation("events_away")
    kit.run(f"alter table {away} rename to {'events_away' if kit.kind != 'snowflake' else back}")
    assert "warehouse not read: a query failed" in watch.tick(instance)
    assert watch.builds() == set()
    kit.run(f"alter table {back} rename to {'signal_events' if kit.kind != 'snowflake' else away}")
    assert_catches_up(watch, instance, "build-1")


def test_a_file_that_another_process_writes(tmp_path: Path, instance: DagsterInstance) -> None:
    kit = DuckDBKit(tmp_path / "warehouse.duckdb")
    kit.make_capture_tables()
    capture_a_build(kit, 1)
    watch = watch_on(kit, tmp_path)
    with writing_process(kit):
        said = watch.tick(instance)
        assert f"warehouse not read: {kit.path} is being written by another process" in said
        assert watch.builds() == set()
    assert_catches_up(watch, instance, "build-1")
    watch.database.close()


def test_a_writer_that_lets_go_within_the_wait_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_file, "LOCK_WAIT_SECONDS", 30.0)
    kit = DuckDBKit(tmp_path / "warehouse.duckdb")
    found: list[int] = []

    def read() -> None:
        with reading(kit.target) as warehouse:
            found.append(warehouse.rows("select 1")[0][0])

    with writing_process(kit):
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(timeout=0.3)
        assert found == []  # the file is locked, so nothing can have been read
    reader.join(timeout=30)
    assert found == [1]


def test_a_file_that_this_process_writes(tmp_path: Path) -> None:
    kit = DuckDBKit(tmp_path / "warehouse.duckdb")
    with (
        duckdb.connect(str(kit.path)),
        pytest.raises(WarehouseUnavailable, match="by this process"),
        reading(kit.target),
    ):
        pass


# Snowflake's client gives up on a query by a thread that asks the server, lost as it is, to cancel it
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_connection_lost_while_a_query_is_under_way(
    remote_kit: PostgresKit | SnowflakeKit, tmp_path: Path, instance: DagsterInstance
) -> None:
    capture_a_build(remote_kit, 1)
    with wire_to(remote_kit.target.port) as wire:
        target = remote_kit.through(wire.port)
        with pytest.raises(WarehouseUnavailable, match="a query failed: "), reading(target) as warehouse:
            assert warehouse.rows("select 1") == [(1,)]
            wire.is_cut = True
            events_of(warehouse, remote_kit.capture, "build-1")
        watch = watch_on(remote_kit, tmp_path, target)
        assert "warehouse not read: " in watch.tick(instance)
        assert watch.builds() == set()
        wire.is_cut = False
        assert_catches_up(watch, instance, "build-1")
        watch.database.close()


def test_a_session_that_the_server_ends_in_mid_query(postgres_server: PostgresServer) -> None:
    kit = PostgresKit(postgres_server)

    def end_it() -> None:
        ended = (
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where query like 'select pg_sleep(%' and datname = current_database()"
        )
        while kit.run(ended) == [(0,)]:
            pass

    ending = threading.Thread(target=end_it)
    with (
        pytest.raises(WarehouseUnavailable, match=r"a query failed: .*(terminating|closed the) connection"),
        reading(kit.target) as warehouse,
    ):
        ending.start()
        warehouse.rows("select pg_sleep(%s)", [30])
    ending.join(timeout=30)


def test_a_server_that_is_not_there(
    remote_kit: PostgresKit | SnowflakeKit, tmp_path: Path, instance: DagsterInstance
) -> None:
    capture_a_build(remote_kit, 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    watch = watch_on(remote_kit, tmp_path, remote_kit.through(nobody))
    said = watch.tick(instance)
    assert "cannot be reached" in said
    for secret in ("let-me-read", str(getattr(remote_kit.target, "password", SecretStr("-")).get_secret_value())):
        assert secret not in said
    watch.target = remote_kit.target
    assert_catches_up(watch, instance, "build-1")
    watch.database.close()


def test_a_wrong_password_is_told_without_it(postgres_server: PostgresServer) -> None:
    target = dataclasses.replace(PostgresKit(postgres_server).target, password=SecretStr("not-the-password"))
    with pytest.raises(WarehouseUnavailable, match="password authentication failed") as caught, reading(target):
        pass
    assert "not-the-password" not in str(caught.value)


def test_a_suspended_warehouse(snowflake_server: SnowflakeServer, tmp_path: Path, instance: DagsterInstance) -> None:
    kit = SnowflakeKit(snowflake_server, "suspended")
    kit.make_capture_tables()
    capture_a_build(kit, 1)
    watch = watch_on(kit, tmp_path)
    snowflake_server.suspended.touch()
    try:
        assert "warehouse not read: a query failed: 000606 (57P03): " in watch.tick(instance)
    finally:
        snowflake_server.suspended.unlink()
    assert watch.builds() == set()
    assert_catches_up(watch, instance, "build-1")
    watch.database.close()


def test_no_secret_is_seen_in_a_target(snowflake_server: SnowflakeServer) -> None:
    target = SnowflakeKit(snowflake_server, "seen").target
    shown: SnowflakeTarget = dataclasses.replace(target, private_key_passphrase=SecretStr("open-sesame"))
    assert "let-me-read" not in repr(shown)
    assert "open-sesame" not in repr(shown)
