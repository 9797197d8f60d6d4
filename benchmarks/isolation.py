"""What rows that fail cost the others: a pass in which 30 % of the rows are answered 500, beside one without faults.

    python benchmarks/isolation.py [--actions N] [--runs N] [--share S] [--latency SECONDS]

Both passes try every row once, with the circuit closed, at the sandbox's receiver; measured is the time from the claim
until everything is settled, which for the sound rows is no less than the time until they are delivered.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from reporting import Plot, Report, Say, Table, Target
from timing import Spent, in_turns
from workloads import act, filled_ledger

from dagster_project.sandbox.faults import Fault, FaultKind
from dagster_project.sandbox.server import SandboxServer

LIMIT = 1.5


def one_pass(actions: int, share: float, latency: float, delivered: list[int]) -> Spent:
    """What the pass took; how many rows were delivered is appended to the list."""
    with tempfile.TemporaryDirectory() as folder, SandboxServer(latency=latency) as sandbox:
        if share:
            seed = len(delivered)
            fault = Fault(kind=FaultKind.STATUS, status=500, vendor="hooks", probability=share, seed=seed)
            sandbox.faults.add(fault)
        around = filled_ledger(Path(folder), f"{sandbox.address.http_url}/hooks", actions, None)
        spent = act(around)
        around.database.close()
        delivered.append(len(sandbox.control.hook_deliveries("hooks")))
        return spent


def isolation(say: Say, actions: int = 2_000, runs: int = 3, share: float = 0.3, latency: float = 0.0) -> Report:
    """A share of the rows always answers 500, the others 200.

    Parameters: how many actions; how many passes of each kind; the share that fails; the sandbox's latency in seconds.
    """
    delivered: dict[str, list[int]] = {"without faults": [], f"{share:.0%} answered 500": []}
    shares = dict(zip(delivered, (0.0, share), strict=True))
    ways = {name: partial(one_pass, actions, shares[name], latency, seen) for name, seen in delivered.items()}
    found = in_turns(ways, runs, say)
    sound, struck = found.values()
    rows = tuple((name, *times.cells(), f"{delivered[name][-1]:,}") for name, times in found.items())
    columns = ("pass", "median", "smallest to largest", "its processor time", "delivered in the last")
    ratio = struck.median / sound.median
    bars = tuple((name, times.median) for name, times in found.items())
    return Report(
        tables=(Table(columns=columns, rows=rows),),
        targets=(Target.at_most(f"{share:.0%} of {actions:,} always 500: time without faults", LIMIT, ratio),),
        plots=(
            Plot(
                name="isolation",
                title=f"{actions:,} actions, each tried once: seconds, median",
                unit="s",
                bars=bars,
                ours=tuple(found),
                limit=LIMIT * sound.median,
            ),
        ),
        notes=("Every row is tried once, with the circuit closed, at the sandbox's receiver.",),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actions", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--latency", type=float, default=0.0)
    chosen = parser.parse_args()
    print(isolation(print, **vars(chosen)).tables[0].as_markdown())


if __name__ == "__main__":
    main()
