"""The shipped dbt project, parsed and compiled once for all the tests of a process."""

from __future__ import annotations

import copy
import functools
import json
import tempfile
from pathlib import Path
from typing import Any

from dagster_project.contracts.catalog import Catalog
from dagster_project.prepare import prepare
from dagster_project.settings import Settings


def settings_of(state_dir: Path, **values: Any) -> Settings:
    """Settings that no `.env` of the machine takes part in."""
    return Settings(_env_file=None, state_dir=state_dir, **values)


class PreparedProject:
    """A state folder with manifest and catalog, as `loopctl prepare` leaves it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="prepared-")
        self.state_dir = Path(self._folder.name).resolve()
        self.settings = settings_of(self.state_dir)
        self.catalog: Catalog = prepare(self.settings)
        self._manifest = json.loads(self.settings.manifest_file.read_text(encoding="utf-8"))

    def manifest(self) -> dict[str, Any]:
        """A copy of dbt's manifest, to plant mistakes into."""
        return copy.deepcopy(self._manifest)


@functools.cache
def prepared_project() -> PreparedProject:
    """Costs one `dbt parse` the first time."""
    return PreparedProject()
