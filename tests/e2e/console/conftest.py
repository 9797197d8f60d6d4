"""A served console in a process thread, and real Chromium to look at it with."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import uvicorn
from unit.console.small_console import application_on, file_sampled, foreseen
from unit.verify.small_ledger import SIGNAL, SmallLedger

from dagster_project.contracts.destination import ReasonFor, Verdict
from dagster_project.ledger.controls import Person
from dagster_project.ledger.criteria import accept, propose

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True)
class Served:
    ledger: SmallLedger
    url: str


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The console over a ledger with delivered, dead, held and waiting work."""
    ledger = SmallLedger(tmp_path)
    ledger.build(1)
    ledger.build(2, *(f"C{number:09}" for number in range(6)))
    ledger.deliver("add_to_campaign", Verdict.REJECTED, reason=ReasonFor.NOT_FOUND, detail="no such contact")
    ledger.build(3, *(f"D{number:09}" for number in range(501)))
    file_sampled(ledger, "s1", "a1", "mismatch", ("differs: email",))
    eddie, bob = Person("eddie", "more reach"), Person("bob", "fewer false alarms")
    propose(ledger.database, "churn_threshold", 0.8, {SIGNAL: foreseen()}, eddie)
    accept(ledger.database, "churn_high", propose(ledger.database, "churn_high", 0.92, {}, eddie), bob)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application_on(ledger), log_level="warning", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the console did not start"
        time.sleep(0.02)
    yield Served(ledger, f"http://127.0.0.1:{listener.getsockname()[1]}")
    server.should_exit = True
    thread.join(10)
    listener.close()
    ledger.database.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Real Chromium, driven by Playwright; a machine without one of the two skips, and says so."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the package playwright is not installed; the console is not tested in a browser"
    )
    program = next((found for name in CHROMIUM_NAMES if (found := which(name))), None)
    if program is None:
        pytest.skip(
            f"no Chromium here ({', '.join(CHROMIUM_NAMES)}): install the package chromium to test the console in it"
        )
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
