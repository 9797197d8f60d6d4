"""Every benchmark case still runs, at sizes that say nothing about speed; and the page is what the results say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dagster_project.settings import PROJECT_ROOT

BENCHMARKS = PROJECT_ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from registry import CASES, Case  # noqa: E402
from reporting import Plot, Report, Result, Table, Target  # noqa: E402
from run_all import IMAGES, Shelf, sizes_of  # noqa: E402

QUICK = [case.name for case in CASES if case.is_quick]
SLOW = [case.name for case in CASES if not case.is_quick]


def run_tiny(folder: Path, names: list[str], *more: str) -> list[Result]:
    command = [sys.executable, str(BENCHMARKS / "run_all.py"), "--tiny", "--folder", str(folder), *more, *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Shelf(folder).kept()


def assert_found_something(results: list[Result], names: list[str], folder: Path) -> None:
    assert {result.case for result in results} == set(names)
    shown = (folder / "docs" / "benchmarks.md").read_text()
    for result in results:
        assert any(table.rows for table in result.report.tables) or result.report.printed, result.case
        assert f"## {result.title}" in shown
        for plot in result.report.plots:
            assert (folder / "docs" / IMAGES / f"{plot.name}.svg").read_text().count("<rect") == len(plot.bars) + 1


def test_quick_cases_run(tmp_path: Path) -> None:
    assert_found_something(run_tiny(tmp_path, QUICK), QUICK, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", SLOW)
def test_the_other_cases_run(name: str, tmp_path: Path) -> None:
    assert_found_something(run_tiny(tmp_path, [name]), [name], tmp_path)


@pytest.mark.long
def test_peers_and_one_run_a_row_run(tmp_path: Path) -> None:
    sizes = ("delivery.is_with_peers=true", "delivery.rows_as_shipped=5", "delivery.dagster_rows=2")
    more = [word for size in (*sizes, "clients.is_with_peers=true") for word in ("--size", size)]
    results = run_tiny(tmp_path, ["delivery", "clients"], *more)
    names = {row[0] for result in results for table in result.report.tables for row in table.rows}
    assert {"drt-core, best setting", "one Dagster run a row (extrapolated)", "httpx", "pyreqwest"} <= names


def test_a_case_that_cannot_be_measured_is_told_and_the_others_are_kept(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "run_all.py"), "--tiny", "--folder", str(tmp_path)]
    # a run that finds nothing to claim says nothing about speed
    done = subprocess.run(
        [*command, "--size", "batch.actions=0", "batch", "clients"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "not measured: batch" in done.stdout
    assert [result.case for result in Shelf(tmp_path).kept()] == ["clients"]


def test_the_page_is_made_from_the_results() -> None:
    """Nobody edits docs/benchmarks.md by hand, and no result is kept without it."""
    shelf = Shelf(PROJECT_ROOT)
    assert shelf.page.read_text(encoding="utf-8") == shelf.as_page()
    for result in shelf.kept():
        for plot in result.report.plots:
            assert (shelf.images / f"{plot.name}.svg").read_text(encoding="utf-8") == plot.as_svg()


def test_targets_say_whether_they_are_met() -> None:
    assert Target.at_most("time", 1.5, 1.5).is_met
    assert not Target.at_most("time", 1.5, 1.51).is_met
    assert Target.at_least("speed", 8, 8).is_met
    assert not Target.at_least("speed", 8, 7.99).is_met
    assert Target.at_most("memory", 250, 300, unit="MB").verdict == "**missed**"


def test_sizes_keep_the_type_of_their_defaults() -> None:
    def measure(say: object, actions: int = 5, seconds: float = 0.5, is_with_peers: bool = True) -> Report:
        return Report()

    case = Case(CASES[0].name, "", measure)
    given = [f"{case.name}.{one}" for one in ("seconds=2", "is_with_peers=false")]
    assert sizes_of(case, {"actions": 1}, given) == {"actions": 1, "seconds": 2.0, "is_with_peers": False}
    with pytest.raises(SystemExit, match="no such size"):
        sizes_of(case, {}, [f"{case.name}.rows=3"])


def test_a_plot_escapes_and_draws_its_limit() -> None:
    plot = Plot(name="p", title="a < b", unit="s", bars=(("x & y", 2.0), ("z", 0.0)), ours=("z",), limit=1.0)
    drawn = plot.as_svg()
    assert "a &lt; b" in drawn
    assert "x &amp; y" in drawn
    assert "target 1.00 s" in drawn
    assert drawn.count('class="ours"') == 1


def test_a_result_survives_being_kept(tmp_path: Path) -> None:
    report = Report(tables=(Table(columns=("a",), rows=(("1",),)),), targets=(Target.at_most("t", 1, 2),))
    source = json.loads(next((BENCHMARKS / "results").glob("*.json")).read_text())
    result = Result.model_validate({**source, "report": report.model_dump(), "case": CASES[0].name})
    Shelf(tmp_path).keep(result)
    assert Shelf(tmp_path).kept() == [result]
