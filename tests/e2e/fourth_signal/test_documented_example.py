"""The example of docs/add_a_signal.md is what it says: typed in as it stands, it validates and builds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from e2e.mistakes.planted_loop import Project, change

from dagster_project.contracts.warehouse import DuckDBTarget
from dagster_project.detect.scaffolding import write_signal
from dagster_project.land.generator import GeneratedCompany, generate
from dagster_project.prepare import DbtCommand
from dagster_project.settings import PROJECT_ROOT, Settings
from dagster_project.validate import find_problems

PAGE = (PROJECT_ROOT / "docs" / "add_a_signal.md").read_text(encoding="utf-8")
SIGNAL = "product_overstocked"


def _sql() -> str:
    lines = PAGE[PAGE.index("    with flagged as (") : PAGE.index("| column | type | rule |")].splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines)


def _columns() -> list[str]:
    return re.findall(r"^      (- \{name: .*\})$", PAGE, re.MULTILINE)


AS_OF = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


def test_the_documented_example_validates_and_builds_in_any_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # the zone of dbt's session must not matter to any moment
    project = Project.copied_to(tmp_path)
    command = re.search(rf"loopctl new signal {SIGNAL} --domain (\w+) --from (\w+)", PAGE)
    message = re.search(r'message: ".*endraw %}"', PAGE)
    assert command and message and _columns()
    sql, yml = write_signal(project.dbt, SIGNAL, command[1], "product", command[2])
    sql.write_text(_sql(), encoding="utf-8")
    written = re.search(r'message: ".*"', yml.read_text(encoding="utf-8"))
    assert written
    change(yml, written[0], message[0])
    yml.write_text(yml.read_text(encoding="utf-8") + "".join(f"      {c}\n" for c in _columns()), encoding="utf-8")
    settings = Settings(
        _env_file=None,
        state_dir=tmp_path / "state",
        dbt_project_dir=project.dbt,
        playbooks_dir=project.folder / "playbooks",
    )
    assert find_problems(settings).problems == ()
    settings.state_dir.mkdir()
    target = settings.warehouse_target
    assert isinstance(target, DuckDBTarget)
    generate(target, GeneratedCompany(as_of=AS_OF))
    done = DbtCommand(settings).run("build", "--quiet", "--select", f"+{SIGNAL}")
    assert done.returncode == 0, done.stdout
    with duckdb.connect(str(target.path), read_only=True) as connection:
        instants = connection.execute(f"select distinct epoch(observed_at) from analytics.{SIGNAL}").fetchall()
        captured = connection.execute("select distinct observed_at from analytics.signal_events").fetchall()
        reasons = connection.execute(f"select reason from analytics.{SIGNAL}").fetchall()
    assert instants == [(AS_OF.timestamp(),)]
    assert captured == [(AS_OF.replace(tzinfo=None),)], "events hold UTC"
    assert reasons
    assert all(re.fullmatch(r".+: enough for \d+ days\. Order less\.", reason) for (reason,) in reasons)
