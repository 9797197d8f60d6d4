"""The lab on each database that the capture must run on."""

from __future__ import annotations

from pathlib import Path

import pytest
from capture_lab import DATABASES, CaptureLab, Database, DuckdbDatabase, PostgresDatabase
from scenario_replay import Recording, replay


@pytest.fixture(scope="module", params=DATABASES)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CaptureLab:
    """An empty lab; the tests of one module share it."""
    workspace: Path = tmp_path_factory.mktemp(f"capture_{request.param}")
    database: Database
    if request.param == "duckdb":
        database = DuckdbDatabase(workspace / "warehouse.duckdb")
    else:
        database = PostgresDatabase(request.getfixturevalue("postgres_server"))
    return CaptureLab(database, workspace)


@pytest.fixture(scope="module")
def recording(lab: CaptureLab) -> Recording:
    """What happened in the one replay of all scenarios on this database."""
    return replay(lab)
