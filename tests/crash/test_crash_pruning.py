"""A process that is ended in the middle of pruning leaves a ledger that adds up, and the next pass takes the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BENCH = HERE.parents[0] / "unit" / "ledger"
ENTITIES = 450  # of which one transaction looks at 200
# Fills a ledger with ended episodes, or prunes it, in a process of its own.
SCRIPT = """
import sys
from datetime import timedelta
from ledger_bench import Bench, Clock, opened, resolved, signal_of, step
from dagster_project.ledger.controls import Person
from dagster_project.ledger.database import open_database
from dagster_project.ledger.pruning import Horizon, prune_signal
from dagster_project.ledger.schema import events

url, what, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
clock = Clock()
bench = Bench(open_database(url, clock), clock, signal_of(step("call"), guards={"opened": {"count": 1000}}))
if what == "fill":
    names = [f"c{number:04}" for number in range(count)]
    bench.take_in(*(opened(name) for name in names[2:]), is_baseline=True)
    bench.take_in(*(opened(name) for name in names[:2]))
    bench.run_until_quiet()
    bench.take_in(*(resolved(name) for name in names), is_baseline=True)
clock.step(100 * 86400)
if what == "prune":
    prune_signal(bench.database, bench.signal.name, Horizon(clock() - timedelta(days=30)), Person("ada", "old"))
print(len(bench.rows(events)), bench.broken_laws())
"""


def play(url: str, what: str, crash: str = "", by: str = "SIGKILL") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(BENCH), str(HERE.parents[1])))
    environment = {**os.environ, "PYTHONPATH": path}
    if crash:
        environment |= {"LOOP_CRASH_TESTS": "on", "LOOP_CRASH_AT": crash, "LOOP_CRASH_BY": by}
    command = [sys.executable, "-c", SCRIPT, url, what, str(ENTITIES)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("crash", "by", "left"),
    [
        ("prune_open:2", "SIGKILL", 2 * (ENTITIES - 200)),
        pytest.param("lanes_pruned:1", "SIGTERM", 2 * (ENTITIES - 200), marks=pytest.mark.long),
        pytest.param("lanes_pruned:2", "SIGKILL", 2 * (ENTITIES - 400), marks=pytest.mark.long),
    ],
)
def test_a_pruning_that_dies_leaves_whole_batches(tmp_path: Path, crash: str, by: str, left: int) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    assert play(url, "fill").stdout.split()[0] == str(2 * ENTITIES)
    died = play(url, "prune", crash, by)
    assert died.returncode == -getattr(signal, by), died.stderr
    looked = play(url, "look")
    assert looked.stdout.split() == [str(left), "[]"], looked.stderr
    rest = play(url, "prune")
    assert rest.stdout.split() == ["0", "[]"], rest.stderr
