"""A run that is ended while calls are under way: what it says was never begun is never begun afterwards either."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterExecutionInterruptedError
from delivery_bench import DeliveryBench, catalog_with, one_step
from delivery_cases import KITS
from test_ledger_deliveries import binding_for, connection_for

from dagster_project.contracts.destination import Destination
from dagster_project.respond import calling
from dagster_project.sandbox.server import SandboxServer
from dagster_project.settings import Settings

CASES = 60
IN_FLIGHT = 4


def slow_to_close(kind: type[Destination]) -> type[Destination]:
    """A connector that says good-bye before it goes, as mail does, which gives whatever still runs time to go on."""

    async def close(self: Any) -> None:
        await asyncio.sleep(0.5)
        await kind.close(self)

    return type(f"SlowToClose{kind.__name__}", (kind,), {"close": close})


def test_what_an_ended_run_settled_as_not_begun_is_called_once(
    sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = next(kit for kit in KITS if kit.name == "webhook" and not kit.settings.get("receiver_deduplicates"))
    connection = connection_for(kit, sandbox)
    binding = binding_for(kit, connection, slow_to_close(type(binding_for(kit, connection).open())))
    settings = Settings(_env_file=None, in_flight_calls=IN_FLIGHT, retry_base_seconds=0.01)
    step = one_step(binding.role, kit.operation, kit.arguments)
    bench = DeliveryBench(tmp_path / "ledger.sqlite", catalog_with(step), binding, settings)
    bench.flag(*(f"c{n}" for n in range(CASES)))
    replies = Counter[str]()

    def interrupted(point: str) -> None:
        """As Dagster's handler of SIGTERM does, wherever the process happens to be."""
        replies[point] += 1
        if point == "reply_received" and replies[point] == 5:
            raise DagsterExecutionInterruptedError

    monkeypatch.setattr(calling, "reach", interrupted)
    with pytest.raises(DagsterExecutionInterruptedError):
        bench.run()
    monkeypatch.undo()
    first = Counter(one.idempotency_key for one in sandbox.effects(kit.vendor) if one.is_created)
    never_begun = {f"c{n}" for n in range(CASES) if [a.reason for a in bench.attempts(f"c{n}")] == ["run_ended"]}
    in_doubt = {f"c{n}" for n in range(CASES) if any(a.verdict is None for a in bench.attempts(f"c{n}"))}
    assert 0 < len(in_doubt) <= IN_FLIGHT
    assert len(never_begun) > CASES / 2
    assert len(first) + len(never_begun) <= CASES, "something was called that the ledger says was never begun"

    bench.run()
    every = Counter(one.idempotency_key for one in sandbox.effects(kit.vendor) if one.is_created)
    assert set(every.values()) == {1}, "nothing was done twice"
    assert len(every) >= CASES - len(in_doubt)
    bench.close()
