"""What the event capture costs: on many entities, as a share of the build, and after a year of builds.

    python benchmarks/capture_scale.py [--entities N] [--flagged N] [--rounds N] [--builds N] [--year-entities N]
                                       [--year-flagged N] [--warehouse duckdb|postgres]

A dbt project of one signal with the project's own capture macros. Every entity has been flagged once, so `signal_state`
has a row for each of them; from build to build 1 % of the flagged ones change: a quarter of these come, leave, get
worse and get better again. Each build is a `dbt build` of its own process, forked from one that has imported dbt.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from dbt.cli.main import dbtRunner

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))
from postgres_server import PostgresServer, running_server  # noqa: E402

ENTITIES, FLAGGED, ROUNDS = 1_000_000, 50_000, 3
YEAR_ENTITIES, YEAR_FLAGGED, BUILDS = 50_000, 10_000, 30
CHANGING = 400  # a four-hundredth of the flagged comes, leaves, gets worse, and gets better
MEGABYTE = 1024 * 1024
Run = Callable[[str], list[tuple[Any, ...]]]  # executes one statement in the warehouse

PROJECT = """
name: capture_scale
version: "1.0.0"
profile: capture_scale
model-paths: [models]
macro-paths: [{macros}]
flags: {{send_anonymous_usage_stats: false}}
on-run-start: ["{{{{ signal_tables_ensure() if env_var('CAPTURE') == 'yes' }}}}"]
on-run-end: ["{{{{ signal_builds_release(results) if env_var('CAPTURE') == 'yes' }}}}"]
models: {{+materialized: table, +post-hook: ["{{{{ signal_capture() if env_var('CAPTURE') == 'yes' else '' }}}}"]}}
"""
MODEL = """
select entities.entity_id, cast(entities.score as double precision) as score,
       case when (entities.place + clock.day) % {one_in} = 0 then 'critical' else 'low' end as severity,
       'It is likely to leave, as many as ' || (entities.place % 97) || ' signs say' as reason,
       clock.loaded_at as observed_at
from {{{{ source('landing', 'entities') }}}} as entities cross join {{{{ source('landing', 'clock') }}}} as clock
where (entities.place + clock.day * {step}) % {entities} < {flagged}
"""
SCHEMA = """
sources:
  - name: landing
    schema: landing
    database: "{{ target.database }}"
    tables: [{name: entities}, {name: clock, config: {loaded_at_field: loaded_at}}]
models:
  - name: customer_churn_risk
    config: {meta: {signal: {population: landing.entities}}}
    columns: [{name: entity_id, data_tests: [not_null, unique]}]
"""


@dataclass(frozen=True)
class BuildCost:
    """One `dbt build`."""

    seconds: float  # the command, tests and hooks included
    cpu_seconds: float  # of the same; what a machine with other work does not change
    model_seconds: float  # the signal's model with its post-hook
    peak_bytes: int  # resident, of the process


@dataclass(frozen=True)
class Measured:
    label: str
    value: float
    unit: str


@dataclass(frozen=True)
class Lab:
    """A dbt project over one warehouse, with a clock that says which build is next."""

    folder: Path
    run: Run
    entities: int
    flagged: int

    def next_day(self) -> None:
        self.run("update landing.clock set day = day + 1, loaded_at = loaded_at + interval '1 day'")

    def build(self, is_captured: bool) -> BuildCost:
        """One `dbt build` in a process of its own. Raises RuntimeError where it fails."""
        self.next_day()
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            _build_and_tell(self.folder, is_captured, writer)
        os.close(writer)
        with os.fdopen(reader) as told:
            found = told.read()
        os.waitpid(child, 0)
        if not found:
            raise RuntimeError(f"dbt build failed; see {self.folder}/logs/dbt.log")
        return BuildCost(**json.loads(found))

    def count(self, what: str) -> int:
        return int(self.run(f"select {what}")[0][0])


def _build_and_tell(folder: Path, is_captured: bool, writer: int) -> None:
    """Runs dbt in the forked process, writes what it cost, and ends without the parent's clean-up."""
    try:
        os.environ |= {"CAPTURE": "yes" if is_captured else "no", "DBT_LOG_PATH": str(folder / "logs")}
        began = time.perf_counter()
        place = ["--project-dir", str(folder), "--profiles-dir", str(folder), "--target-path", str(folder / "target")]
        done = dbtRunner().invoke(["build", "--quiet", *place])
        took = time.perf_counter() - began
        if done.success:
            model = next(one for one in done.result if one.node.resource_type == "model")
            used = resource.getrusage(resource.RUSAGE_SELF)
            times = {"seconds": took, "cpu_seconds": used.ru_utime + used.ru_stime}
            cost = {**times, "model_seconds": model.execution_time, "peak_bytes": used.ru_maxrss * 1024}
            os.write(writer, json.dumps(cost).encode())
    finally:
        os._exit(0)


