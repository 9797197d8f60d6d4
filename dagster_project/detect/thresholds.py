"""Reads the repository's own thresholds: the dbt vars of dbt_project.yml that people may propose other values for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

NOT_GOVERNED = frozenset({"landing_schema"})  # where data lies is no criterion


def read_thresholds(dbt_project_dir: Path) -> dict[str, Any]:
    """Name and value of each. Vars of one package alone (a mapping under its name) count where it is this project."""
    content = yaml.safe_load((dbt_project_dir / "dbt_project.yml").read_text(encoding="utf-8"))
    given: dict[str, Any] = content.get("vars") or {}
    own = given.get(content.get("name", ""))
    everywhere = {name: value for name, value in given.items() if not isinstance(value, dict)}
    found = {**everywhere, **(own if isinstance(own, dict) else {})}
    return {name: value for name, value in found.items() if name not in NOT_GOVERNED}
