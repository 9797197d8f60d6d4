"""loopctl as a person calls it, on a state of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from unit.cli.calling import Loopctl
from unit.contracts.prepared_project import prepared_project

from dagster_project import runtime
from dagster_project.cli.main import main
from dagster_project.settings import settings


def _forget() -> None:
    """A process reads its settings once; each test is to be a process of its own."""
    if runtime.surroundings.cache_info().currsize:
        runtime.surroundings().database.close()
    for cached in (settings, runtime.catalog, runtime.surroundings):
        cached.cache_clear()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    for name in [name for name in os.environ if name.startswith("LOOP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOOP_STATE_DIR", str(tmp_path / "state"))
    _forget()
    yield monkeypatch
    _forget()


@pytest.fixture
def loopctl(environment: pytest.MonkeyPatch) -> Loopctl:
    """Runs a command in a state folder in which nothing was prepared."""

    def run(*words: str, **options: Any) -> Result:
        _forget()
        return CliRunner().invoke(main, words, **options)

    return run


@pytest.fixture
def prepared_loopctl(loopctl: Loopctl, environment: pytest.MonkeyPatch, tmp_path: Path) -> Loopctl:
    """As `loopctl`, where the catalog is compiled and the ledger is new."""
    environment.setenv("LOOP_STATE_DIR", str(prepared_project().state_dir))
    environment.setenv("LOOP_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    return loopctl
