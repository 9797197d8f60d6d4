"""A real dbt build dies before its commit, before its release, or right after it; the next build makes it good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from crash_lab import HERE
from dying_build import BUILD_POINTS
from e2e.capture.capture_lab import LAB, CaptureLab, DuckdbDatabase, Flag, PostgresDatabase
from postgres_server import PostgresServer

KILLS = ("SIGKILL", "SIGTERM")
ENDS_WITHIN_SECONDS = 180
MODEL = "deal_won"


def _cases() -> list[object]:
    cases = []
    for point in BUILD_POINTS:
        for by in KILLS:
            for database in ("duckdb", "postgres"):
                is_daily = database == "duckdb" and (by == "SIGKILL" or point == "build_committed")
                marks = () if is_daily else (pytest.mark.long,)
                cases.append(pytest.param(database, point, by, id=f"{database}-{point}-{by}", marks=marks))
    return cases


@pytest.fixture
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> CaptureLab:
    kind = request.node.callspec.params["database"]
    if kind == "duckdb":
        return CaptureLab(DuckdbDatabase(tmp_path / "warehouse.duckdb"), tmp_path / "dbt")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return CaptureLab(PostgresDatabase(server), tmp_path / "dbt")


def _build(lab: CaptureLab, **environment: str) -> subprocess.CompletedProcess[str]:
    """A dbt build in a process of its own: a finished one lets go of DuckDB's file."""
    base = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}
    words = ["build", "--select", f"+{MODEL}", "--target", lab.database.kind, "--project-dir", str(LAB), "--quiet"]
    return subprocess.run(
        [sys.executable, str(HERE / "dying_build.py"), MODEL, *words],
        env={**base, **lab.environment, **environment},
        capture_output=True, text=True, timeout=ENDS_WITHIN_SECONDS, check=False,
    )  # fmt: skip


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stdout + done.stderr)[-2000:]


@pytest.mark.parametrize(("database", "point", "by"), _cases())
def test_what_a_dead_build_found_is_released_once(warehouse: CaptureLab, database: str, point: str, by: str) -> None:
    warehouse.land("2026-02-01 00:00:00", {MODEL: [Flag("d0")]})
    first = _build(warehouse)
    assert first.returncode == 0, _said(first)
    warehouse.land("2026-02-01 01:00:00", {MODEL: [Flag("d0", "high"), Flag("d1")]})

    died = _build(warehouse, CRASH_BUILD_AT=point, CRASH_BUILD_BY=by)
    assert died.returncode == -signal.Signals[by], f"{point} was not reached: {_said(died)}"

    released = "select count(*) from lab.signal_builds where build_no = 2 and released_at is not null"
    captured = "select count(*) from lab.signal_builds where build_no = 2"
    assert warehouse.one(captured) == (0 if point == "build_open" else 1)
    assert warehouse.one(released) == (1 if point == "build_released" else 0)
    assert warehouse.one("select count(*) from lab.signal_events") == (1 if point == "build_open" else 3)

    warehouse.land("2026-02-01 02:00:00", {MODEL: [Flag("d0", "high"), Flag("d1"), Flag("d2")]})
    again = _build(warehouse)
    assert again.returncode == 0, _said(again)
    assert warehouse.rows(
        "select entity_id, kind, severity, count(*) from lab.signal_events group by 1, 2, 3 order by 1, 2, 3"
    ) == [("d0", "escalated", "high", 1), ("d0", "opened", "low", 1), ("d1", "opened", "low", 1),
          ("d2", "opened", "low", 1)]  # fmt: skip
    builds = warehouse.rows(
        "select b.build_no, b.opened + b.escalated + b.resolved, count(e.event_id), b.released_at is not null "
        "from lab.signal_builds b left join lab.signal_events e on e.build_id = b.build_id "
        "where b.build_no is not null group by b.build_no, b.opened, b.escalated, b.resolved, b.released_at order by 1"
    )
    assert [row[0] for row in builds] == list(range(1, len(builds) + 1)), "builds are numbered without a gap"
    assert all(said == found and is_released for _, said, found, is_released in builds)
