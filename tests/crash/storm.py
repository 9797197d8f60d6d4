"""Which processes are killed, when and how: all of it follows from a seed."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

from deployment import Deployment, Worker, send_signal

SERVERS = ("daemon", "activate", "transform")
WORKERS = ("run", "build", "dbt")
# A power cut ends everything at once: only then does a run that is gone have nobody left who could say so.
KINDS = {"daemon": 3, "activate": 3, "run": 5, "dbt": 3}
KINDS_OF_DAGSTERS_BUILD = {**KINDS, "transform": 2, "build": 2}
KILLS_A_DAY = (1, 3)
POWER_CUT_CHANCE = 0.05  # a day


@dataclass(frozen=True)
class Kill:
    kind: str
    by: signal.Signals
    delay: float  # seconds after the target is there


@dataclass
class Storm:
    """The kills of one day, each waiting for its target."""

    pending: list[Kill]
    seen_at: dict[int, float] = field(default_factory=dict)  # place in `pending` -> when its target was first there
    struck: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of_day(cls, chance: random.Random, is_built_by_dagster: bool) -> Storm:
        known = KINDS_OF_DAGSTERS_BUILD if is_built_by_dagster else KINDS
        kinds = chance.choices(list(known), weights=list(known.values()), k=chance.randint(*KILLS_A_DAY))
        if chance.random() < POWER_CUT_CHANCE:
            kinds.append("power")
        return cls([Kill(kind, _signal(chance, kind), _delay(chance, kind)) for kind in kinds])

    def strike(self, deployment: Deployment) -> None:
        """Kills whatever is due to be killed now."""
        workers = deployment.workers()
        for place, kill in enumerate(list(self.pending)):
            targets = [worker for worker in workers if worker.kind == _needs(kill.kind)]
            if kill.kind not in SERVERS and not targets:
                continue
            if time.monotonic() - self.seen_at.setdefault(place, time.monotonic()) < kill.delay:
                continue
            _do(deployment, kill, targets, workers)
            self.struck[f"{kill.kind} {kill.by.name}"] += 1
            self.seen_at.clear()
            self.pending.remove(kill)
            return  # the others look again at what is left


def _needs(kind: str) -> str:
    return "run" if kind == "power" else kind


def _signal(chance: random.Random, kind: str) -> signal.Signals:
    return signal.SIGKILL if kind == "power" else chance.choice((signal.SIGKILL, signal.SIGTERM))


def _delay(chance: random.Random, kind: str) -> float:
    return chance.uniform(0.0, {"dbt": 6.0, "build": 8.0, "run": 3.0, "power": 3.0}.get(kind, 15.0))


def _do(deployment: Deployment, kill: Kill, targets: list[Worker], workers: list[Worker]) -> None:
    if kill.kind in SERVERS:
        deployment.end(kill.kind, kill.by)
        return
    if kill.kind == "power":
        for name in SERVERS:
            deployment.end(name, kill.by)
        targets = workers
    for worker in targets if kill.kind == "power" else targets[:1]:
        send_signal(worker.pid, kill.by)
