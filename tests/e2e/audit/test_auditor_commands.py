"""The auditor's commands as they are typed: what they print and with which status they end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from audit_guards import without_guards
from click.testing import CliRunner, Result
from small_loop import SIGNAL, SmallLoop
from sqlalchemy import update

from dagster_project import runtime
from dagster_project.cli import at_hand
from dagster_project.cli.main import main
from dagster_project.ledger.schema import audit, sampled_records

Loopctl = Callable[..., Result]


@pytest.fixture
def loopctl(loop: SmallLoop, monkeypatch: pytest.MonkeyPatch) -> Loopctl:
    monkeypatch.setattr(runtime, "surroundings", lambda: loop.around)
    monkeypatch.setattr(at_hand, "at_hand", lambda: nullcontext(loop.around))
    loop.flag("C1")
    loop.run()
    return lambda *words: CliRunner().invoke(main, [*words], catch_exceptions=False)


def test_a_trail_is_verified_also_against_a_kept_head(loopctl: Loopctl, loop: SmallLoop, tmp_path: Path) -> None:
    kept = tmp_path / "head.txt"
    kept.write_text(loopctl("audit", "head").output, encoding="utf-8")
    done = loopctl("audit", "verify", "--against", f"@{kept}")
    assert (done.exit_code, "the trail holds, and leads past the head of 1 chain(s)" in done.output) == (0, True)

    with loop.database.writing() as connection:
        without_guards(connection)
        connection.execute(update(audit).where(audit.c.seq == 4).values(actor="nobody"))
    touched = loopctl("audit", "verify")
    assert touched.exit_code == 1
    assert f"row 4 of chain {SIGNAL}: edited" in touched.output
    assert '"seq": 4' in loopctl("audit", "verify", "--json").output


def test_what_is_no_head_is_told(loopctl: Loopctl) -> None:
    for given in ("nonsense", "@/no/such/file"):
        done = loopctl("audit", "verify", "--against", given)
        assert (done.exit_code, "Nothing was compared" in done.output) == (1, True)


def test_a_sample_says_what_it_found_and_takes_a_person_s_note(loopctl: Loopctl, loop: SmallLoop) -> None:
    done = loopctl("audit", "sample", "--seed", "5")
    assert done.exit_code == 0, done.output
    assert "seed 5, of 5 delivered: 4 match, 1 unreadable" in done.output
    row = next(row for row in loop.rows(sampled_records) if row.verdict == "unreadable")
    noted = loopctl("audit", "note", row.sample_id, row.action_id, "gone", "--why", "not in the inbox", "--who", "ann")
    assert noted.exit_code == 0
    assert loop.rows(sampled_records, action_id=row.action_id)[0].person_verdict == "gone"
    assert loopctl("audit", "note", "x", row.action_id, "gone", "--why", "y").exit_code == 1


def test_an_entity_is_erased_and_everything_holds(loopctl: Loopctl) -> None:
    assert "Ada C1" in loopctl("explain", "C1", "--show-personal-data").output
    done = loopctl("erase", "C1", "--signal", SIGNAL, "--why", "asked for", "--who", "ann", "--yes")
    assert done.output.startswith("erased: 1 events, 6 actions and groups"), done.output

    assert "Ada C1" not in loopctl("explain", "C1", "--show-personal-data").output
    assert loopctl("audit", "verify").exit_code == 0
    assert "BROKEN" not in loopctl("status", "--prove").output
    assert loopctl("erase", "C9", "--signal", SIGNAL, "--why", "asked for", "--yes").exit_code == 1


def test_alerts_say_whether_anybody_is_told(loopctl: Loopctl) -> None:
    done = loopctl("alerts", "--send")
    assert (done.exit_code, "nobody is told" in done.output) == (0, True)
