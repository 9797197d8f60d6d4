"""Serves one instance with warm workers, from settings and DAGSTER_HOME."""

from __future__ import annotations

import os
from pathlib import Path

from dagster_project.instance_files import dagster_home
from dagster_project.settings import settings
from dagster_project.warm_launch.own_log import write_own_lines
from dagster_project.warm_launch.pool import Pool

LOCATION_MODULE = "dagster_project.activate"


def serve_pool(home: Path | None) -> None:
    """Blocks until it is told to end. Raises PoolRuns.

    Parameters: the instance's folder; without one DAGSTER_HOME's, without that the development instance's.
    """
    write_own_lines()
    named = home or Path(os.environ.get("DAGSTER_HOME") or dagster_home(settings()))
    Pool(named.absolute(), LOCATION_MODULE, settings().warm_workers).serve()
