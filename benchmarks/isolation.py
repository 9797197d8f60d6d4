"""What rows that fail cost the others: a pass in which 30 % of the rows are answered 500, beside one without faults.

    python benchmarks/isolation.py [--actions N] [--runs N] [--share S] [--latency SECONDS]

Both passes try every row once, with the circuit closed, at the sandbox's receiver; measured is the time from the claim
until everything is settled, which for the sound rows is no less than the time until they are delivered.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from delivery_speed import act, filled_ledger

from dagster_project.sandbox.faults import Fault, FaultKind
from dagster_project.sandbox.server import SandboxServer


def one_pass(actions: int, share: float, latency: float, seed: int) -> tuple[float, int]:
    """Seconds that the pass took, and how many rows were delivered."""
    with tempfile.TemporaryDirectory() as folder, SandboxServer(latency=latency) as sandbox:
        if share:
            fault = Fault(kind=FaultKind.STATUS, status=500, vendor="hooks", probability=share, seed=seed)
            sandbox.faults.add(fault)
        around = filled_ledger(Path(folder), f"{sandbox.address.http_url}/hooks", actions, None)
        seconds = act(around)
        around.database.close()
        return seconds, len(sandbox.control.hook_deliveries("hooks"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actions", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--latency", type=float, default=0.0)
    chosen = parser.parse_args()
    medians = []
    for name, share in (("without faults", 0.0), (f"{chosen.share:.0%} answered 500", chosen.share)):
        passes = [one_pass(chosen.actions, share, chosen.latency, seed) for seed in range(chosen.runs)]
        seconds = [took for took, _ in passes]
        medians.append(statistics.median(seconds))
        delivered = statistics.median(count for _, count in passes)
        spread = f"({min(seconds):.2f} to {max(seconds):.2f})"
        print(f"{name:<24} {medians[-1]:7.2f} s  {spread}  {delivered:.0f} of {chosen.actions} delivered")
    print(f"ratio {medians[1] / medians[0]:.2f}")


if __name__ == "__main__":
    main()
