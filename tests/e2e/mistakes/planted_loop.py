"""A copy of the whole project that mistakes are planted into, played through the real loop."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from e2e.loop.loop_driver import Loop

from dagster_project.detect.scaffolding import write_signal
from dagster_project.settings import PROJECT_ROOT

SOUND = "customer_without_mistake"
LATER = "customer_moment_without_zone_in_the_sql"  # its YAML is right, so that only dbt's contract can see it
NOBODY = "where 1 = 0 -- your condition"
SOME = "where customer_id between 'C000000001' and 'C000000005'"
LEFT_OUT = shutil.ignore_patterns("target", "logs", "dbt_packages", "__pycache__")


@dataclass(frozen=True)
class Project:
    """The dbt project and the playbooks, copied, with the settings that point there."""

    folder: Path

    @classmethod
    def copied_to(cls, folder: Path) -> Project:
        shutil.copytree(PROJECT_ROOT / "dbt_signals", folder / "dbt_signals", ignore=LEFT_OUT)
        playbooks = PROJECT_ROOT / "dagster_project" / "respond" / "playbooks"
        shutil.copytree(playbooks, folder / "playbooks", ignore=LEFT_OUT)
        return cls(folder)

    @property
    def dbt(self) -> Path:
        return self.folder / "dbt_signals"

    @property
    def environment(self) -> dict[str, str]:
        """Also a zone, because messages that show a moment stand in the docs."""
        return {
            "LOOP_DBT_PROJECT_DIR": str(self.dbt),
            "LOOP_PLAYBOOKS_DIR": str(self.folder / "playbooks"),
            "TZ": "UTC",
        }

    def add_signal(self, name: str, playbook: str = "notify_owner") -> None:
        """A sound, live signal as `loopctl new signal` writes it, which flags nobody yet."""
        _, yml = write_signal(self.dbt, name, "planted", "customer", "active_customers")
        change(yml, "mode: shadow", "mode: live")
        if playbook != "notify_owner":
            change(yml, "playbook: notify_owner", f"playbook: {playbook}")
            self.add_playbook(playbook)

    def add_playbook(self, name: str) -> None:
        """A sound playbook of two steps with the parameters of `notify_owner`."""
        text = PLAYBOOK.replace("NAME", name)
        (self.folder / "playbooks" / f"{name}.yaml").write_text(text, encoding="utf-8")

    def sql(self, name: str) -> Path:
        return self.dbt / "models" / "signals" / "planted" / f"{name}.sql"

    def yml(self, name: str) -> Path:
        return self.sql(name).with_suffix(".yml")

    def playbook(self, name: str) -> Path:
        return self.folder / "playbooks" / f"{name}.yaml"

    def flag_some(self, name: str) -> None:
        change(self.sql(name), NOBODY, SOME)


PLAYBOOK = """\
name: NAME
description: Tell it, then tell it again.
parameters:
  channel: {description: Where it is told.}
  message: {description: What is said.}
steps:
  - name: tell
    role: chat
    operation: post_message
    is_internal: true
    with:
      channel: "{{ parameters.channel }}"
      text: "{{ parameters.message }}"
  - name: tell_again
    role: chat
    operation: post_message
    needs: [tell]
    is_internal: true
    with:
      channel: "{{ parameters.channel }}"
      text: "{{ parameters.message }}"
"""


def change(file: Path, old: str, new: str, times: int = -1) -> None:
    """Puts new text in place of old; old text that is not there is a defect of the test."""
    text = file.read_text(encoding="utf-8")
    assert old in text, f"{file.name} has no {old!r}"
    file.write_text(text.replace(old, new, times), encoding="utf-8")


@dataclass(frozen=True)
class PlayedLoop:
    """A loop over the copied project, with what its commands said."""

    project: Project
    loop: Loop
    said_by_validate: str
    said_by_tick: str


@dataclass(frozen=True)
class RefusedProject:
    """What was said of a project that dbt refuses as a whole, and how many calls were made all the same."""

    said_by_validate: str
    said_by_tick: str
    calls: int
