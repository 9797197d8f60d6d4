"""From the commit of a build that newly flags one entity to its effects at the sink, and where that time goes.

    python benchmarks/commit_to_delivered.py [--events N] [--setups NAME ...] [--without-build] [--json FILE]

Everything runs as deployed: `dagster dev` with its daemon and code servers, the shipped signal deal_won with its four
steps at the sandbox. A first real `dbt build` is measured as a check. The events after it are committed into the
capture's own tables in the shape of that build's rows, at random phases, so that no event pays for dbt: it is the time
after the commit that is measured. "first call" is the first effect at the sink, "delivered" the last of the four.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import yaml
from dagster import DagsterEventType, DagsterInstance

from dagster_project.instance_files import instance_yaml

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "e2e" / "loop"))

from dagster_driver import DagsterDev, running_dagster, running_pool, until  # noqa: E402
from loop_driver import Loop, running_loop  # noqa: E402

SIGNAL = "deal_won"
STEPS = 4
ENDS_WITHIN_SECONDS = 120
Instance = dict[str, Any]


@dataclass(frozen=True)
class Setup:
    """One way to run the instance: what differs from the shipped settings."""

    name: str
    change: Callable[[Instance], None] = lambda instance: None
    environment: Mapping[str, str] = field(default_factory=dict)
    profile: str = "standard"


@dataclass(frozen=True)
class Stretches:
    """Seconds of one event from the commit on; each stretch begins where the one before it ends."""

    tick_wait: float  # until the build is in the ledger
    tick: float  # until the run is in the queue
    queue: float  # until the queue hands it to the launcher
    process_start: float  # until a process has it: the interpreter and Dagster's own imports, where it is new
    imports: float  # until the run has begun: the code location's imports, where they are needed
    first_call: float  # until the first effect at the sink
    other_calls: float  # until the last

    @property
    def to_first_call(self) -> float:
        return self.delivered - self.other_calls

    @property
    def delivered(self) -> float:
        return sum(getattr(self, part.name) for part in fields(self))


# --- what is set up


def slow_queue(instance: Instance) -> None:
    instance["run_coordinator"]["config"]["dequeue_interval_seconds"] = 5


def sensors_in_turn(instance: Instance) -> None:
    del instance["sensors"]


def no_queue(instance: Instance) -> None:
    instance["run_coordinator"] = {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}
    del instance["concurrency"]["runs"]


def all_stock(instance: Instance) -> None:
    slow_queue(instance)
    sensors_in_turn(instance)


NO_WATCH = {"LOOP_SENSOR_WATCH_SECONDS": "0"}
SHIPPED = Setup("shipped")
SETUPS = {
    one.name: one
    for one in (
        Setup("stock", all_stock, {**NO_WATCH, "LOOP_SENSOR_INTERVAL_SECONDS": "30"}),
        Setup("interval_2", all_stock, NO_WATCH),
        Setup("queue_1", sensors_in_turn, NO_WATCH),
        SHIPPED,
        Setup("no_queue", no_queue),
        Setup("fast", profile="fast"),
        Setup("fast_no_queue", no_queue, profile="fast"),
    )
}


# --- one event


class BuildWriter:
    """Commits builds of one signal as its capture does: events and the released build's row in one transaction."""

    def __init__(self, loop: Loop) -> None:
        self._file = str(loop.state_dir / "warehouse.duckdb")

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Waits for readers to let go of the file, as dbt does."""
        while True:
            try:
                connection = duckdb.connect(self._file)
                break
            except duckdb.IOException:
                time.sleep(0.02)
        try:
            yield connection
        finally:
            connection.close()

    def flag_one(self) -> tuple[str, float]:
        """(event id, the moment of the commit) of one deal that was not flagged before."""
        entity, build_id = f"measured-{uuid.uuid4().hex[:12]}", uuid.uuid4().hex
        with self._writing() as connection:
            connection.execute("begin")
            connection.execute(
                "insert into analytics.signal_events "
                "select * replace (md5($entity) as event_id, $build as build_id, $entity as entity_id, 1 as episode, "
                "now() at time zone 'utc' as emitted_at, false as is_baseline) from analytics.signal_events "
                "where signal = $signal and kind = 'opened' order by emitted_at, event_id limit 1",
                {"entity": entity, "build": build_id, "signal": SIGNAL},
            )
            connection.execute(
                "insert into analytics.signal_builds "
                "select * replace ($build as build_id, build_no + 1 as build_no, false as is_baseline, "
                "flagged + 1 as flagged, 1 as opened, 0 as escalated, 0 as resolved, "
                "now() at time zone 'utc' as captured_at, now() at time zone 'utc' as released_at) "
                "from analytics.signal_builds where signal = $signal order by build_no desc limit 1",
                {"build": build_id, "signal": SIGNAL},
            )
            connection.execute("commit")
            committed_at = time.time()
            [(event_id,)] = connection.execute("select md5($entity)", {"entity": entity}).fetchall()
        return str(event_id), committed_at


def ledger_rows(loop: Loop, sql: str, *parameters: Any) -> list[sqlite3.Row]:
    connection = sqlite3.connect(f"file:{loop.state_dir / 'ledger.sqlite'}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        return connection.execute(sql, parameters).fetchall()
    finally:
        connection.close()


def moment(text: str) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def delivered_actions(loop: Loop, event_ids: Sequence[str]) -> dict[str, str]:
    """Action ids of these events that are delivered, with the run that made their last attempt."""
    marks = ",".join("?" * len(event_ids))
    rows = ledger_rows(
        loop,
        "select a.action_id, t.run_id from actions a join attempts t on t.action_id = a.action_id "
        f"where a.state = 'delivered' and a.event_id in ({marks})",
        *event_ids,
    )
    return {row["action_id"]: row["run_id"] for row in rows}


def wait_until_delivered(loop: Loop, event_ids: Sequence[str], steps: int) -> dict[str, str]:
    give_up_at = time.monotonic() + ENDS_WITHIN_SECONDS
    while len(found := delivered_actions(loop, event_ids)) < steps:
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{len(found)} of {steps} steps of {event_ids[0]} were delivered")
        time.sleep(0.25)  # seldom enough to leave the machine idle: moments come from the records, not from here
    return found


def stretches_of(
    loop: Loop, instance: DagsterInstance, event_ids: Sequence[str], committed_at: float, steps: int
) -> Stretches:
    found = wait_until_delivered(loop, event_ids, steps)
    effects = sorted(
        moment(effect.at) for effect in loop.sandbox.effects() if effect.idempotency_key in found and effect.at
    )
    [row] = ledger_rows(
        loop,
        "select b.ingested_at from builds b join events e on e.build_id = b.build_id where e.event_id = ?",
        event_ids[0],
    )
    run = run_moments(instance, next(iter(found.values())))
    marks = (committed_at, moment(row["ingested_at"]), *run, effects[0], effects[-1])
    return Stretches(*(later - earlier for earlier, later in itertools.pairwise(marks)))


def run_moments(instance: DagsterInstance, run_id: str) -> tuple[float, float, float, float]:
    """When the run was queued, handed to the launcher, held by a process, and begun."""
    first: dict[str, float] = {}
    for entry in instance.all_logs(run_id):
        if entry.dagster_event is not None:
            kind = entry.dagster_event.event_type
            is_process = kind == DagsterEventType.ENGINE_EVENT and entry.message.startswith("Started process for run")
            first.setdefault("process" if is_process else kind.value, entry.timestamp)
    handed = first["PIPELINE_STARTING"]
    return first.get("PIPELINE_ENQUEUED", handed), handed, first["process"], first["PIPELINE_START"]


# --- many events


@contextmanager
def deployed(setup: Setup) -> Iterator[tuple[Loop, DagsterDev, DagsterInstance]]:
    """The loop after its first day, with Dagster running as the setup says."""
    instance_settings = yaml.safe_load(instance_yaml(setup.profile))
    setup.change(instance_settings)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_loop(Path(folder) / "state", setup.environment) as loop,
    ):
        loop.play_day(1)
        with (
            running_dagster(loop, yaml.safe_dump(instance_settings)) as dev,
            running_pool(loop) if setup.profile == "fast" else nullcontext(),
            DagsterInstance.from_config(str(loop.state_dir / "dagster")) as instance,
        ):
            time.sleep(10)  # its first ticks pay for imports
            yield loop, dev, instance


def real_build(loop: Loop, dev: DagsterDev, instance: DagsterInstance) -> Stretches:
    """The same for a `dbt build` of the second day: all its won deals together, from the release on."""
    loop.land_day(2)
    build = dev.launch("transform", "build_signals")
    until("the build has ended", lambda: dev.run_status(build) in ("SUCCESS", "FAILURE"), 300)
    assert dev.run_status(build) == "SUCCESS"
    events = [
        row["event_id"]
        for row in wait_for_rows(loop, "select event_id from events where signal = ? and reason = ''", SIGNAL)
    ]
    [row] = ledger_rows(loop, "select max(released_at) as at from builds where signal = ?", SIGNAL)
    return stretches_of(loop, instance, events, moment(row["at"]), len(events) * STEPS)


def wait_for_rows(loop: Loop, sql: str, *parameters: Any) -> list[sqlite3.Row]:
    found: list[sqlite3.Row] = []
    until("the ledger has them", lambda: bool(found.extend(ledger_rows(loop, sql, *parameters)) or found), 60)
    return found


def measured_events(loop: Loop, instance: DagsterInstance, count: int, chance: random.Random) -> list[Stretches]:
    writer = BuildWriter(loop)
    found = []
    for number in range(count + 1):
        # Isolated: a sensor that has asked for a run looks again when Dagster comes round, after 5 seconds at most.
        time.sleep(5 + chance.uniform(0, 5))
        event_id, committed_at = writer.flag_one()
        one = stretches_of(loop, instance, [event_id], committed_at, STEPS)
        if number:  # the first meets cold files
            found.append(one)
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    return sorted(values)[max(0, -(-int(share * 100) * len(values) // 100) - 1)]


def rows_of(setup: str, found: Sequence[Stretches]) -> list[dict[str, Any]]:
    """Labelled numbers: one row for the total, one for the first call, one for each stretch."""
    totals = {"delivered": [s.delivered for s in found], "to first call": [s.to_first_call for s in found]}
    parts = {part.name.replace("_", " "): [getattr(s, part.name) for s in found] for part in fields(Stretches)}
    return [
        {
            "setup": setup,
            "what": what,
            "p50_seconds": round(statistics.median(values), 3),
            "p95_seconds": round(percentile(values, 0.95), 3),
            "events": len(values),
        }
        for what, values in (totals | parts).items()
    ]


def measure(setup: str = SHIPPED.name, events: int = 20, with_real_build: bool = True) -> list[dict[str, Any]]:
    """Rows (setup, what, p50_seconds, p95_seconds, events) of one setup; those of the real build apart.

    Parameters: a name of SETUPS; how many events; whether a real `dbt build` comes first, as a check.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    chance = random.Random(setup)
    rows = []
    with deployed(SETUPS[setup]) as (loop, dev, instance):
        if with_real_build:
            rows += rows_of(f"{setup}, dbt build", [real_build(loop, dev, instance)])
        rows += rows_of(setup, measured_events(loop, instance, events, chance))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--setups", nargs="+", choices=sorted(SETUPS), default=[SHIPPED.name])
    parser.add_argument("--without-build", action="store_true", help="leave out the real dbt build")
    parser.add_argument("--json", type=Path, help="also write the rows there")
    chosen = parser.parse_args()
    rows = []
    print(f"{'setup':<22}{'what':<18}{'p50':>8}{'p95':>8}   events")
    for name in chosen.setups:
        for row in measure(name, chosen.events, not chosen.without_build):
            rows.append(row)
            seconds = f"{row['p50_seconds']:>8.2f}{row['p95_seconds']:>8.2f}"
            print(f"{row['setup']:<22}{row['what']:<18}{seconds}   {row['events']}", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
