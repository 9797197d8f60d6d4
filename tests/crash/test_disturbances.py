"""The surroundings fail: the ledger's server restarts, the warehouse is locked, a clock jumps, a disk fills."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import postgres_server as server_parts
import pytest
from crash_lab import LONG_LEASE_SECONDS, CrashLab, MakeLab, until
from invariants import check_invariants

from dagster_project.ledger.database import open_database
from dagster_project.ledger.schema import actions, attempts, events

HOUR = 3600.0


# --- PostgreSQL


class RestartableServer:
    """A PostgreSQL of its own, because others' tests must not lose theirs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = server_parts.PostgresServer("127.0.0.1", server_parts._free_port(), "loop", "restart")
        self.binaries = server_parts._binaries_for_server(folder)
        server_parts._make_cluster(self.binaries, folder, self.server)
        self.start()

    def start(self) -> None:
        self.process = server_parts._start(self.binaries, self.folder, self.server, is_durable=True)
        server_parts._wait_until_ready(self.binaries, self.process, self.folder, self.server)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def restart(self) -> None:
        self.stop()
        self.start()


@pytest.fixture
def restartable() -> Iterator[RestartableServer]:
    with tempfile.TemporaryDirectory(prefix="signal-loop-restart-") as folder:
        server = RestartableServer(Path(folder))
        try:
            yield server
        finally:
            server.stop()


def test_postgres_restarts_under_load(make_lab: MakeLab, restartable: RestartableServer) -> None:
    url = restartable.server.url(restartable.server.fresh_database("ledger"))
    open_database(url).close()
    lab = make_lab("keyed", ledger_url=url)
    in_intake = lab.stopped_at("detect", "intake_open")
    restartable.restart()
    in_intake.signal(signal.SIGCONT)
    assert in_intake.ended() != 0, "its transaction is gone, and it must not believe otherwise"
    assert len(lab.rows(events)) == 1, "nothing of the build was kept"
    lab.run("detect")
    runs = [lab.stopped_at("act", point) for point in ("reply_received", "rendered")]
    restartable.restart()
    for run in runs:
        run.signal(signal.SIGCONT)
        run.ended()
        lab.crashes += 1
    lab.recover()
    check_invariants(lab, in_doubt=True)


# --- the warehouse's file

HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@contextmanager
def held_by_another_process(file: Path) -> Iterator[None]:
    """DuckDB admits one process that writes, and none beside it."""
    command = [sys.executable, "-c", HOLD, str(file)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def test_a_locked_warehouse_delays_detection_and_nothing_else(make_lab: MakeLab) -> None:
    lab = make_lab("keyed", is_met=False)
    lab.run("detect")
    lab.company.add_build_of(2)
    lab.run("detect")
    lab.company.add_build_of(3)
    with held_by_another_process(lab.company.file):
        lab.run("recover")  # what is due goes on; the third build is not seen
        assert lab.arrivals(), "due work must not wait for the warehouse"
        assert len(lab.rows(events)) < len(lab.company.all_event_ids())
        waiting_pass = lab.start("detect")
    assert waiting_pass.ended() == 0, waiting_pass.said()
    assert {row.event_id for row in lab.rows(events)} == lab.company.all_event_ids()
    lab.recover()
    assert {row.state for row in lab.rows(actions)} <= {"delivered", "suppressed"}


# --- clocks


def test_a_clock_that_falls_back_an_hour_delays_and_loses_nothing(make_lab: MakeLab) -> None:
    lab = make_lab("keyed", lease_seconds=LONG_LEASE_SECONDS)
    lab.run("detect", CRASH_CLOCK_AHEAD=str(HOUR))
    lab.crash("act", "intent_written", "SIGKILL", CRASH_CLOCK_AHEAD=str(HOUR))
    lab.run("recover")
    assert lab.arrivals() == [], "by this clock nothing is due yet"
    lab.recover(ahead_seconds=HOUR)
    check_invariants(lab, in_doubt=True)


def test_a_clock_that_leaps_an_hour_makes_a_zombie_of_a_run_and_repeats_nothing_unkeyed(make_lab: MakeLab) -> None:
    lab = make_lab("unkeyed", lease_seconds=LONG_LEASE_SECONDS)
    lab.run("detect")
    overtaken = lab.stopped_at("act", "reply_received")
    lab.recover(ahead_seconds=HOUR)
    overtaken.signal(signal.SIGCONT)
    assert overtaken.ended() == 0, overtaken.said()
    check_invariants(lab, in_doubt=True)


def test_a_rate_is_not_waited_for_after_the_clock_fell_back(make_lab: MakeLab) -> None:
    lab = make_lab("keyed", lease_seconds=LONG_LEASE_SECONDS)
    lab.run("detect", CRASH_CLOCK_AHEAD=str(-HOUR))
    lab.run("act", CRASH_CLOCK_AHEAD=str(HOUR))
    before = len(lab.arrivals())
    run = lab.start("act")
    try:
        until("the run has called again", lambda: len(lab.arrivals()) > before, within_seconds=5)
    finally:
        run.signal(signal.SIGKILL)
        run.ended()


# --- disks


def _fill_disk_of(lab: CrashLab, point: str) -> None:
    """From the point on no file of the process may grow, as on a disk without room."""
    process = lab.stopped_at("act", point)
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, hard))
    process.signal(signal.SIGCONT)
    assert process.ended() != 0, "a run that cannot record what it did must not end well"


def test_on_a_full_disk_no_call_is_made_without_its_intent(make_lab: MakeLab) -> None:
    lab = make_lab("unkeyed")
    lab.run("detect")
    _fill_disk_of(lab, "rendered")
    assert lab.arrivals() == []
    assert lab.rows(attempts) == []
    lab.recover()
    check_invariants(lab, in_doubt=False)


@pytest.mark.parametrize("kind", ["keyed", "unkeyed"])
def test_an_outcome_that_found_no_room_is_unknown(make_lab: MakeLab, kind: str) -> None:
    lab = make_lab(kind)
    lab.run("detect")
    _fill_disk_of(lab, "reply_received")
    lab.crashes += 1
    lab.recover()
    check_invariants(lab, in_doubt=True)
