"""A destination that is down burns no attempts, whatever it is down with; a bad row among good ones burns its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from delivery_bench import DeliveryBench, catalog_with, one_step
from delivery_cases import BLIND, KITS, SAFE, DeliveryKit
from test_ledger_deliveries import binding_for, connection_for

from dagster_project.ledger.blame import FAILING
from dagster_project.ledger.schema import attempts
from dagster_project.sandbox.faults import Fault, FaultKind
from dagster_project.sandbox.server import SandboxServer
from dagster_project.settings import Settings

CASES = 60
MakeBench = Callable[[DeliveryKit], DeliveryBench]
DOWN: Mapping[str, Mapping[str, Any]] = {
    "500": {"kind": FaultKind.STATUS, "status": 500},
    "502": {"kind": FaultKind.STATUS, "status": 502},
    "503": {"kind": FaultKind.STATUS, "status": 503},
    "the connection breaks": {"kind": FaultKind.DROP_BEFORE},
    "it hangs": {"kind": FaultKind.DELAY, "seconds": 5.0},
}


def hook(after_unknown: str) -> DeliveryKit:
    return next(kit for kit in KITS if kit.name == "webhook" and kit.after_unknown == after_unknown)


@pytest.fixture
def make_bench(sandbox: SandboxServer, tmp_path: Path) -> Iterator[MakeBench]:
    made: list[DeliveryBench] = []

    def make(kit: DeliveryKit) -> DeliveryBench:
        binding = binding_for(kit, connection_for(kit, sandbox, call_deadline=0.5))
        step = one_step(binding.role, kit.operation, kit.arguments)
        settings = Settings(_env_file=None, in_flight_calls=8)
        made.append(DeliveryBench(tmp_path / "ledger.sqlite", catalog_with(step), binding, settings))
        made[-1].flag(*(f"c{n}" for n in range(CASES)))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


def calls_of(bench: DeliveryBench) -> int:
    """How many calls failed; an attempt that was not begun is none."""
    return len([one for one in bench.rows(attempts) if one.reason in FAILING])


@pytest.mark.parametrize("how", DOWN)
def test_its_circuit_opens_its_work_waits_and_drains_by_itself(
    sandbox: SandboxServer, make_bench: MakeBench, how: str
) -> None:
    kit = hook(SAFE)
    bench = make_bench(kit)
    sandbox.faults.add(Fault(vendor=kit.vendor, **DOWN[how]))
    bench.run()
    row = bench.destination()
    assert row is not None and row.open_until is not None
    assert bench.run() == 0, "nothing is claimed while the circuit is open"
    before = calls_of(bench)
    for _ in range(3):
        bench.clock.ahead += timedelta(minutes=20)
        bench.run()
    assert calls_of(bench) - before == 3, "a single call tries each time"
    assert {(bench.action(f"c{n}").state, bench.action(f"c{n}").attempts) for n in range(CASES)} == {("waiting", 0)}

    sandbox.faults.clear()
    bench.clock.ahead += timedelta(minutes=20)
    bench.run()
    bench.clock.ahead += timedelta(minutes=20)
    bench.run()
    assert {bench.action(f"c{n}").state for n in range(CASES)} == {"delivered"}


def test_few_unkeyed_calls_are_left_in_doubt(sandbox: SandboxServer, make_bench: MakeBench) -> None:
    kit = hook(BLIND)
    bench = make_bench(kit)
    sandbox.faults.add(Fault(vendor=kit.vendor, **DOWN["500"]))
    for _ in range(3):
        bench.run()
        bench.clock.ahead += timedelta(minutes=20)

    held = [n for n in range(CASES) if bench.action(f"c{n}").state == "held"]
    assert len(held) <= 2 * 8 + 2, "a round and what was under way beside it, then one call each time"


@pytest.mark.parametrize("status", [500, 503, 405])
def test_a_bad_row_stops_nobody_and_dies_of_its_own_attempts(
    sandbox: SandboxServer, make_bench: MakeBench, status: int
) -> None:
    kit = hook(SAFE)
    bench = make_bench(kit)
    sandbox.faults.add(Fault(vendor=kit.vendor, kind=FaultKind.STATUS, status=status, body='"c7"'))
    bench.run()

    bad = bench.action("c7")
    assert (bad.state, bad.attempts) == ("waiting", 1)
    assert {bench.action(f"c{n}").state for n in range(CASES) if n != 7} == {"delivered"}
    row = bench.destination()
    assert row is None or row.open_until is None
