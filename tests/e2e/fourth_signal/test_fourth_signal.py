"""Two files, and nothing else, put into a clean clone make a signal: seen, previewed, in shadow, then live."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from e2e.loop.loop_driver import Loop, running_loop

from dagster_project.settings import PROJECT_ROOT

SIGNAL = "customer_usage_drop"
ADDED = Path(__file__).parent / "added"
INSPECT = """\
import json
from dagster_project import activate, transform
from dagster_project.settings import PROJECT_ROOT
both = [activate.defs.get_repository_def(), transform.defs.get_repository_def()]
checks = [key for one in both for key in one.asset_graph.asset_check_keys]
print(json.dumps({
    "root": str(PROJECT_ROOT),
    "assets": sorted(key.to_user_string() for one in both for key in one.asset_graph.get_all_asset_keys()),
    "checks": sorted(f"{key.asset_key.to_user_string()}:{key.name}" for key in checks),
    "sensors": sorted(sensor.name for one in both for sensor in one.sensor_defs),
    "jobs": sorted(job.name for one in both for job in one.get_all_jobs()),
}))
"""


@dataclass(frozen=True)
class Clone:
    """A copy of the files under version control, run by its own code, with the signal's two files added."""

    folder: Path
    loop: Loop

    def ledger(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self.loop.state_dir / 'ledger.sqlite'}?mode=ro", uri=True)) as connection:
            return connection.execute(sql, [SIGNAL]).fetchall()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    base = tmp_path_factory.mktemp("fourth_signal")
    folder = base / "clone"
    for name in _under_version_control():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT_ROOT / name, folder / name)
    with running_loop(base / "state", {"PYTHONPATH": str(folder)}) as loop:
        loop.play_day(1)
        for file in ADDED.iterdir():
            shutil.copyfile(file, folder / "dbt_signals" / "models" / "signals" / "retention" / file.name)
        yield Clone(folder, loop)


def _under_version_control() -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, check=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (PROJECT_ROOT / name).is_file()]


def test_what_is_added_is_two_files_that_the_project_does_not_have(clone: Clone) -> None:
    assert sorted(file.name for file in ADDED.iterdir()) == [f"{SIGNAL}.sql", f"{SIGNAL}.yml"]
    assert not list((PROJECT_ROOT / "dbt_signals").glob(f"models/**/{SIGNAL}.*"))


def test_validate_finds_nothing_wrong(clone: Clone) -> None:
    assert "4 signals and 4 playbooks checked, 0 problems" in clone.loop.loopctl("validate")


def test_preview_shows_who_would_enter_and_what_would_be_sent(clone: Clone) -> None:
    clone.loop.loopctl("prepare")
    calls = clone.loop.calls()
    seen = clone.loop.loopctl("preview", SIGNAL, "--show-personal-data")
    assert "would enter" in seen
    assert "post_message at slack" in seen
    assert "less: Used" in seen, "the request is shown as it would be sent"
    assert "its first build is a baseline" in seen
    assert clone.loop.calls() == calls, "a preview asks nobody"


def test_asset_sensor_job_and_checks_exist_in_both_locations(clone: Clone) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INSPECT],
        env=clone.loop.environment,
        cwd=clone.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["root"] == str(clone.folder), "the clone's own code is what runs"
    assert {SIGNAL, f"actions/{SIGNAL}"} <= set(found["assets"])
    checks = {name.partition(":")[2] for name in found["checks"] if name.startswith(f"{SIGNAL}:")}
    assert {"fresh_within", "volume", "capture_complete"} <= checks
    assert any(f"unique_{SIGNAL}_entity_id" in check for check in checks), "its dbt tests are checks too"
    assert [name for name in found["checks"] if name.startswith(f"actions/{SIGNAL}:")]
    assert [name for name in found["sensors"] if SIGNAL in name]
    assert f"act_on_{SIGNAL}" in found["jobs"]


def test_it_is_planned_in_shadow_and_once_live_delivered(clone: Clone) -> None:
    loop = clone.loop
    loop.loopctl("tick")
    assert clone.ledger("select 1 from actions where signal = ?") == [], "the first build is a baseline"
    loop.land_day(2)
    loop.loopctl("tick")
    assert clone.ledger("select distinct state, reason from actions where signal = ?") == [("suppressed", "shadow")]
    in_shadow = _keys(clone, "suppressed")
    said = loop.loopctl("go-live", SIGNAL, "--why", "it looks right", "--yes")
    assert f"{SIGNAL} is live" in said
    loop.land_day(3)
    loop.loopctl("tick")
    delivered = _keys(clone, "delivered")
    assert delivered
    assert not delivered & in_shadow, "nothing that was planned in shadow is sent"
    assert delivered <= {effect.idempotency_key for effect in loop.sandbox.effects("slack")}


def _keys(clone: Clone, state: str) -> set[str]:
    found = clone.ledger(f"select action_id from actions where state = '{state}' and signal = ?")
    return {str(key) for (key,) in found}