@contextmanager
def lab(folder: Path, entities: int, flagged: int, server: PostgresServer | None = None) -> Iterator[Lab]:
    """A fresh warehouse with its landing tables. Parameters: where; how many entities; how many of them are flagged."""
    folder.mkdir(parents=True)
    (folder / "models").mkdir()
    macros = REPOSITORY / "dbt_signals" / "macros" / "capture"
    (folder / "dbt_project.yml").write_text(PROJECT.format(macros=macros))
    given = {"one_in": CHANGING, "step": flagged // CHANGING, "entities": entities, "flagged": flagged}
    (folder / "models" / "customer_churn_risk.sql").write_text(MODEL.format(**given))
    (folder / "models" / "schema.yml").write_text(SCHEMA)
    run, output = _duckdb(folder) if server is None else _postgres(server)
    profile = {"capture_scale": {"target": "bench", "outputs": {"bench": output}}}
    (folder / "profiles.yml").write_text(json.dumps(profile))
    _land(run, entities, is_duckdb=server is None)
    yield Lab(folder, run, entities, flagged)


def _duckdb(folder: Path) -> tuple[Run, dict[str, Any]]:
    file = folder / "warehouse.duckdb"

    def run(statement: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(file)) as connection:
            return connection.execute(statement).fetchall()

    return run, {"type": "duckdb", "path": str(file), "schema": "main", "threads": 1}


def _postgres(server: PostgresServer) -> tuple[Run, dict[str, Any]]:
    name = server.fresh_database("capture_scale")

    def run(statement: str) -> list[tuple[Any, ...]]:
        connection = server.connect(name)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    login = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    return run, {"type": "postgres", **login, "dbname": name, "schema": "public", "threads": 1}


def _land(run: Run, entities: int, is_duckdb: bool) -> None:
    series = f"range({entities}) as g(i)" if is_duckdb else f"generate_series(0, {entities - 1}) as g(i)"
    run("create schema landing")
    run(
        "create table landing.entities as select 'C' || i as entity_id, cast(i as bigint) as place, "
        f"0.5 + (i % 100) / 250.0 as score from {series}"
    )
    run("create table landing.clock as select 0 as day, timestamp '2025-01-01 00:00:00' as loaded_at")
    if not is_duckdb:
        run("analyze")


def flag_everybody_once(built: Lab) -> None:
    """Puts a closed episode on record for everyone who is not flagged, as years of captures would have left it."""
    built.run(
        "insert into signal_state (signal, entity_id, status, episode, first_seen_at, first_seen_build, peak_rank, "
        "peak_severity, last_row) "
        "select 'customer_churn_risk', e.entity_id, 'closed', 1, timestamp '2024-01-01', 1, 1, "
        """'low', '{"entity_id":"' || e.entity_id || '","score":0.9,"severity":"low","reason":"It was likely"}' """
        "from landing.entities e where e.entity_id not in (select entity_id from signal_state)"
    )


def measure_share(built: Lab, rounds: int) -> list[Measured]:
    """The same build with and without the capture, in turns."""
    first = built.build(is_captured=True)
    flag_everybody_once(built)
    _say(f"baseline of {built.flagged:,}: {first.seconds:.1f} s")
    costs: dict[bool, list[BuildCost]] = {True: [], False: []}
    for _ in range(rounds):
        for is_captured in (False, True):
            costs[is_captured].append(built.build(is_captured))
            _say(f"captured: {is_captured}, {costs[is_captured][-1]}")
    events = built.count("count(*) from signal_events where is_baseline = false")
    assert events, "the measured captures found nothing"
    without, with_it = (statistics.median(one.seconds for one in costs[which]) for which in (False, True))
    cpu, cpu_with_it = (statistics.median(one.cpu_seconds for one in costs[which]) for which in (False, True))
    model, hooked = (statistics.median(one.model_seconds for one in costs[which]) for which in (False, True))
    peaks = [max(one.peak_bytes for one in costs[which]) / MEGABYTE for which in (False, True)]
    return [
        Measured("dbt build without the capture", without, "s"),
        Measured("dbt build with it", with_it, "s"),
        Measured("the capture, of the build", 100 * (with_it - without) / with_it, "%"),
        Measured("CPU of the build without the capture", cpu, "s"),
        Measured("CPU of the build with it", cpu_with_it, "s"),
        Measured("the capture, of the build's CPU", 100 * (cpu_with_it - cpu) / cpu_with_it, "%"),
        Measured("the signal's model alone", model, "s"),
        Measured("the model with its post-hook", hooked, "s"),
        Measured("the capture itself", hooked - model, "s"),
        Measured("peak memory without the capture", peaks[0], "MB"),
        Measured("peak memory with it", peaks[1], "MB"),
        Measured("events a build", events / (2 * rounds - 1), ""),
    ]


def measure_year(built: Lab, builds: int) -> tuple[list[Measured], list[BuildCost]]:
    """So many captured builds one after the other; what the first and the last of them cost, and each of them."""
    costs = [built.build(is_captured=True)]
    flag_everybody_once(built)
    for number in range(1, builds):
        costs.append(built.build(is_captured=True))
        if not number % 10:
            _say(f"build {number}: {costs[-1]}")
    some = max(1, min(30, builds // 3))
    found = []
    for name, part in (("first", costs[1 : 1 + some]), ("last", costs[-some:])):
        found += [
            Measured(f"model and capture, the {name} {some}", statistics.median(c.model_seconds for c in part), "s"),
            Measured(f"dbt build, the {name} {some}", statistics.median(c.seconds for c in part), "s"),
            Measured(f"CPU of the build, the {name} {some}", statistics.median(c.cpu_seconds for c in part), "s"),
            Measured(f"peak memory, the {name} {some}", statistics.median(c.peak_bytes for c in part) / MEGABYTE, "MB"),
        ]
    found.append(Measured("events at the end", built.count("count(*) from signal_events"), ""))
    return found, costs


def measure(
    entities: int = ENTITIES,
    flagged: int = FLAGGED,
    rounds: int = ROUNDS,
    year: tuple[int, int, int] = (YEAR_ENTITIES, YEAR_FLAGGED, BUILDS),
    warehouse: str = "duckdb",
) -> tuple[list[Measured], list[BuildCost]]:
    """Labelled numbers, and the series of the year's builds.

    Parameters: entities and how many of them are flagged; builds with and without the capture; entities, flagged and
    builds of the year; `duckdb` or `postgres`. Nothing is measured where rounds or builds are 0.
    """
    found: list[Measured] = []
    series: list[BuildCost] = []
    with tempfile.TemporaryDirectory() as folder, _server(warehouse) as server:
        if rounds:
            with lab(Path(folder, "share"), entities, flagged, server) as built:
                found += measure_share(built, rounds)
        if year[2]:
            with lab(Path(folder, "year"), year[0], year[1], server) as built:
                of_year, series = measure_year(built, year[2])
                found += of_year
    return found, series


@contextmanager
def _server(warehouse: str) -> Iterator[PostgresServer | None]:
    if warehouse == "duckdb":
        yield None
        return
    with running_server(is_durable=True) as server:
        yield server


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def table(found: Sequence[Measured]) -> str:
    return "\n".join(["| what | |", "|---|---|", *(f"| {m.label} | {m.value:,.2f} {m.unit} |" for m in found)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=ENTITIES)
    parser.add_argument("--flagged", type=int, default=FLAGGED)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="0 leaves this part out")
    parser.add_argument("--builds", type=int, default=BUILDS, help="0 leaves this part out")
    parser.add_argument("--year-entities", type=int, default=YEAR_ENTITIES)
    parser.add_argument("--year-flagged", type=int, default=YEAR_FLAGGED)
    parser.add_argument("--warehouse", choices=("duckdb", "postgres"), default="duckdb")
    chosen = parser.parse_args()
    year = (chosen.year_entities, chosen.year_flagged, chosen.builds)
    found, _ = measure(chosen.entities, chosen.flagged, chosen.rounds, year, chosen.warehouse)
    print(table(found))


if __name__ == "__main__":
    main()
