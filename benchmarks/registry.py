"""The benchmark cases, in the order of the page. A case is one line here.

A case is a function that takes `say` (for a line of progress) and sizes by name, each with its documented default, and
gives a Report; or a script that prints Markdown, with its arguments.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import beside_peers
import scale_cases
import service_cases
from console_pages import console
from isolation import isolation
from parallel_runs import parallel
from reporting import Report, Say
from run_memory import run_memory
from start_up import start_up

Size = int | float | str


@dataclass(frozen=True)
class Case:
    """One case, and the sizes at which it shows within seconds that it still runs."""

    name: str
    title: str
    measure: Callable[..., Report]
    tiny: Mapping[str, Size] = field(default_factory=dict)
    is_quick: bool = True  # tiny, it takes a few seconds: the daily tests run it

    def defaults(self) -> dict[str, Size]:
        """The sizes as shipped."""
        known = list(inspect.signature(self.measure).parameters.values())
        return {one.name: one.default for one in known if one.name != "say"}


def script(file: str, arguments: str = "", tiny: str = "") -> tuple[Callable[..., Report], dict[str, Size]]:
    """A script as a case: what it prints stands on the page. Parameters: its arguments, and those of its tiny form."""

    def measure(say: Say, arguments: str = arguments) -> Report:
        command = [sys.executable, str(Path(__file__).with_name(file)), *arguments.split()]
        say(" ".join(command[1:]))
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return Report(printed=done.stdout)

    return measure, {"arguments": tiny}


NO_PEERS: dict[str, Size] = {"runs": 1, "is_with_peers": False}
CASES = (
    Case("delivery", "Delivery: one request an action", beside_peers.delivery,
         {**NO_PEERS, "actions": 40, "dagster_rows": 0}),
    Case("latency", "Delivery at a destination that takes its time", beside_peers.latency,
         {**NO_PEERS, "actions": 32, "seconds": 0.01}),
    Case("batch", "Delivery at a batch endpoint", beside_peers.batch,
         {"actions": 200, "runs": 1, "peer_rows": 0}),
    Case("clients", "HTTP clients", beside_peers.clients, {**NO_PEERS, "calls": 40}),
    Case("isolation", "Rows that fail beside rows that do not", isolation, {"actions": 40, "runs": 1}),
    Case("run_memory", "Memory of an action run", run_memory, {"backlogs": "50,200", "runs": 1}, is_quick=False),
    Case("parallel", "Several runs at once", parallel, {"actions": 40, "processes": "1,2", "runs": 1}, is_quick=False),
    Case("rate", "A rate that several runs share", service_cases.rate,
         {"runs": 2, "limit": 20, "seconds": 2.0, "repeats": 1}, is_quick=False),
    Case("prompt", "Commit to delivered", service_cases.prompt,
         {"events": 1, "setups": "shipped", "is_with_build": False}, is_quick=False),
    Case("ledger", "The ledger as it grows", scale_cases.ledger,
         {"sizes": "60,120", "ledgers": "sqlite", "repeats": 1}),
    Case("capture", "Event capture as it grows", scale_cases.capture,
         {"entities": 2000, "flagged": 800, "rounds": 1, "year_entities": 2000, "year_flagged": 800, "builds": 3},
         is_quick=False),
    Case("start_up", "Start-up", start_up, {"runs": 1}, is_quick=False),
    Case("console", "Pages of the console", console, {"actions": 4000, "repeats": 1}),
)  # fmt: skip
BY_NAME = {case.name: case for case in CASES}
