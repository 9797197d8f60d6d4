"""How long the ledger's parts take as it grows: tick, claim, settling, status and the rest, at several sizes.

    python benchmarks/ledger_scale.py [--sizes 10000,100000] [--ledgers sqlite,postgres] [--repeats 20]
                                      [--folder FOLDER] [--plans] [--only OPERATION]

Each size is a ledger of its own, filled by `ledger_fill.py`; SQLite's are kept in the folder, where one is given, for
the next time. Every operation is the loop's own function; the warehouse is left out, for its part does not grow with
the ledger. PostgreSQL is a server of the benchmark's own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

from ledger_fill import INCARNATION, catalog_of, fill, take_in_due
from sqlalchemy import func, insert, select

from dagster_project.contracts.catalog import Catalog
from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.contracts.vocabulary import Mode
from dagster_project.ledger.claims import claim, due_count, release
from dagster_project.ledger.contacts import refresh_do_not_contact
from dagster_project.ledger.database import Database, open_database
from dagster_project.ledger.gates import Claim
from dagster_project.ledger.intake import baseline_through, bind_incarnation, known_builds
from dagster_project.ledger.intents import Rendering, write_intents
from dagster_project.ledger.modes import declare_mode
from dagster_project.ledger.readiness import refresh_lanes
from dagster_project.ledger.removed_signals import hold_removed
from dagster_project.ledger.retry_policy import RetryPolicy
from dagster_project.ledger.schema import actions, builds, pauses
from dagster_project.ledger.settlement import Settled, settle
from dagster_project.ledger.sweep import SweepPolicy
from dagster_project.ledger.unknown_outcomes import unknown_count
from dagster_project.ledger.work import ready_ids, ready_work
from dagster_project.verify.alerting import ledger_conditions
from dagster_project.verify.conservation import Proof, prove
from dagster_project.verify.explain import explain
from dagster_project.verify.sla import judge, read_timings
from dagster_project.verify.status import read_status

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from postgres_server import running_server
from query_plans import recording

SIZES = (10_000, 100_000)
LEDGERS = ("sqlite", "postgres")
REPEATS = 20
LEASE = timedelta(seconds=300)
RETRY = RetryPolicy(max_attempts=5, base_seconds=30.0, cap_seconds=3600.0)
SIGNAL = "customer_churn_risk"
DELIVERED = Outcome(Verdict.DELIVERED, external_id="x-1", url="http://crm/x-1")


@dataclass(frozen=True)
class Timing:
    """One operation at one size of one ledger; milliseconds."""

    ledger: str
    events: int
    operation: str
    p50: float
    p95: float
    cpu: float  # of this process, at the median: what a machine with other work does not change; not the server's


@dataclass
class Stand:
    """A filled ledger and what the operations need of it."""

    database: Database
    catalog: Catalog
    entity: str
    newest_build: int
    sweeping: SweepPolicy = field(default_factory=lambda: SweepPolicy(RETRY, Random(1), 60.0))

    def claim(self, limit: int) -> Claim:
        return claim(self.database, SIGNAL, "bench", limit, LEASE, self.sweeping)


@dataclass(frozen=True, order=True)
class Span:
    """Seconds, on the clock and of this process's CPU."""

    wall: float
    cpu: float

    def __add__(self, other: Span) -> Span:
        return Span(self.wall + other.wall, self.cpu + other.cpu)


Operation = Callable[[Stand], Span]  # does it once


def timed(work: Callable[[], object]) -> Span:
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return Span(time.perf_counter() - began, time.process_time() - cpu)


def tick_body(stand: Stand) -> float:
    """What a sensor asks of the ledger where there is no new build."""
    database = stand.database

    def work() -> None:
        known_builds(database, SIGNAL)
        bind_incarnation(database, INCARNATION)
        declare_mode(database, SIGNAL, Mode.LIVE)
        refresh_do_not_contact(database, [])
        baseline_through(database, SIGNAL, 0)
        due_count(database, SIGNAL)
        unknown_count(database, SIGNAL)

    return timed(work)


