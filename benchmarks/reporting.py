"""What a benchmark case found, and how it reads: tables, targets and plots, kept as JSON and shown as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from plots import bar_chart
from pydantic import BaseModel

Say = Callable[[str], None]
VERSIONS = ("aiohttp", "dagster", "sqlalchemy", "uvloop")


class Table(BaseModel):
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def as_markdown(self) -> str:
        lines = [self.columns, tuple("---" for _ in self.columns), *self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


class Target(BaseModel):
    """Something that was promised, beside what was found."""

    what: str
    wanted: str
    found: str
    is_met: bool

    @classmethod
    def at_most(cls, what: str, limit: float, found: float, unit: str = "x") -> Target:
        return cls(what=what, wanted=f"at most {limit:g} {unit}", found=f"{found:,.2f} {unit}", is_met=found <= limit)

    @classmethod
    def at_least(cls, what: str, limit: float, found: float, unit: str = "x") -> Target:
        return cls(what=what, wanted=f"at least {limit:g} {unit}", found=f"{found:,.2f} {unit}", is_met=found >= limit)

    @property
    def verdict(self) -> str:
        return "met" if self.is_met else "**missed**"


class Plot(BaseModel):
    """Horizontal bars; those of this project are marked, and a limit may be drawn across."""

    name: str  # of its file, without the ending
    title: str
    unit: str
    bars: tuple[tuple[str, float], ...]
    ours: tuple[str, ...] = ()
    limit: float | None = None

    def as_svg(self) -> str:
        return bar_chart(self.title, self.unit, self.bars, self.ours, self.limit)


class Report(BaseModel):
    """What a case found."""

    tables: tuple[Table, ...] = ()
    targets: tuple[Target, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()
    printed: str = ""  # of a script that writes its own tables

    def shown_print(self) -> str:
        """Markdown as it is; what was set for a terminal keeps its columns."""
        said = self.printed.strip()
        return said if "|---" in said.replace(" ", "") else f"```\n{said}\n```"


class Machine(BaseModel):
    """Where and with what something was measured."""

    measured_at: datetime
    processor: str
    processors: int
    load: float  # of the minute before, by others too
    python: str
    versions: dict[str, str]

    @classmethod
    def here(cls) -> Machine:
        return cls(
            measured_at=datetime.now(UTC).replace(microsecond=0),
            processor=f"{platform.system()} {platform.machine()}",
            processors=os.cpu_count() or 0,
            load=round(os.getloadavg()[0], 1),
            python=platform.python_version(),
            versions={name: version(name) for name in VERSIONS},
        )

    def as_sentence(self) -> str:
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return (
            f"{self.measured_at:%Y-%m-%d %H:%M} UTC on {self.processors} processors ({self.processor}), load before it "
            f"{self.load:g}; Python {self.python}, {versions}"
        )


class Result(BaseModel):
    """A case's report with the circumstances."""

    case: str
    title: str
    sizes: dict[str, str]
    took_seconds: float
    machine: Machine
    report: Report

    def as_markdown(self, images: str, remark: str) -> str:
        """A section of its own. Parameters: the folder of the plots, as the page names it; what people say about it."""
        sizes = ", ".join(f"{name}={value}" for name, value in self.sizes.items())
        parts = [
            f"## {self.title}",
            f'`make bench CASES="{self.case}"`{f" with {sizes}" if sizes else ""}; {self.took_seconds:.0f} s. '
            f"Measured {self.machine.as_sentence()}.",
            *(table.as_markdown() for table in self.report.tables),
            *([self.report.shown_print()] if self.report.printed.strip() else []),
            *(f"![{plot.title}]({images}/{plot.name}.svg)" for plot in self.report.plots),
            *([targets_table(self.report.targets)] if self.report.targets else []),
            *self.report.notes,
            *([remark] if remark else []),
        ]
        return "\n\n".join(parts)


def targets_table(targets: Sequence[Target]) -> str:
    rows = tuple((target.what, target.wanted, target.found, target.verdict) for target in targets)
    return Table(columns=("target", "wanted", "found", ""), rows=rows).as_markdown()


def page(results: Sequence[Result], images: str, remarks: Mapping[str, str]) -> str:
    """docs/benchmarks.md.

    Parameters: the newest result of each case, in the order of the registry; the folder of the plots, as the page names
    it; remarks by case.
    """
    targets = [target for result in results for target in result.report.targets]
    met = sum(target.is_met for target in targets)
    opening = (
        "# Benchmarks\n\n"
        '`make bench` runs all of them and writes this page; `make bench CASES="delivery batch"` runs some and keeps '
        "what the others found last. What is compared is measured in turns within one run, on one local sink in a "
        "process of its own, and stands here as medians: compare within a table; absolute times are this machine's.\n\n"
        f"## Targets: {met} of {len(targets)} met"
    )
    sections = (result.as_markdown(images, remarks.get(result.case, "")) for result in results)
    return "\n\n".join([opening, targets_table(targets), *sections]) + "\n"
