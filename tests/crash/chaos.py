"""A seeded storm of kills over daemon, code servers, runs and dbt while five days play; then both sides are judged.

    python tests/crash/chaos.py --seeds 20 [--first 1] [--days 5] [--write docs/chaos.md]

Real processes: dagster-daemon, a code server for each location, a webserver, and the runs they start. What dies is
started again, as a supervisor would; a build that died is asked for again, as the next schedule would. Between two days
the ledger's clock goes ahead by more than a lease, so that nobody has to wait for what a dead run held.
"""

from __future__ import annotations

import argparse
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "e2e" / "loop")]

from chaos_builds import Build, DagsterBuild, DbtBuild  # noqa: E402
from chaos_verdict import Verdict, judge  # noqa: E402 - also run as a script
from deployment import LEASE_SECONDS, Deployment, running_deployment  # noqa: E402
from e2e.loop.loop_driver import FIRST_DAY, Loop, running_loop  # noqa: E402
from storm import Storm  # noqa: E402

DAY_WITHIN_SECONDS = 600  # bounds a failure, it is no measure of speed
MOST_QUIET_DAYS = 4
LANDING_TRIES = 20
CUSTOMERS = 300
BY_DAGSTER_CHANCE = (
    0.35  # that a day is built by a run of Dagster's and not by a dbt of its own; it takes thrice as long
)
POLL_SECONDS = 0.3
SETTLED = (
    "select count(*) from actions where state = 'waiting' and is_ready and group_id is null and due_at <= ? "
    "and (lease_until is null or lease_until <= ?) and not exists (select 1 from destinations d where d.destination = "
    "actions.destination and (d.open_until > ? or d.not_before > ?))"
)
OPEN = "select count(*) from actions where state = 'waiting' and is_ready and group_id is null"