def take_in_100(stand: Stand) -> float:
    stand.newest_build += 1
    signal = stand.catalog.signals[SIGNAL]
    return timed(lambda: take_in_due(stand.database, signal, stand.newest_build, 100))


def claim_100(stand: Stand) -> float:
    held: list[Claim] = []
    took = timed(lambda: held.append(stand.claim(100)))
    assert held[0].count == 100, held
    release(stand.database, held[0])
    return took


def tick_while_blocked(stand: Stand) -> float:
    """A tick and a claim that find everything due, and all of it kept back by its destinations."""
    with paused(stand.database, "destination:hubspot", "destination:tryton"):
        return tick_body(stand) + timed(lambda: stand.claim(100))


@contextmanager
def paused(database: Database, *subjects: str) -> Iterator[None]:
    with database.writing() as connection:
        row = {"by": "bench", "why": "", "paused_at": database.now()}
        connection.execute(insert(pauses), [{**row, "subject": subject} for subject in subjects])
    try:
        yield
    finally:
        with database.writing() as connection:
            connection.execute(pauses.delete())


def settle_100(stand: Stand) -> float:
    """Reading, rendering, intents and outcomes of 100 actions; the claim before them is not timed."""
    held = stand.claim(100)

    def work() -> None:
        items = ready_work(stand.database, held, ready_ids(stand.database, held, None)[:100]).items
        renderings = [
            Rendering(item.action_id, "{}", member_ids=tuple(member.action_id for member in item.members))
            for item in items
            if item.arguments_json is None
        ]
        action_ids = [item.action_id for item in items]
        intents = write_intents(stand.database, held, action_ids, LEASE, renderings).opened
        assert intents
        settle(stand.database, held, [Settled(one, DELIVERED) for one in intents], RETRY, Random(1))

    took = timed(work)
    release(stand.database, held)
    return took


def status(stand: Stand) -> float:
    with stand.database.reading() as connection:
        return timed(lambda: read_status(connection, stand.catalog, stand.database.now()))


def status_prove(stand: Stand) -> float:
    broken: list[Proof] = []
    with stand.database.reading() as connection:
        took = timed(lambda: broken.extend(proof for proof in prove(connection) if not proof.holds))
    assert not broken, broken
    return took


def story(stand: Stand) -> float:
    with stand.database.reading() as connection:
        return timed(lambda: explain(connection, stand.catalog, stand.entity))


def lanes_of_100(stand: Stand) -> float:
    with stand.database.writing(SIGNAL) as connection:
        entities = [f"C{n}" for n in range(100)]
        return timed(lambda: refresh_lanes(connection, SIGNAL, entities, stand.database.now()))


def check_act_within(stand: Stand) -> float:
    spec = stand.catalog.signals[SIGNAL].spec
    with stand.database.reading() as connection:
        return timed(lambda: judge(read_timings(connection, SIGNAL, stand.database.now()), spec))


def tidy(stand: Stand) -> float:
    return timed(lambda: hold_removed(stand.database, stand.catalog.signals, stand.sweeping))


def alerts(stand: Stand) -> float:
    return timed(lambda: ledger_conditions(stand.database, stand.catalog))


OPERATIONS: dict[str, Operation] = {
    "tick": tick_body,
    "claim of 100": claim_100,
    "tick and claim, all of it blocked": tick_while_blocked,
    "settling 100": settle_100,
    "a build of 100 events taken in": take_in_100,
    "lanes of 100 entities": lanes_of_100,
    "status": status,
    "check act_within": check_act_within,
    "alert conditions": alerts,
    "tidying": tidy,
    "explain one entity": story,
}
LINEAR: dict[str, Operation] = {"status --prove": status_prove}


def stand_of(database: Database) -> Stand:
    with database.reading() as connection:
        entity = connection.execute(select(actions.c.entity_id).where(actions.c.entity_id.is_not(None)).limit(1))
        newest = connection.execute(select(func.max(builds.c.build_no))).scalar_one()
        return Stand(database, catalog_of(), entity.scalar_one(), newest)


