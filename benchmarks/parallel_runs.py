"""Throughput of several action runs at once, each a process, on one PostgreSQL whose commits wait for the disk.

python benchmarks/parallel_runs.py FOLDER SINK LEDGER SIGNALS SIGNAL      one of the runs; `parallel` starts them
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reporting import Plot, Report, Say, Table
from sink import counted, running_sink
from timing import Spent, Times, in_turns
from workloads import fill, run_once, surroundings_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from postgres_server import PostgresServer, running_server

CLAIM_LIMIT = 500  # so that every run claims several times
ONE_SIGNAL, OWN_SIGNALS = "at once, one signal", "at once, each its own signal"


def parallel(say: Say, actions: int = 4_000, processes: str = "1,2,4", runs: int = 2) -> Report:
    """The same number of actions, settled by 1, 2 and 4 runs at once, of one signal and of as many signals.

    Parameters: how many actions; how many processes; how many times each.
    """
    counts = list(map(int, processes.split(",")))
    with running_server(is_durable=True) as server, running_sink() as sink:
        ways = {
            f"{count} {kind}": _way(server, sink, actions, count, count if kind == OWN_SIGNALS else 1)
            for count in counts
            for kind in ((ONE_SIGNAL, OWN_SIGNALS) if count > 1 else (ONE_SIGNAL,))
        }
        found = in_turns(ways, runs, say)
    return _report(found, actions)


def _report(found: dict[str, Times], actions: int) -> Report:
    first = next(iter(found.values())).median
    rows = tuple(
        (name, *times.cells()[:2], f"{actions / times.median:,.0f}", f"{first / times.median:.2f} x")
        for name, times in found.items()
    )
    columns = ("runs", "median", "smallest to largest", "actions/s", "of one run")
    plot = Plot(
        name="parallel",
        title=f"{actions:,} actions on PostgreSQL: actions a second",
        unit="actions/s",
        bars=tuple((name, actions / times.median) for name, times in found.items()),
        ours=tuple(found),
    )
    notes = (
        "From the word to go, with every process ready, until the last one has found nothing due. PostgreSQL, the sink "
        f"and the runs share this machine's processors; a run claims {CLAIM_LIMIT} actions at a time.",
    )
    return Report(tables=(Table(columns=columns, rows=rows),), plots=(plot,), notes=notes)


def _way(server: PostgresServer, sink: str, actions: int, processes: int, signals: int) -> Callable[[], Spent]:
    def once() -> Spent:
        ledger = server.url(server.fresh_database("bench"))
        with tempfile.TemporaryDirectory() as folder:
            around = surroundings_of(Path(folder), sink, ledger, signals=signals)
            fill(around, actions // signals)
            names = list(around.catalog.signals)
            around.database.close()
            commands = [[folder, sink, ledger, str(signals), names[n % signals]] for n in range(processes)]
            return _seconds(commands, sink, actions // signals * signals)

    return once


def _seconds(commands: Sequence[Sequence[str]], sink: str, actions: int) -> Spent:
    before = counted(sink)["requests"]
    with _ready(commands) as processes:
        began = time.perf_counter()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        ended = [process.wait() for process in processes]
        took = time.perf_counter() - began
    sent = counted(sink)["requests"] - before
    if any(ended) or sent != actions:
        raise RuntimeError(f"{len(processes)} runs at once sent {sent} of {actions} actions and ended with {ended}")
    return Spent(took)


@contextmanager
def _ready(commands: Sequence[Sequence[str]]) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that have imported everything and opened the ledger, and wait for a line."""
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([sys.executable, __file__, *command], stdin=pipe, stdout=pipe, text=True)
        for command in commands
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"a run of the benchmark ended with {process.wait()} before it began")
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.communicate()


def main(folder: str, sink: str, ledger: str, signals: str, signal: str) -> None:
    around = surroundings_of(Path(folder), sink, ledger, signals=int(signals), claim_limit=CLAIM_LIMIT)
    with around.database.reading():  # connected before the clock starts
        print("ready", flush=True)
    sys.stdin.readline()
    number = 0
    while run_once(around, signal, f"bench-{number}"):
        number += 1
    around.database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
