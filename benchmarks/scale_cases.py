"""What the ledger and the event capture cost as they grow, held to what was promised for years of use."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import ledger_scale
from reporting import Plot, Report, Say, Table, Target

PROMPT_MS = 200.0  # p95 of what a sensor and a run ask of the ledger
FLAT = 1.2  # growth that still counts as none
PROMPT = ("tick", "claim of 100", "status")


def ledger(
    say: Say, sizes: str = "10000,100000,1000000", ledgers: str = "sqlite,postgres", repeats: int = 20
) -> Report:
    """The loop's own questions to a ledger of different sizes.

    Parameters: numbers of events, three actions each; which ledgers; how often each question is asked.
    """
    counts, kinds = sorted(map(int, sizes.split(","))), ledgers.split(",")
    say(f"fills ledgers of {sizes} events")
    # In a process of its own: Python's collector would walk through whatever an earlier case left in this one.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        timings = apart.submit(ledger_scale.measure, counts, kinds, repeats).result()
    found = {(one.ledger, one.operation, one.events): one for one in timings}
    targets, bars = [], []
    for kind in kinds:
        for operation in PROMPT:
            first, last = (found[kind, operation, count] for count in (counts[0], counts[-1]))
            what = f"{operation}, {kind}"
            at = f"at {counts[-1]:,} events"
            targets.append(Target.at_most(f"{what}: p95 {at}", PROMPT_MS, last.p95, "ms"))
            targets.append(Target.at_most(f"{what}: p50 {at}, of {counts[0]:,}", FLAT, last.p50 / first.p50))
            bars += [(f"{what}, {count:,} events", found[kind, operation, count].p50) for count in counts]
    title = "What the loop asks of its ledger: p50"
    plot = Plot(name="ledger", title=title, unit="ms", bars=tuple(bars), ours=tuple(name for name, _ in bars))
    note = "Cells: p50 / p95 / processor time in ms; the last columns: the last size's of the first one's."
    return Report(printed=ledger_scale.table(timings), targets=tuple(targets), plots=(plot,), notes=(note,))


def capture(
    say: Say,
    entities: int = 10_000_000,
    flagged: int = 100_000,
    rounds: int = 3,
    year_entities: int = 50_000,
    year_flagged: int = 10_000,
    builds: int = 365,
    warehouse: str = "duckdb",
) -> Report:
    """The event capture in a dbt build of one signal, on many entities, and after many builds.

    Parameters: entities and how many of them are flagged; builds with and without the capture; entities, flagged and
    builds of the year; the warehouse, duckdb or postgres.
    """
    say(f"builds of {entities:,} entities, {flagged:,} flagged; then {builds} builds of {year_entities:,}")
    year = (year_entities, year_flagged, builds)
    # In a process of its own: each build is a fork, whose memory would count what this process holds.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        values = apart.submit(_captured, (entities, flagged, rounds, year, warehouse)).result()
    rows = tuple((label, f"{value:,.2f} {unit}".strip()) for label, (value, unit) in values.items())
    targets = [
        Target.at_most(f"{what}: after {builds} builds, of the first ones", FLAT, _growth(values, what))
        for what in ("model and capture", "peak memory")
        if builds > 1
    ]
    return Report(tables=(Table(columns=("what", "found"), rows=rows),), targets=tuple(targets))


def _captured(sizes: tuple[int, int, int, tuple[int, int, int], str]) -> dict[str, tuple[float, str]]:
    """Values with their units by label; importing it imports dbt, which no other case needs."""
    import capture_scale

    measured, _ = capture_scale.measure(*sizes)
    return {one.label: (one.value, one.unit) for one in measured}


def _growth(values: dict[str, tuple[float, str]], what: str) -> float:
    """The last builds' median of the first ones'."""
    first, last = (
        next(value for name, (value, _) in values.items() if name.startswith(f"{what}, the {part}"))
        for part in ("first", "last")
    )
    return last / first
