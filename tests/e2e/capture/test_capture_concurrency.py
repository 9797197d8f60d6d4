"""Two dbt processes on one warehouse: PostgreSQL has them take turns, DuckDB turns the second away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from capture_lab import LAB, CaptureLab, DuckdbDatabase, Flag, PostgresDatabase
from postgres_server import PostgresServer

WAIT_SECONDS = 90
LOCK_NAME = "signal capture lab.deal_won"
WAITING_FOR_A_LOCK = (
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)


def start_dbt(lab: CaptureLab, workspace: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **lab.environment, "LAB_TARGET_PATH": str(workspace / "target")}
    environment["DBT_LOG_PATH"] = str(workspace / "logs")
    command = [sys.executable, "-m", "dbt.cli.main", *arguments, "--target", lab.database.kind]
    command += ["--project-dir", str(LAB), "--no-use-colors"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_two_processes_build_one_signal_at_once_on_postgres(postgres_server: PostgresServer, tmp_path: Path) -> None:
    database = PostgresDatabase(postgres_server)
    lab = CaptureLab(database, tmp_path / "first")
    lab.land("2026-02-01 00:00:00", {"deal_won": [Flag("d0")]})
    assert lab.dbt("build", "--select", "+deal_won").is_success
    lab.land("2026-02-01 01:00:00", {"deal_won": [Flag(f"d{number}") for number in range(20)]})
    gate = postgres_server.connect(database.name)  # keeps both at the capture until both are there
    try:
        gate.autocommit = True
        with gate.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [LOCK_NAME])
            processes = [
                start_dbt(lab, tmp_path / name, "build", "--select", "deal_won") for name in ("second", "third")
            ]
            wait_until_both_wait(lab, processes)
            cursor.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [LOCK_NAME])
        outputs = [process.communicate(timeout=WAIT_SECONDS)[0] for process in processes]
    finally:
        gate.close()
    assert any(process.returncode == 0 for process in processes), outputs
    assert_each_event_once(lab, entities=20)
    assert lab.dbt("build", "--select", "deal_won").is_success
    assert_each_event_once(lab, entities=20)
    assert lab.one("select count(*) from lab.signal_builds where released_at is null") == 0


def wait_until_both_wait(lab: CaptureLab, processes: list[subprocess.Popen[str]]) -> None:
    for _ in range(WAIT_SECONDS * 10):
        if lab.one(WAITING_FOR_A_LOCK) >= 2:
            return
        for process in processes:
            try:
                process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"dbt ended before the two met: {process.communicate()[0]}")
    pytest.fail("the two processes never met at the capture")


def assert_each_event_once(lab: CaptureLab, entities: int) -> None:
    assert lab.one("select count(*) from lab.signal_events") == entities
    assert lab.one("select count(distinct entity_id) from lab.signal_events where episode = 1") == entities
    assert lab.one("select sum(opened + escalated + resolved) from lab.signal_builds") == entities
    numbers = [number for (number,) in lab.rows("select build_no from lab.signal_builds order by 1")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_second_process_is_turned_away_by_a_locked_duckdb_file(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    lab = CaptureLab(DuckdbDatabase(path), tmp_path / "first")
    lab.land("2026-02-01 00:00:00", {"deal_won": [Flag("d0")]})
    assert lab.dbt("build", "--select", "+deal_won").is_success
    lab.land("2026-02-01 01:00:00", {"deal_won": [Flag("d0"), Flag("d1")]})
    with duckdb.connect(str(path)):
        second = start_dbt(lab, tmp_path / "second", "build", "--select", "deal_won")
        output = second.communicate(timeout=WAIT_SECONDS)[0]
    assert second.returncode != 0
    assert "lock" in output.lower()
    assert lab.one("select count(*) from lab.signal_builds") == 1
    assert lab.dbt("build", "--select", "deal_won").events == ["deal_won: d1.1 opened:low"]
