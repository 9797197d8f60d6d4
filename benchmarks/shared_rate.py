"""Three concurrent runs share a destination's rate: how much of it they use, and how much of it is refused.

    python benchmarks/shared_rate.py [--runs 3] [--limit 100] [--seconds 20] [--ledger URL]

Each run is a process of its own; they begin together. The receiver counts, and refuses what exceeds the limit in any
sliding second. The rate reached is taken between the first and the last call that it accepted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from dagster_project.contracts.catalog import CaptureRelations, Catalog, CatalogSignal
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.playbook import Playbook, PlaybookVersion
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.vocabulary import Kind, Mode, Severity
from dagster_project.ledger.claims import due_count
from dagster_project.ledger.intake import take_in
from dagster_project.ledger.modes import declare_mode
from dagster_project.ledger.schema import actions
from dagster_project.respond.action_run import Surroundings, begin, do_step, finish, look_up_all
from dagster_project.respond.bindings import operations_of
from dagster_project.runtime import surroundings_for
from dagster_project.settings import Settings

SIGNAL = "parcel_waiting"
STEP = {
    "name": "tell",
    "role": "hook",
    "operation": "send_event",
    "with": {"type": "parcel.waiting", "source": "/signals/parcel_waiting", "subject": "{{ event.entity_id }}"},
}
SPEC = {
    "entity": "parcel",
    "owner": "team:bench",
    "mode": "live",
    "fresh_within": {"days": 1},
    "act_within": {"hours": 4},
    "playbook": "tell_receiver",
    "guards": {"opened": {"count": 10_000_000}},
}


@dataclass(frozen=True)
class SharedRate:
    """What the receiver saw of some runs."""

    runs: int
    limit: int  # calls a second
    accepted: int
    refused: int
    seconds: float

    @property
    def share_of_limit(self) -> float:
        return (self.accepted - 1) / self.seconds / self.limit

    @property
    def refused_share(self) -> float:
        return self.refused / (self.accepted + self.refused)


def measure(
    runs: int = 3, limit: int = 100, seconds: float = 20.0, ledger: str | None = None, repeats: int = 1
) -> list[SharedRate]:
    """One row a repeat.

    Parameters: how many processes; calls a second that the receiver takes; how long the work lasts at that rate; the
    ledger's URL, where it is not to be a SQLite file of its own; how often it is measured.
    """
    return [_once(runs, limit, int(limit * seconds), ledger) for _ in range(repeats)]


def _once(runs: int, limit: int, count: int, ledger: str | None) -> SharedRate:
    with tempfile.TemporaryDirectory() as folder, _running_sink(limit) as sink, ExitStack() as stack:
        environment = _environment(Path(folder), sink, limit, ledger, -(-count // runs))
        os.environ.update(environment)
        around = _surroundings()
        _fill(around, count)
        processes = [stack.enter_context(_worker(environment)) for _ in range(runs)]
        for process in processes:
            _told(process, "ready")
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in processes:
            _told(process, "done")
        around.database.close()
        with urllib.request.urlopen(sink, timeout=10) as reply:
            seen = json.loads(reply.read())
    return SharedRate(runs, limit, seen["accepted"], seen["refused"], seen["seconds"])


@contextmanager
def _running_sink(limit: int) -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).with_name("limited_sink.py")), "--most", str(limit)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        assert process.stdin is not None
        process.stdin.close()


@contextmanager
def _worker(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, __file__, "--work"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as process:
        yield process


def _told(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if line != word:
        raise RuntimeError(f"a run said {line!r} and not {word!r}")


def _environment(folder: Path, sink: str, limit: int, ledger: str | None, claim_limit: int) -> dict[str, str]:
    receiver = {
        "url": f"{sink}/hooks",
        "secret": "whsec_" + "QUJD" * 8,
        "receiver_deduplicates": True,
        "calls_per_second": limit,
    }
    return {
        "LOOP_STATE_DIR": str(folder),
        "LOOP_LEDGER_URL": ledger or f"sqlite:///{folder / 'ledger.sqlite'}",
        "LOOP_CLAIM_LIMIT": str(claim_limit),
        "LOOP_BINDINGS": json.dumps({"hook": "webhook"}),
        "LOOP_DESTINATIONS": json.dumps({"webhook": receiver}),
    }


def _surroundings() -> Surroundings:
    playbook = Playbook.model_validate({"name": "tell_receiver", "description": "One call.", "steps": [STEP]})
    signal = CatalogSignal(
        name=SIGNAL,
        unique_id=f"model.bench.{SIGNAL}",
        relation=SIGNAL,
        description="",
        columns={},
        spec=SignalSpec.model_validate(SPEC),
        version=PlaybookVersion(signal=SIGNAL, playbook=playbook, parameters={}),
        sources=(),
        tests=(),
        sql_file="",
        yml_file="",
    )
    capture = CaptureRelations(incarnation="i", builds="b", events="e", state="s")
    catalog = Catalog(sources_hash="", warehouse="duckdb", capture=capture, signals={SIGNAL: signal}, models={})
    return surroundings_for(Settings(_env_file=None), catalog)  # type: ignore[call-arg]


def _fill(around: Surroundings, count: int) -> None:
    now, build_id = datetime.now(UTC), uuid.uuid4().hex
    build = Build(build_id, SIGNAL, 1, False, "", "", now, None, count, count, 0, 0, now, now)
    opened = [
        SignalEvent(f"{build_id}-{n}", build_id, SIGNAL, f"p{n}", 1, Kind.OPENED, Severity.LOW, 0.5, now, now, "{}")
        for n in range(count)
    ]
    declare_mode(around.database, SIGNAL, Mode.LIVE)
    signal = around.catalog.signals[SIGNAL]
    take_in(around.database, build, opened, signal, operations_of(signal.version, around.bindings), is_baseline=False)


def work() -> None:
    """One run at a time until nothing is due, as the sensor would ask for them."""
    around = _surroundings()
    print("ready", flush=True)
    sys.stdin.read()
    while _is_open(around):
        if not due_count(around.database, SIGNAL):
            time.sleep(0.2)  # the receiver has asked everybody to wait
            continue
        taken = begin(around, SIGNAL, f"run-{uuid.uuid4().hex[:8]}")
        look_up_all(around, taken, lambda _: None)
        do_step(around, taken, "tell", lambda _: None)
        finish(around, taken)
    print("done", flush=True)


def _is_open(around: Surroundings) -> bool:
    with around.database.reading() as connection:
        waiting = select(actions.c.action_id).where(actions.c.state == "waiting").limit(1)
        return connection.execute(waiting).first() is not None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--ledger")
    parser.add_argument("--json", action="store_true", help="Print the rows as JSON.")
    chosen = parser.parse_args()
    if chosen.work:
        work()
        return
    rows = measure(chosen.runs, chosen.limit, chosen.seconds, chosen.ledger, chosen.repeats)
    if chosen.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print("| runs | limit | accepted | refused | of the limit | refused share |\n|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.runs} | {row.limit}/s | {row.accepted} | {row.refused} | {row.share_of_limit:.1%} "
            f"| {row.refused_share:.2%} |"
        )


if __name__ == "__main__":
    main()
