"""A seeded storm of kills over builds, passes and runs while the generated company plays; then both sides are judged.

    python tests/crash/chaos.py --seeds 20 [--first 1] [--days 5]

Every command is a process group of its own. At a random moment it gets SIGKILL or SIGTERM, the whole group or its first
process alone, so that a dbt build may be left behind without its parent. Then it is run again.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from e2e.loop.loop_driver import Loop, running_loop  # noqa: E402 - also run as a script

ENDS_WITHIN_SECONDS = 240
TRIES = 12  # of a command that is disturbed by what a killed one left behind
LEASE_SECONDS = 310  # longer than a lease: what a dead run held is free again after it
KEYED = ("tasks.upsert", "purchase.purchase.create", "project.work.create", "chat.postMessage", "send")


@dataclass
class Storm:
    """What one seed came to."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    effects: int = 0
    twice: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    stuck: list[str] = field(default_factory=list)  # waiting although nothing of its lane is held
    unnoticed: list[str] = field(default_factory=list)  # effects that the ledger neither delivered nor holds
    missing: list[str] = field(default_factory=list)  # deliveries that the sink does not have
    unproven: str = ""
    seconds: float = 0.0

    @property
    def is_well(self) -> bool:
        return not (self.twice or self.stuck or self.unnoticed or self.missing or self.unproven)


@dataclass(frozen=True)
class Weather:
    """Which commands are killed, when and how: all of it follows from the seed."""

    random: random.Random
    chance: float = 0.6

    def strikes(self) -> tuple[float, signal.Signals, bool] | None:
        """Seconds until the kill, the signal, and whether it meets the whole group; None where it is spared."""
        if self.random.random() > self.chance:
            return None
        by = self.random.choice((signal.SIGKILL, signal.SIGTERM))
        return self.random.uniform(1.0, 9.0), by, self.random.random() < 0.5


def play(seed: int, folder: Path, days: int) -> Storm:
    """The days of one seed, the time after them, and what is found then."""
    storm, weather = Storm(seed), Weather(random.Random(seed))
    began = time.monotonic()
    with running_loop(folder) as loop:
        for day in range(1, days + 1):
            loop.land_day(day)
            _play_day(loop, storm, weather)
        for passed in range(1, 5):
            _until_done(loop, storm, ("tick", "--no-build"), ahead=passed * LEASE_SECONDS)
        _judge(loop, storm)
    storm.seconds = time.monotonic() - began
    return storm


def _play_day(loop: Loop, storm: Storm, weather: Weather) -> None:
    for words in (("tick",), ("tick", "--no-build")):
        if strike := weather.strikes():
            _killed(loop, storm, words, *strike)
    _until_done(loop, storm, ("tick",))


def _started(loop: Loop, storm: Storm, words: Sequence[str], ahead: float = 0.0) -> subprocess.Popen[bytes]:
    storm.commands += 1
    with (loop.state_dir / "storm.txt").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, str(HERE / "chaos_loopctl.py"), *words],
            env={**loop.environment, "CRASH_CLOCK_AHEAD": str(ahead)},
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip


def _killed(loop: Loop, storm: Storm, words: Sequence[str], after: float, by: signal.Signals, is_group: bool) -> None:
    process = _started(loop, storm, words)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        (os.killpg if is_group else os.kill)(process.pid, by)
        storm.kills[by.name] += 1
        process.wait(ENDS_WITHIN_SECONDS)


def _until_done(loop: Loop, storm: Storm, words: Sequence[str], ahead: float = 0.0) -> None:
    """Runs a command again while it is disturbed by what was left behind, as a scheduler would."""
    for _ in range(TRIES):
        if _started(loop, storm, words, ahead).wait(ENDS_WITHIN_SECONDS) == 0:
            return
        time.sleep(1.0)  # a dbt that lost its parent may still hold the warehouse
    said = (loop.state_dir / "storm.txt").read_text(errors="replace")
    raise AssertionError(f"loopctl {' '.join(words)} never ended well: {said[-3000:]}")


def _judge(loop: Loop, storm: Storm) -> None:
    """Both sides, the sink's and the ledger's."""
    effects = [e for e in loop.sandbox.effects() if e.operation in KEYED and e.idempotency_key and e.is_created]
    counts = Counter(str(effect.idempotency_key) for effect in effects)
    storm.effects = len(counts)
    storm.twice = [key for key, times in counts.items() if times > 1]
    with sqlite3.connect(f"file:{loop.state_dir / 'ledger.sqlite'}?mode=ro", uri=True) as ledger:
        rows = ledger.execute(
            "select action_id, group_id, is_group, signal, entity_id, state, operation, is_ready from actions"
        ).fetchall()
    storm.states = Counter(row[5] for row in rows)
    by_id = {row[0]: row for row in rows}
    closed = {"held", "dead"}
    lanes = {(row[3], row[4]) for row in rows if row[5] in closed}
    groups = {row[1] for row in rows if (row[3], row[4]) in lanes} | {row[0] for row in rows if row[5] in closed}
    for row in rows:
        if row[5] == "waiting" and (row[3], row[4]) not in lanes and row[0] not in groups and row[1] not in groups:
            storm.stuck.append(row[0])
    known = ("delivered", "held")
    storm.unnoticed = [key for key in counts if key not in by_id or by_id[key][5] not in known]
    created = ("assign_task", "create_purchase_order", "create_onboarding_project", "post_message", "send_email")
    storm.missing = [
        row[0]
        for row in rows
        if row[5] == "delivered" and row[1] is None and row[6] in created and row[0] not in counts
    ]
    said = loop.loopctl("status", "--prove", exit_status=None)
    storm.unproven = said if "BROKEN" in said or "holds " not in said else ""


def told(storm: Storm) -> str:
    """One line of the table."""
    kills = " ".join(f"{name[3:]} {count}" for name, count in sorted(storm.kills.items())) or "none"
    states = " ".join(f"{name} {count}" for name, count in sorted(storm.states.items()))
    verdict = "well" if storm.is_well else (
        f"BROKEN: {len(storm.twice)} twice, {len(storm.missing)} missing, {len(storm.unnoticed)} unnoticed, "
        f"{len(storm.stuck)} stuck{', not proven' if storm.unproven else ''}"
    )  # fmt: skip
    return (
        f"{storm.seed:>4}  {kills:<16} {storm.commands:>8}  {storm.effects:>7}  {states:<58} "
        f"{storm.seconds:>5.0f} s  {verdict}"
    )


HEADING = f"{'seed':>4}  {'kills':<16} {'commands':>8}  {'effects':>7}  {'actions':<58} {'took':>7}  promises"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--days", type=int, default=5)
    chosen = parser.parse_args()
    print(HEADING, flush=True)
    storms = []
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        with tempfile.TemporaryDirectory(prefix="signal-loop-chaos-") as folder:
            storms.append(play(seed, Path(folder) / "state", chosen.days))
        print(told(storms[-1]), flush=True)
    sys.exit(0 if all(storm.is_well for storm in storms) else 1)


if __name__ == "__main__":
    main()
