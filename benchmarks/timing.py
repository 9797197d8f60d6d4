"""Measures what is compared in turns, so that whatever else the machine does strikes all of it alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from reporting import Say


class Spent(NamedTuple):
    """What one run took."""

    seconds: float
    cpu_seconds: float | None = None  # of the measured process alone, where it was asked for


@dataclass(frozen=True)
class Times:
    """What several runs of one thing took."""

    runs: tuple[Spent, ...]

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def cpu_median(self) -> float | None:
        """Seconds of the processor, which what others do on the machine changes little."""
        known = [run.cpu_seconds for run in self.runs if run.cpu_seconds is not None]
        return statistics.median(known) if known else None

    def scaled(self, factor: float) -> Times:
        """As if there had been so many times more of it."""
        cpu = (None if run.cpu_seconds is None else run.cpu_seconds * factor for run in self.runs)
        return Times(tuple(Spent(run.seconds * factor, c) for run, c in zip(self.runs, cpu, strict=True)))

    def cells(self) -> tuple[str, str, str]:
        """For a table: the median, from what to what, and the processor's part."""
        seconds = [run.seconds for run in self.runs]
        cpu = "" if self.cpu_median is None else f"{self.cpu_median:,.2f} s"
        return f"{self.median:,.2f} s", f"{min(seconds):,.2f} to {max(seconds):,.2f}", cpu


def in_turns(ways: Mapping[str, Callable[[], Spent]], runs: int, say: Say) -> dict[str, Times]:
    """Runs every way once, then every way again."""
    taken: dict[str, list[Spent]] = {name: [] for name in ways}
    for number in range(runs):
        for name, way in ways.items():
            taken[name].append(way())
            say(f"run {number + 1} of {runs}: {name}: {taken[name][-1].seconds:.2f} s")
    return {name: Times(tuple(spent)) for name, spent in taken.items()}
