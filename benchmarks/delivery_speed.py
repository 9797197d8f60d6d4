"""Claim to settled, intents and outcomes durable, beside a bare loop of the same HTTP client on the same sink.

    python benchmarks/delivery_speed.py [--actions N] [--latency SECONDS] [--runs N] [--ledger URL] [--batched]

The short form of `make bench CASES="delivery latency batch"`, for whoever works on delivery: no peers, no page.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from sink import counted, running_sink
from timing import Spent, in_turns
from workloads import CONTACTS, WEBHOOKS, Workload, act, filled_ledger

BATCH = 100  # contacts that a request of HubSpot's takes
SAME_CLIENT = "aiohttp"  # the client of the project's connectors, and the loop it runs on
IN_FLIGHT = 32  # as LOOP_IN_FLIGHT_CALLS is shipped
UPSERT_PATH = "crm/objects/2026-03/contacts/batch/upsert"


def bare(
    sink: str, actions: int, client: str = SAME_CLIENT, *, is_batched: bool = False, python: str = sys.executable
) -> Spent:
    """What one client needs for the requests alone, in a process of its own.

    Parameters: the sink; how many actions, a hundred of which are one request if batched; the client; the interpreter
    of the environment that has it.
    """
    count, path = (-(-actions // BATCH), UPSERT_PATH) if is_batched else (actions, "hooks")
    command = [python, str(Path(__file__).with_name("bare_client.py")), client, "--url", f"{sink}/{path}"]
    command += ["--count", str(count), "--in-flight", str(IN_FLIGHT), "--batch", str(BATCH if is_batched else 0)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds, cpu_seconds = map(float, said.split())
    return Spent(seconds, cpu_seconds)


def ours(sink: str, actions: int, workload: Workload = WEBHOOKS, ledger: str | None = None) -> Spent:
    """From claim to settled in a new ledger; the sink has to have seen each action once."""
    before = counted(sink)["requests"]
    with tempfile.TemporaryDirectory() as folder:
        around = filled_ledger(Path(folder), sink, actions, ledger, workload)
        took = act(around)
        around.database.close()
    seen = counted(sink)["requests"] - before
    expected = -(-actions // BATCH) if workload.is_batched else actions
    if seen != expected:
        raise RuntimeError(f"{actions} actions made {seen} requests instead of {expected}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actions", type=int, default=10_000)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ledger")
    parser.add_argument("--batched", action="store_true")
    chosen = parser.parse_args()
    workload = CONTACTS if chosen.batched else WEBHOOKS
    with running_sink(chosen.latency) as sink:
        ways = {
            "bare loop of the same client": partial(bare, sink, chosen.actions, is_batched=chosen.batched),
            "claim to settled": partial(ours, sink, chosen.actions, workload, chosen.ledger),
        }
        found = in_turns(ways, chosen.runs, lambda _: None)
    for name, times in found.items():
        print(f"{name:<32} {'  '.join(times.cells())}")
    bare_times, our_times = found.values()
    print(f"ratio {our_times.median / bare_times.median:.2f}")


if __name__ == "__main__":
    main()
