"""Runs benchmark cases and writes docs/benchmarks.md from what each of them found last.

    python benchmarks/run_all.py [CASE ...] [--size CASE.NAME=VALUE ...] [--tiny] [--folder FOLDER] [--list]

Results are kept as JSON in benchmarks/results, one file a case, so that a page that was made in parts is whole. What is
to be said about a case's numbers, above all about a target that is missed, stands in benchmarks/remarks/CASE.md. Exit
status 1 if a case could not be measured; a target that is missed is a finding and no failure.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from registry import BY_NAME, CASES, Case, Size
from reporting import Machine, Result, page, targets_table

PROJECT = Path(__file__).resolve().parents[1]
IMAGES = "img/benchmarks"


class Shelf:
    """Where results, plots and the page are kept: the project, or any folder of the same shape."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "benchmarks" / "results"
        self.images = folder / "docs" / IMAGES
        self.page = folder / "docs" / "benchmarks.md"
        self.remarks = folder / "benchmarks" / "remarks"

    def keep(self, result: Result) -> None:
        """Keeps the result and draws its plots."""
        self.results.mkdir(parents=True, exist_ok=True)
        self.images.mkdir(parents=True, exist_ok=True)
        (self.results / f"{result.case}.json").write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")
        for plot in result.report.plots:
            (self.images / f"{plot.name}.svg").write_text(plot.as_svg(), encoding="utf-8")

    def kept(self) -> list[Result]:
        """The newest result of each case that has one, in the order of the registry."""
        files = [self.results / f"{case.name}.json" for case in CASES]
        return [Result.model_validate_json(file.read_text(encoding="utf-8")) for file in files if file.exists()]

    def write_page(self) -> None:
        self.page.write_text(self.as_page(), encoding="utf-8")

    def as_page(self) -> str:
        """The page as the results and the remarks make it; a remark is what people have to say about a case."""
        found = {file.stem: file.read_text(encoding="utf-8").strip() for file in sorted(self.remarks.glob("*.md"))}
        return page(self.kept(), IMAGES, found)


def run_case(case: Case, sizes: dict[str, Size]) -> Result:
    """Measures one case and prints what it found."""
    machine, began = Machine.here(), time.perf_counter()
    print(f"\n=== {case.name}: {case.title} ({_told(sizes)})", flush=True)
    report = case.measure(lambda line: print(f"    {line}", flush=True), **sizes)
    result = Result(
        case=case.name,
        title=case.title,
        sizes={name: str(value) for name, value in sizes.items()},
        took_seconds=time.perf_counter() - began,
        machine=machine,
        report=report,
    )
    found = [table.as_markdown() for table in report.tables] + [report.printed]
    found += [targets_table(report.targets)] if report.targets else []
    print("\n" + "\n\n".join(part for part in found if part), flush=True)
    return result


def _end_servers_on_the_way_out() -> None:
    """Both signals unwind, so that every server that a case runs is ended with it.

    A shell's background jobs ignore SIGINT, and so would the servers, which are ended by it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _told(sizes: dict[str, Size]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sizes.items())


def sizes_of(case: Case, scale: Mapping[str, Size], given: Sequence[str]) -> dict[str, Size]:
    """The case's sizes in the type of their defaults.

    Parameters: the case; its tiny sizes, or none; what was given on the command line as CASE.NAME=VALUE.
    """
    sizes = case.defaults() | dict(scale)
    for one in given:
        place, _, value = one.partition("=")
        name, _, size = place.partition(".")
        if name not in BY_NAME or (name == case.name and size not in sizes):
            raise SystemExit(f"--size {one}: there is no such size; `run_all.py --list` shows all of them")
        if name == case.name:
            kind = type(sizes[size])
            sizes[size] = value.lower() in ("1", "true", "yes") if kind is bool else kind(value)
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all of them if left out")
    parser.add_argument("--size", action="append", default=[], metavar="CASE.NAME=VALUE")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that the cases run")
    parser.add_argument("--folder", type=Path, default=PROJECT, help="where results, plots and the page go")
    parser.add_argument("--list", action="store_true", help="show the cases with their sizes")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.cases) - set(BY_NAME)):
        parser.error(f"there is no case {unknown[0]!r}; there are: {', '.join(BY_NAME)}")
    cases = [case for case in CASES if not chosen.cases or case.name in chosen.cases]
    if chosen.list:
        print("\n".join(f"{case.name}: {_told(case.defaults())}" for case in cases))
        return
    scales = {case.name: case.tiny if chosen.tiny else {} for case in cases}
    sizes = {case.name: sizes_of(case, scales[case.name], chosen.size) for case in cases}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    _end_servers_on_the_way_out()
    shelf, failed = Shelf(chosen.folder), []
    for case in cases:
        try:
            shelf.keep(run_case(case, sizes[case.name]))
        except Exception:  # noqa: BLE001 - the other cases are measured all the same; the exit status tells
            traceback.print_exc()
            failed.append(case.name)
        else:
            shelf.write_page()
    print(f"\n{shelf.page}" + (f"; not measured: {', '.join(failed)}" if failed else ""))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
