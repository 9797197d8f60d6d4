"""Puts the instance's settings together for the profile that is in force, and writes them into its folder."""

from __future__ import annotations

from pathlib import Path

import yaml

from dagster_project.settings import PROJECT_ROOT, Settings

STANDARD = PROJECT_ROOT / "dagster.yaml"
FAST = PROJECT_ROOT / "dagster.fast.yaml"


def instance_yaml(profile: str) -> str:
    """The text of dagster.yaml: the shipped one, in the fast profile with the sections of dagster.fast.yaml in it."""
    standard = STANDARD.read_text(encoding="utf-8")
    if profile == "standard":
        return standard
    fast = yaml.safe_load(FAST.read_text(encoding="utf-8"))
    return str(yaml.safe_dump(yaml.safe_load(standard) | fast, sort_keys=False))


def dagster_home(settings: Settings) -> Path:
    """The instance's folder, with its settings in it."""
    home = settings.state_dir / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(instance_yaml(settings.profile), encoding="utf-8")
    return home
