"""One sandbox a module; for each test a ledger and a receiver of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from isolation_bench import IsolationBench

from dagster_project.sandbox.server import SandboxServer


@pytest.fixture(scope="module")
def isolation_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(hubspot_calls_per_ten_seconds=0) as sandbox:
        yield sandbox


@pytest.fixture
def bench_with(isolation_sandbox: SandboxServer, tmp_path: Path) -> Iterator[Callable[..., IsolationBench]]:
    isolation_sandbox.control.reset()
    isolation_sandbox.control.change_settings(hubspot_calls_per_ten_seconds=0)
    made: list[IsolationBench] = []

    def make(
        receiver: SandboxServer | None = None, calls_per_second: float = 10_000, **settings: Any
    ) -> IsolationBench:
        made.append(IsolationBench(tmp_path, isolation_sandbox, settings, calls_per_second, receiver))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[SandboxServer]:
    """A receiver that a test may stop, and start again at the same address."""
    data = tmp_path / "receiver"
    data.mkdir()
    with SandboxServer(data) as first:
        port = int(first.address.http_url.rpartition(":")[2])
    with SandboxServer(data, port=port) as server:
        yield server
