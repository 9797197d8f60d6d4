"""Counterparts that the contract suite shares: a running sandbox, and a Tryton that is the sandbox's or a real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contract_report import ContractReport, committed_report
from erp_under_test import Erp, real_erp, sandbox_erp
from tryton_server import TrytonServer, tryton_installation, tryton_server

from dagster_project.sandbox.server import SandboxServer

__all__ = ["tryton_installation", "tryton_server"]


@pytest.fixture(scope="module")
def running_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: SandboxServer) -> SandboxServer:
    """An empty sandbox without faults."""
    running_sandbox.control.reset()
    running_sandbox.faults.clear()
    return running_sandbox


@pytest.fixture(scope="module", params=["sandbox", "real"])
def erp(request: pytest.FixtureRequest) -> Iterator[Erp]:
    """A Tryton of the module's own; tests share it and keep apart by the keys and codes they use."""
    if request.param == "sandbox":
        with SandboxServer() as server:
            yield sandbox_erp(server)
    else:
        server = request.getfixturevalue("tryton_server")
        assert isinstance(server, TrytonServer)
        yield real_erp(server)


@pytest.fixture(scope="session")
def contract_report() -> Iterator[ContractReport]:
    """Takes what the suite finds and holds it against the committed page, or writes the page anew."""
    report = ContractReport(committed_report())
    yield report
    report.write_if_asked()
