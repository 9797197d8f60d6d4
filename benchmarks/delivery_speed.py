"""Claim to settled, intents and outcomes durable, beside a bare loop of the same HTTP client on the same sink.

python benchmarks/delivery_speed.py [--actions N] [--latency SECONDS] [--runs N] [--ledger URL]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dagster_project.contracts.catalog import CaptureRelations, Catalog, CatalogSignal
from dagster_project.contracts.event import Build, SignalEvent
from dagster_project.contracts.playbook import Playbook, PlaybookVersion
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.vocabulary import Kind, Mode, Severity
from dagster_project.ledger.claims import due_count
from dagster_project.ledger.intake import take_in
from dagster_project.ledger.modes import declare_mode
from dagster_project.respond.action_run import Surroundings, begin, do_step, finish, look_up_all
from dagster_project.respond.bindings import operations_of
from dagster_project.runtime import surroundings_for
from dagster_project.settings import Settings

SIGNAL = "parcel_waiting"
PLAYBOOK = Playbook.model_validate(
    {
        "name": "tell_receiver",
        "description": "One request an action.",
        "steps": [
            {
                "name": "tell",
                "role": "hook",
                "operation": "send_event",
                "with": {
                    "type": "parcel.waiting",
                    "source": "/signals/parcel_waiting",
                    "subject": "{{ event.entity_id }}",
                    "data": {"reason": "{{ event.reason }}", "weight": "{{ row.weight }}"},
                },
            }
        ],
    }
)


@contextmanager
def running_sink(latency: float) -> Iterator[str]:
    sink = Path(__file__).with_name("sink.py")
    process = subprocess.Popen(
        [sys.executable, str(sink), "--latency", str(latency)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.stdin.close()
        process.wait()


def counted(sink: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{sink}/count", timeout=10) as reply:
        found: dict[str, int] = json.loads(reply.read())
    return found


def catalog_of() -> Catalog:
    spec = SignalSpec.model_validate(
        {
            "entity": "parcel",
            "owner": "team:bench",
            "mode": "live",
            "fresh_within": {"days": 1},
            "act_within": {"hours": 4},
            "playbook": "tell_receiver",
            "guards": {"opened": {"count": 10_000_000}},
        }
    )
    signal = CatalogSignal(
        name=SIGNAL,
        unique_id=f"model.bench.{SIGNAL}",
        relation=SIGNAL,
        description="",
        columns={},
        spec=spec,
        version=PlaybookVersion(signal=SIGNAL, playbook=PLAYBOOK, parameters={}),
        sources=(),
        tests=(),
        sql_file="",
        yml_file="",
    )
    capture = CaptureRelations(incarnation="i", builds="b", events="e", state="s")
    return Catalog(sources_hash="", warehouse="duckdb", capture=capture, signals={SIGNAL: signal}, models={})


def events_of(build_id: str, count: int) -> tuple[Build, list[SignalEvent]]:
    now = datetime.now(UTC)
    build = Build(build_id, SIGNAL, 1, False, "", "", now, None, count, count, 0, 0, now, now)
    row = json.dumps({"reason": "It waits at the counter.", "weight": 2.5})
    return build, [
        SignalEvent(f"{build_id}-{n}", build_id, SIGNAL, f"p{n}", 1, Kind.OPENED, Severity.LOW, 0.5, now, now, row)
        for n in range(count)
    ]


def filled_ledger(folder: Path, sink: str, actions: int, ledger: str | None) -> Surroundings:
    settings = Settings(
        state_dir=folder,
        ledger_url=ledger,
        claim_limit=actions,
        destinations={
            "webhook": {
                "url": f"{sink}/hooks",
                "secret": "whsec_" + "QUJD" * 8,
                "receiver_deduplicates": True,
                "calls_per_second": 1_000_000,
            }
        },
    )
    around = surroundings_for(settings, catalog_of())
    declare_mode(around.database, SIGNAL, Mode.LIVE)
    build, events = events_of(f"build-{time.time_ns()}", actions)
    operations = operations_of(around.catalog.signals[SIGNAL].version, around.bindings)
    take_in(around.database, build, events, around.catalog.signals[SIGNAL], operations, is_baseline=False)
    return around


def act(around: Surroundings) -> float:
    """Seconds from claim to settled for all that is due."""
    began = time.perf_counter()
    work = begin(around, SIGNAL, "bench")
    look_up_all(around, work, logging.info)
    report = do_step(around, work, "tell", logging.info)
    finish(around, work)
    took = time.perf_counter() - began
    assert not due_count(around.database, SIGNAL), report
    return took


async def _bare(sink: str, count: int, in_flight: int) -> float:
    import aiohttp

    body = {"id": "x", "type": "parcel.waiting", "data": {"reason": "It waits at the counter.", "weight": 2.5}}
    numbers = iter(range(count))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:

        async def worker() -> None:
            for number in numbers:
                async with session.post(f"{sink}/hooks", json=body, headers={"webhook-id": str(number)}) as reply:
                    await reply.read()

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(in_flight)))
        return time.perf_counter() - began


def bare(sink: str, count: int, in_flight: int = 32) -> float:
    return asyncio.run(_bare(sink, count, in_flight))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actions", type=int, default=10_000)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ledger")
    chosen = parser.parse_args()
    ours, theirs = [], []
    for _ in range(chosen.runs):
        with running_sink(chosen.latency) as sink, tempfile.TemporaryDirectory() as folder:
            theirs.append(bare(sink, chosen.actions))
            around = filled_ledger(Path(folder), sink, chosen.actions, chosen.ledger)
            before = counted(sink)["requests"]
            ours.append(act(around))
            assert counted(sink)["requests"] - before == chosen.actions
    for name, seconds in (("bare loop of the same client", theirs), ("claim to settled", ours)):
        print(f"{name:<32} {statistics.median(seconds):7.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})")
    print(f"ratio {statistics.median(ours) / statistics.median(theirs):.2f}")


if __name__ == "__main__":
    main()
