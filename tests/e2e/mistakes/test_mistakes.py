"""Each of twenty mistakes is refused or held before anything is sent, told so that a newcomer can mend it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest
from e2e.loop.loop_driver import Loop
from e2e.mistakes.mistakes import IN_A_SIGNAL, IN_THE_PROJECT, IN_THE_ROWS, STALE_SOURCE, Mistake
from e2e.mistakes.mistakes_page import mistakes_page
from e2e.mistakes.planted_loop import LATER, SOUND, PlayedLoop, RefusedProject

from dagster_project.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "mistakes.md"
WRITE = "LOOP_WRITE_DOCS"


def by_name(*mistakes: Mistake) -> list[object]:
    return [pytest.param(mistake, id=mistake.name) for mistake in mistakes]


@pytest.mark.parametrize("mistake", by_name(*IN_A_SIGNAL))
def test_refused_by_validate(played: PlayedLoop, mistake: Mistake) -> None:
    told_line(played.said_by_validate, mistake)
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
def test_refused_by_dbt_as_a_whole(refused_projects: dict[Mistake, RefusedProject], mistake: Mistake) -> None:
    refused = refused_projects[mistake]
    ours, _, dbts = told_line(refused.said_by_validate, mistake).partition(". dbt said: ")
    assert ours in refused.said_by_tick, "both should say the same"
    assert bool(dbts) == (mistake.name != "ref_cycle"), "a circle is found by us, dbt's parser lets it pass"
    assert "nothing was sent" in refused.said_by_tick
    assert refused.calls == 0


def test_a_signal_without_mistake_goes_on(played: PlayedLoop) -> None:
    assert SOUND not in played.said_by_validate
    delivered = delivered_keys(played.loop, SOUND)
    assert len(delivered) == 4, "the four whom it flags"
    assert delivered <= {effect.idempotency_key for effect in played.loop.sandbox.effects("slack")}


def test_the_shipped_signals_go_on_beside_the_broken_ones(played: PlayedLoop) -> None:
    for signal in ("customer_churn_risk", "product_low_stock"):
        assert ledger_actions(played.loop, signal) > 0
    assert played.loop.sandbox.effects("hubspot")


def test_a_moment_without_zone_is_refused_by_the_contract_where_only_the_sql_is_wrong(played: PlayedLoop) -> None:
    (line,) = [line for line in played.said_by_tick.splitlines() if f"{LATER}.sql:" in line]
    assert "observed_at is TIMESTAMP, without a zone -> write {{ utc_moment(" in line
    assert builds_of(played.loop, LATER) == 1


@pytest.mark.parametrize("mistake", by_name(*IN_THE_ROWS))
def test_a_preview_tells_what_a_build_would_refuse(played: PlayedLoop, mistake: Mistake) -> None:
    said = played.loop.loopctl("preview", mistake.signal, exit_status=1)
    told = mistake.told[1].partition("captured: ")[2].partition(" with")[0].partition(" of")[0]
    assert f"{mistake.signal}.sql: {told}" in said
    assert "A build would be refused" in said


def test_every_mistake_is_told_at_once(played: PlayedLoop) -> None:
    for mistake in IN_A_SIGNAL:
        told_line(played.said_by_validate, mistake)
    places = {line.partition(":")[0] for line in played.said_by_validate.splitlines()[:-1]}
    assert len(places) == len(IN_A_SIGNAL), "each mistake is told of its own file, and of no other"


def test_the_page_shows_what_is_said_now(played: PlayedLoop, refused_projects: dict[Mistake, RefusedProject]) -> None:
    whole = {one: told_line(refused.said_by_validate, one) for one, refused in refused_projects.items()}
    checked = {one: told_line(played.said_by_validate, one) for one in IN_A_SIGNAL}
    built = {one: told_line(played.said_by_tick, one) for one in (*IN_THE_ROWS, STALE_SOURCE)}
    page = mistakes_page(checked, whole, built)
    if os.environ.get(WRITE):
        PAGE.write_text(page, encoding="utf-8")
    assert page.count("\n| ") >= 20
    assert PAGE.read_text(encoding="utf-8") == page, f"renew it with {WRITE}=1"


def told_line(said: str, mistake: Mistake) -> str:
    """The one line that tells of a mistake, with all that it must tell, in order."""
    lines = [line for line in said.splitlines() if all(part in line for part in mistake.told[:2])]
    assert len(lines) == 1, f"{mistake.name}: {lines or said}"
    places = [lines[0].find(part) for part in mistake.told]
    assert -1 not in places, f"{mistake.told} not in {lines[0]!r}"
    assert places == sorted(places), f"{mistake.told} in another order in {lines[0]!r}"
    return lines[0].strip()


def ledger_rows(loop: Loop, sql: str, *values: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{loop.state_dir / 'ledger.sqlite'}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, values).fetchall()


def builds_of(loop: Loop, signal: str) -> int:
    return len(ledger_rows(loop, "select 1 from builds where signal = ?", signal))


def ledger_actions(loop: Loop, signal: str) -> int:
    return len(ledger_rows(loop, "select 1 from actions where signal = ?", signal))


def delivered_keys(loop: Loop, signal: str) -> set[str]:
    sql = "select action_id from actions where signal = ? and state = 'delivered'"
    return {str(row[0]) for row in ledger_rows(loop, sql, signal)}


def assert_quarantined_unsent(loop: Loop, signal: str) -> None:
    assert signal in loop.status()["quarantined"]
    assert ledger_actions(loop, signal) == 0
