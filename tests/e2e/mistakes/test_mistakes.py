"""Each of twenty mistakes is refused or held before anything is sent, told so that a newcomer can mend it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.loop.loop_driver import Loop
from e2e.mistakes.conftest import LATER, SOUND
from e2e.mistakes.mistakes import IN_A_SIGNAL, IN_THE_PROJECT, IN_THE_ROWS, STALE_SOURCE, Mistake
from e2e.mistakes.mistakes_page import mistakes_page
from e2e.mistakes.planted_loop import CHANNEL, PlayedLoop, Project

from dagster_project.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "mistakes.md"
WRITE = "LOOP_WRITE_DOCS"


def by_name(*mistakes: Mistake) -> Iterator[object]:
    return (pytest.param(mistake, id=mistake.name) for mistake in mistakes)


@pytest.mark.parametrize("mistake", by_name(*IN_A_SIGNAL))
def test_refused_by_validate(played: PlayedLoop, mistake: Mistake) -> None:
    line = told_line(played.said_by_validate, mistake)
    assert " -> " in line or "write " in line or "move it" in line, f"no remedy: {line}"
    assert_quarantined_unsent(played.loop, mistake.signal)
    assert "not-for-the-eyes-of-all" not in played.said_by_validate + played.said_by_tick


@pytest.mark.parametrize("mistake", by_name(*IN_THE_ROWS))
def test_refused_by_the_build(played: PlayedLoop, mistake: Mistake) -> None:
    told_line(played.said_by_tick, mistake)
    assert mistake.signal not in played.said_by_validate, "only the rows can tell"
    assert builds_of(played.loop, mistake.signal) == 1, "the baseline alone was captured"
    assert ledger_actions(played.loop, mistake.signal) == 0


@pytest.mark.parametrize("mistake", by_name(STALE_SOURCE))
def test_held_by_the_build(played: PlayedLoop, mistake: Mistake) -> None:
    told_line(played.said_by_tick, mistake)
    assert ledger_actions(played.loop, "deal_won") == 0


@pytest.mark.parametrize("mistake", by_name(*IN_THE_PROJECT))
def test_refused_by_dbt_as_a_whole(played: PlayedLoop, tmp_path: Path, mistake: Mistake) -> None:
    refused(played, tmp_path, mistake)


def refused(played: PlayedLoop, folder: Path, mistake: Mistake) -> str:
    """Plants a mistake that stops the whole project into a project of its own, over the played loop's state."""
    project = Project.copied_to(folder)
    project.add_signal(mistake.signal)
    mistake.plant(project, mistake.signal)
    loop = Loop(played.loop.state_dir, played.loop.sandbox, project.environment)
    calls = loop.calls()
    line = told_line(loop.loopctl("validate", exit_status=1), mistake)
    assert line in loop.loopctl("tick", exit_status=1), "tick and validate should say the same"
    assert loop.calls() == calls
    return line


def test_a_signal_without_mistake_goes_on(played: PlayedLoop) -> None:
    assert SOUND not in played.said_by_validate
    said = [effect for effect in played.loop.sandbox.effects("slack") if CHANNEL in str(effect)]
    assert len(said) == 5, "the five whom the sound signal flags, and nobody whom a refused one does"
    assert all(SOUND in action for action in delivered_in(played.loop, CHANNEL))


def test_the_shipped_signals_go_on_beside_the_broken_ones(played: PlayedLoop) -> None:
    for signal in ("customer_churn_risk", "product_low_stock"):
        assert ledger_actions(played.loop, signal) > 0
    assert played.loop.sandbox.effects("hubspot")


def test_a_moment_without_zone_is_refused_by_the_contract_where_only_the_sql_is_wrong(played: PlayedLoop) -> None:
    (line,) = [line for line in played.said_by_tick.splitlines() if line.startswith(f"model.signal_loop.{LATER}:")]
    assert "observed_at" in line
    assert "TIMESTAMP WITH TIME ZONE" in line
    assert builds_of(played.loop, LATER) == 1


def test_every_mistake_is_told_at_once(played: PlayedLoop) -> None:
    lines = [line for line in played.said_by_validate.splitlines() if " " in line]
    assert lines[-1].endswith(f"{len(IN_A_SIGNAL)} problems")
    assert len(lines) == len(IN_A_SIGNAL) + 1


def test_the_page_shows_what_is_said_now(played: PlayedLoop, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = {one: refused(played, tmp_path_factory.mktemp(one.name), one) for one in IN_THE_PROJECT}
    checked = {one: told_line(played.said_by_validate, one) for one in IN_A_SIGNAL}
    built = {one: told_line(played.said_by_tick, one) for one in (*IN_THE_ROWS, STALE_SOURCE)}
    page = mistakes_page(checked, whole, built)
    if os.environ.get(WRITE):
        PAGE.write_text(page, encoding="utf-8")
    assert page.count("\n| ") >= 20
    assert PAGE.read_text(encoding="utf-8") == page, f"renew it with {WRITE}=1"


def told_line(said: str, mistake: Mistake) -> str:
    """The one line that tells of a mistake, with all that it must tell, in order."""
    lines = [line for line in said.splitlines() if mistake.told[0] in line]
    assert len(lines) == 1, f"{mistake.name}: {lines or said}"
    places = [lines[0].find(part) for part in mistake.told]
    assert -1 not in places, f"{mistake.told} not in {lines[0]!r}"
    assert places == sorted(places), f"{mistake.told} in another order in {lines[0]!r}"
    return lines[0].strip()


def ledger_rows(loop: Loop, sql: str, *values: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{loop.state_dir / 'ledger.sqlite'}?mode=ro", uri=True) as connection:
        return connection.execute(sql, values).fetchall()


def builds_of(loop: Loop, signal: str) -> int:
    return len(ledger_rows(loop, "select 1 from builds where signal = ?", signal))


def ledger_actions(loop: Loop, signal: str) -> int:
    return len(ledger_rows(loop, "select 1 from actions where signal = ?", signal))


def delivered_in(loop: Loop, channel: str) -> list[str]:
    rows = ledger_rows(
        loop, "select signal from actions where state = 'delivered' and arguments_json like ?", f"%{channel}%"
    )
    assert rows
    return [str(row[0]) for row in rows]


def assert_quarantined_unsent(loop: Loop, signal: str) -> None:
    assert signal in loop.status()["quarantined"]
    assert ledger_actions(loop, signal) == 0