@dataclass
class Played:
    """What one seed came to."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    seconds: float = 0.0
    gave_up: str = ""

    @property
    def is_well(self) -> bool:
        return not self.verdict.broken and not self.gave_up


class NeverSettled(AssertionError):
    """A day did not come to its end."""


@dataclass
class Day:
    """One day that plays: its build is asked for until it has succeeded, then everything due is waited for."""

    deployment: Deployment
    storm: Storm
    build: Build | None

    def play(self) -> None:
        give_up_at = time.monotonic() + DAY_WITHIN_SECONDS
        while not ((self.build is None or self.build.has_succeeded()) and self._is_settled()):
            if time.monotonic() > give_up_at:
                raise NeverSettled(self._state())
            self.deployment.supervise()
            self.storm.strike(self.deployment)
            time.sleep(POLL_SECONDS)

    def _is_settled(self) -> bool:
        """Every released build is in the ledger, nothing is due, and no run is at work."""
        if self.deployment.workers():
            return False
        return _released(self.deployment.loop) <= _ingested(self.deployment.loop) and not self._due()

    def _due(self) -> int:
        now = datetime.now(UTC) + timedelta(seconds=self.deployment.ahead_seconds)
        return _count(self.deployment.loop, SETTLED, _moment(now))

    def _state(self) -> str:
        loop = self.deployment.loop
        builds = len(_released(loop) - _ingested(loop))
        kinds = Counter(worker.kind for worker in self.deployment.workers())
        return f"{builds} builds not ingested, {self._due()} due, at work: {dict(kinds)}, {self.build}"


def _moment(when: datetime) -> str:
    """As the ledger keeps moments on SQLite."""
    return when.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _count(loop: Loop, sql: str, now: str | None = None) -> int:
    with sqlite3.connect(f"file:{loop.state_dir / 'ledger.sqlite'}?mode=ro", uri=True) as ledger:
        return int(ledger.execute(sql, (now,) * sql.count("?")).fetchone()[0])


def _ingested(loop: Loop) -> set[str]:
    if not (loop.state_dir / "ledger.sqlite").exists():
        return set()  # a build may end before the first sensor has made the ledger
    with sqlite3.connect(f"file:{loop.state_dir / 'ledger.sqlite'}?mode=ro", uri=True) as ledger:
        return {row[0] for row in ledger.execute("select build_id from builds")}


def _released(loop: Loop) -> set[str]:
    """The builds that the ledger has to have; more than any can be while the warehouse is locked."""
    try:
        rows = loop.warehouse_rows("select build_id from analytics.signal_builds where released_at is not null")
    except duckdb.IOException:
        return {"locked"}
    return {row[0] for row in rows}


def play(seed: int, folder: Path, days: int) -> Played:
    """The days of one seed, the quiet days after them, and what is found then."""
    played, chance = Played(seed), random.Random(seed)
    began = time.monotonic()
    with running_loop(folder) as loop:
        loop.loopctl("prepare")
        with running_deployment(loop) as deployment:
            try:
                _play_days(deployment, played, chance, days)
            except NeverSettled as error:
                played.gave_up = str(error)
            played.starts = deployment.starts
        played.verdict = judge(loop)
    played.seconds = time.monotonic() - began
    return played


def _play_days(deployment: Deployment, played: Played, chance: random.Random, days: int) -> None:
    loop = deployment.loop
    for day in range(1, days + 1):
        _land(loop, day)
        is_dagsters = chance.random() < BY_DAGSTER_CHANCE
        storm = Storm.of_day(chance, is_dagsters)
        Day(deployment, storm, (DagsterBuild if is_dagsters else DbtBuild)(deployment)).play()
        played.kills += storm.struck
        _next_morning(deployment)
    for _ in range(MOST_QUIET_DAYS):
        Day(deployment, Storm([]), None).play()
        if not _count(loop, OPEN):
            return
        _next_morning(deployment)


def _land(loop: Loop, day: int) -> None:
    as_of = FIRST_DAY + timedelta(days=day)
    words = ["--day", str(day), "--customers", str(CUSTOMERS), "--as-of", f"{as_of:%Y-%m-%dT%H:%M:%S}"]
    said = ""
    for _ in range(LANDING_TRIES):  # a sensor that reads holds the file for a moment
        said = loop.loopctl("land", "--generate", *words, exit_status=None)
        if "Error" not in said:
            return
    raise NeverSettled(said)


def _next_morning(deployment: Deployment) -> None:
    deployment.set_clock(deployment.ahead_seconds + 2 * LEASE_SECONDS)


COLUMNS = ("seed", "kills", "process starts", "events", "actions", "effects", "twice", "lost", "promises", "seconds")


def line(played: Played) -> str:
    """One row of the table."""
    verdict = played.verdict
    cells = (
        played.seed,
        ", ".join(f"{count} {name.replace(' SIG', ' ')}" for name, count in sorted(played.kills.items())) or "none",
        played.starts,
        verdict.events,
        ", ".join(f"{count} {state}" for state, count in sorted(verdict.states.items())),
        verdict.effects,
        len(verdict.twice),
        len(verdict.lost) + len(verdict.stuck),
        "kept" if played.is_well else f"BROKEN: {verdict.broken} {played.gave_up}",
        f"{played.seconds:.0f}",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


HEADING = "| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--days", type=int, default=5)
    parser.add_argument("--write", type=Path, help="A page whose table is replaced by this one.")
    chosen = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background too, and for every child
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(HEADING, flush=True)
    lines, is_well = [], True
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        with tempfile.TemporaryDirectory(prefix="signal-loop-chaos-", ignore_cleanup_errors=True) as folder:
            played = play(seed, Path(folder) / "state", chosen.days)
        lines.append(line(played))
        is_well = is_well and played.is_well
        print(lines[-1], flush=True)
        if chosen.write:
            _write(chosen.write, lines)  # after each, for an hour is long
    sys.exit(0 if is_well else 1)


def _write(page: Path, lines: list[str]) -> None:
    """Puts the table where the page has its last one, or at its end."""
    kept = page.read_text(encoding="utf-8").partition(HEADING)[0].rstrip()
    page.write_text("\n".join([kept, "", HEADING, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
