"""The light location stays light: every action run is a process that imports it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from boundaries.project_modules import modules
from unit.contracts.prepared_project import prepared_project

from dagster_project.settings import PROJECT_ROOT

HEAVY = (
    "dbt", "dagster_dbt", "pandas", "numpy", "aiohttp", "slack_sdk", "duckdb", "psycopg2", "alembic", "starlette",
    "uvicorn", "sklearn", "aiosmtpd", "dagster_project.transform", "dagster_project.land",
    "dagster_project.sandbox.server",
)  # fmt: skip
PROGRAM = """
import json, sys
from dagster import Definitions
import dagster_project.activate as location
jobs = sorted(job.name for job in location.defs.jobs)
Definitions.validate_loadable(location.defs)
print(json.dumps({"modules": sorted(sys.modules), "jobs": jobs, "sensors": [s.name for s in location.defs.sensors]}))
"""


def test_loading_the_light_location_loads_nothing_heavy() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOOP_")}
    environment |= {"LOOP_STATE_DIR": str(prepared_project().state_dir)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    heavy = [name for name in HEAVY if any(m == name or m.startswith(f"{name}.") for m in found["modules"])]
    assert heavy == []
    signals = sorted(prepared_project().catalog.signals)
    of_the_loop = ["audit_daily", "audit_weekly", "prune_history", "tidy_ledger", "verify_actions", "watch_loop"]
    assert found["jobs"] == sorted([*(f"act_on_{name}" for name in signals), *of_the_loop])
    assert sorted(found["sensors"]) == [f"watch_{name}" for name in signals]


def test_nothing_heavy_is_imported_at_load_by_what_runs_need() -> None:
    heavy = {name for name in HEAVY if "." not in name}
    for module in modules():
        if module.part in ("contracts", "ledger", "respond") and "migrations" not in module.name:
            loaded = {name.split(".")[0] for name in module.imports(is_at_load=True)}
            assert not loaded & heavy, f"{module.name} imports {sorted(loaded & heavy)} at load"
