"""A threshold changes in the console by two people and holds in the next build that Dagster makes, and is proven so."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from e2e.loop.loop_driver import Loop, running_loop
from unit.console.calling import Browser

from dagster_project.console.application import build_application
from dagster_project.console.desk import Desk, open_desk
from dagster_project.console.exposure import Exposure
from dagster_project.contracts.roles import Role
from dagster_project.ledger.access import create_token, set_person
from dagster_project.ledger.database import open_database
from dagster_project.prepare import current_catalog
from dagster_project.settings import PROJECT_ROOT, Settings

SIGNAL, THRESHOLD = "customer_churn_risk", "churn_threshold"
WANTED = "0.6"

pytestmark = pytest.mark.long


@dataclass
class PlayedLoop:
    loop: Loop
    desk: Desk

    def sign_in(self, name: str, role: Role) -> Browser:
        set_person(self.desk.database, "root", [Role.ADMIN], (), "test")
        set_person(self.desk.database, name, [role], (), "root")
        token = create_token(self.desk.database, name, "", timedelta(days=1), "root")
        browser = Browser(build_application(self.desk, Exposure("127.0.0.1")))
        assert browser.post("/sign-in", {"token": token, "to": "/"}).status == 303
        return browser

    def builds(self) -> list[tuple[Any, ...]]:
        return self.loop.warehouse_rows(
            "select build_no, flagged, opened, criteria_version from analytics.signal_builds "
            f"where signal = '{SIGNAL}' and status = 'captured' order by build_no"
        )

    def build_by_dagster(self) -> None:
        words = ["job", "execute", "-m", "dagster_project.transform", "-j", "build_signals"]
        home = self.loop.state_dir / "dagster"
        done = subprocess.run(
            [str(Path(sys.executable).parent / "dagster"), *words],
            env={**self.loop.environment, "DAGSTER_HOME": str(home)},
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


@pytest.fixture
def played(tmp_path: Path) -> Iterator[PlayedLoop]:
    with running_loop(tmp_path / "state", {}) as loop:
        loop.play_day(1)
        address = loop.sandbox.address
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            state_dir=loop.state_dir,
            sandbox_port=int(address.http_url.rpartition(":")[2]),
            sandbox_smtp_port=address.smtp_port,
        )
        database = open_database(settings.ledger_address)
        yield PlayedLoop(loop, open_desk(settings, database, lambda: current_catalog(settings)))
        database.close()


def test_a_threshold_changed_in_the_console_holds_in_dagster_s_next_build(played: PlayedLoop) -> None:
    loop = played.loop
    abe, eddie = played.sign_in("abe", Role.APPROVER), played.sign_in("eddie", Role.EDITOR)

    seen = eddie.deed("/criteria-preview", name=THRESHOLD, value=WANTED)
    assert seen.status == 200, seen.text
    flagged = int(_found(r"<b>([\d,]+)</b> flagged in all", seen.text))
    enter = int(_found(r"<b>([\d,]+)</b> would enter", seen.text))
    assert enter > 0
    ticket = _found(r'name="ticket" value="([0-9a-f]{32})"', seen.text)
    assert eddie.deed("/criteria-propose", ticket=ticket, why="more reach").status == 303
    assert eddie.deed("/criteria-accept", name=THRESHOLD, number=1).status == 403
    assert abe.deed("/criteria-accept", name=THRESHOLD, number=1, why="we can call them").status == 303

    played.build_by_dagster()
    before, after = played.builds()
    assert (after[1], after[2]) == (flagged, enter), "the next build does what the preview said"
    assert after[3] != before[3], "the capture records other criteria"

    loop.loopctl("tick", "--no-build", exit_status=None)
    with played.desk.database.reading() as connection:
        kept = connection.exec_driver_sql(
            "select b.criteria_version, count(*) from events e join builds b on b.build_id = e.build_id "
            f"where e.signal = '{SIGNAL}' and b.build_no = 2 group by b.criteria_version"
        ).all()
    assert [tuple(row) for row in kept] == [(after[3], enter)], "every event of it is one of other criteria"
    assert "other criteria from build 2 on" in abe.get(f"/criteria/{THRESHOLD}").text
    assert "0 problems" in loop.loopctl("validate")
    assert f"{flagged} flagged" in loop.loopctl("preview", SIGNAL), "a preview begins from what is in force"

    assert abe.deed("/criteria-roll-back", name=THRESHOLD, why="too many").status == 303
    played.build_by_dagster()
    assert played.builds()[2][3] == before[3]


def test_a_threshold_above_the_signal_is_seen_in_the_preview_too(played: PlayedLoop) -> None:
    loop = played.loop
    told = loop.loopctl(
        "criteria", "propose", "assumed_lead_time_days", "60", "--why", "slow suppliers", "--who", "ann"
    )
    enter = int(_found(r"([\d]+) would enter", told))
    assert enter > 0, "the threshold is read by a model above the signal only"
    loop.loopctl("criteria", "accept", "assumed_lead_time_days", "1", "--why", "yes", "--who", "bob")
    loop.loopctl("tick", exit_status=None)
    opened = loop.warehouse_rows(
        "select opened from analytics.signal_builds where signal = 'product_low_stock' and build_no = 2"
    )
    assert opened == [(enter,)]


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, f"{pattern} is not in:\n{text[:3000]}"
    return match.group(1).replace(",", "")
