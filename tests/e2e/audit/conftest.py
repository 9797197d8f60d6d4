"""One sandbox for the folder's tests, emptied for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_loop import SmallLoop
from tryton_server import tryton_installation, tryton_server

from dagster_project.sandbox.server import SandboxServer

__all__ = ["tryton_installation", "tryton_server"]


@pytest.fixture(scope="session")
def audit_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(audit_sandbox: SandboxServer) -> SandboxServer:
    audit_sandbox.control.reset()
    audit_sandbox.faults.clear()
    return audit_sandbox


@pytest.fixture
def loop(sandbox: SandboxServer, tmp_path: Path) -> Iterator[SmallLoop]:
    played = SmallLoop(sandbox, tmp_path)
    yield played
    played.database.close()
