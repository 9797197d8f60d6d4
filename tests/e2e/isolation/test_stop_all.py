"""Stop-all holds for calls that have not begun, keeps everything, and goes on without loss."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from isolation_bench import HOOK, IsolationBench, Parcel

from dagster_project.ledger.controls import Person, pause, resume
from dagster_project.sandbox.server import SandboxServer

CALLS_PER_SECOND = 20.0
# The calls that two seconds hold. A second is the promise; a bound on calls does not break on a slow machine.
CALLS_AFTER_STOP = int(2 * CALLS_PER_SECOND)
GIVE_UP_AFTER = 60.0


def test_stop_all_holds_for_calls_that_have_not_begun_and_resume_loses_nothing(
    isolation_sandbox: SandboxServer, tmp_path: Path
) -> None:
    bench = IsolationBench(tmp_path, isolation_sandbox, calls_per_second=CALLS_PER_SECOND)
    parcels = [f"p{number}" for number in range(200)]
    bench.flag(HOOK, [Parcel(name) for name in parcels])
    run = threading.Thread(target=bench.run, args=(HOOK,))
    run.start()
    give_up_at = time.monotonic() + GIVE_UP_AFTER
    while len(bench.told()) < 5:
        assert time.monotonic() < give_up_at, "the run does not send"
    pause(bench.around.database, "all", Person("ana", "something is wrong"))
    told_before = len(bench.told())
    run.join(GIVE_UP_AFTER)
    assert not run.is_alive(), "the run ends by itself"
    told = len(bench.told())
    assert told - told_before <= CALLS_AFTER_STOP
    states = [row.state for row in bench.rows(HOOK)]
    assert (states.count("delivered"), states.count("waiting")) == (told, len(parcels) - told)
    assert bench.due(HOOK) == 0
    bench.run(HOOK)
    assert len(bench.told()) == told, "a run that begins while everything is stopped sends nothing"

    resume(bench.around.database, "all", Person("ana", "mended"))
    bench.ahead_seconds = 3600  # what was not begun waits a little before its next turn
    bench.calls_per_second = 10_000
    while bench.due(HOOK):
        bench.run(HOOK)
    assert sorted(bench.told()) == sorted(parcels)
    assert {(row.state, row.attempts) for row in bench.rows(HOOK)} == {("delivered", 1)}
    bench.close()