def measure_one(database: Database, kind: str, events: int, repeats: int, names: Sequence[str]) -> list[Timing]:
    """Every operation on one filled ledger; what is linear by its nature is done once."""
    stand, found = stand_of(database), []
    for name, operation in {**OPERATIONS, **LINEAR}.items():
        if names and name not in names:
            continue
        took = sorted(operation(stand) for _ in range(1 if name in LINEAR else repeats))
        p95 = took[max(0, -(-len(took) * 95 // 100) - 1)].wall
        p50, cpu = statistics.median(one.wall for one in took), statistics.median(one.cpu for one in took)
        found.append(Timing(kind, events, name, p50 * 1000, p95 * 1000, cpu * 1000))
        print(found[-1], file=sys.stderr, flush=True)
    return found


def whole_reads(database: Database) -> list[str]:
    """Which statements of the operations that should be flat read a growing table from end to end."""
    stand = stand_of(database)
    found = []
    for name, operation in OPERATIONS.items():
        with recording(database.engine) as made:
            operation(stand)
        with database.engine.connect() as connection:
            found += [f"{name}: {line}" for line in made.whole_reads(connection)]
    return found


@contextmanager
def ledger_of(kind: str, events: int, folder: Path, server: object) -> Iterator[Database]:
    """A ledger of that size: the one of the last time, or a new one that is filled first."""
    file = folder / f"ledger-{events}.sqlite"
    url = f"sqlite:///{file}" if kind == "sqlite" else server.url(server.fresh_database("scale"))  # type: ignore[attr-defined]
    is_new = kind != "sqlite" or not file.exists()
    database = open_database(url)
    try:
        if is_new:
            print(f"{kind} {events}: filled in {timed(lambda: fill(database, events)).wall:.0f} s", file=sys.stderr)
        yield database
    finally:
        database.close()


def measure(
    sizes: Sequence[int] = SIZES,
    kinds: Sequence[str] = LEDGERS,
    repeats: int = REPEATS,
    folder: Path | None = None,
    shows_plans: bool = False,
    names: Sequence[str] = (),
) -> list[Timing]:
    """Measures every operation at every size; a series over sizes for each ledger and operation.

    Parameters: numbers of events; ledgers, `sqlite` or `postgres`; how often each operation is done; where filled
    SQLite ledgers are kept; whether whole reads of growing tables are printed; the operations, all if left out.
    """
    found: list[Timing] = []
    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place.mkdir(parents=True, exist_ok=True)
        server = stack.enter_context(running_server(is_durable=True)) if "postgres" in kinds else None
        for kind in kinds:
            for events in sizes:
                with ledger_of(kind, events, place, server) as database:
                    found += measure_one(database, kind, events, repeats, names)
                    if shows_plans:
                        print(*(whole_reads(database) or ["no growing table is read whole"]), sep="\n")
    return found


def table(timings: Sequence[Timing]) -> str:
    """The timings as a table in Markdown: p50 / p95 / CPU in ms at each size, and how they grow from first to last."""
    sizes = sorted({timing.events for timing in timings})
    lines = ["| ledger | what | " + " | ".join(f"{size:,} events" for size in sizes) + " | p50 grows | CPU grows |"]
    lines.append("|---|---|" + "---|" * (len(sizes) + 2))
    by_row: dict[tuple[str, str], dict[int, Timing]] = {}
    for timing in timings:
        by_row.setdefault((timing.ledger, timing.operation), {})[timing.events] = timing
    for (ledger, operation), row in by_row.items():
        cells = [f"{row[s].p50:.1f} / {row[s].p95:.1f} / {row[s].cpu:.1f}" if s in row else "" for s in sizes]
        first, last = row[min(row)], row[max(row)]
        cells += [f"{last.p50 / first.p50:.2f}", f"{last.cpu / first.cpu:.2f}"]
        lines.append(f"| {ledger} | {operation} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--ledgers", default=",".join(LEDGERS))
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--plans", action="store_true")
    parser.add_argument(
        "--only", action="append", default=[], help="An operation by its name; more than once for more."
    )
    chosen = parser.parse_args()
    sizes = [int(size) for size in chosen.sizes.split(",")]
    found = measure(sizes, chosen.ledgers.split(","), chosen.repeats, chosen.folder, chosen.plans, chosen.only)
    print(table(found))


if __name__ == "__main__":
    main()
