"""The matrix of crashes: which points there are, where each is reached, and which combinations are tried every day."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product

from dagster_project.crash_points import POINTS

# Reached before the signal has been met; its first build is the baseline.
FIRST_MEETING = ("incarnation_bound", "mode_declared", "contacts_refreshed", "baseline_noted")
INTAKE = ("warehouse_read", "intake_open", "build_ingested")
CLAIM = ("run_started", "swept", "claim_open", "claimed", "rendered", "rendering_open", "intent_open")
# From here on nobody can tell from the ledger alone whether the call was made.
DOUBT = ("intent_written", "request_sent", "reply_received", "outcome_open")
AFTER = ("outcome_written", "batch_settled", "work_done", "given_back")
PHASES = {"first_meeting": FIRST_MEETING, "intake": INTAKE, "claim": CLAIM, "doubt": DOUBT, "after": AFTER}

# Only in the fast profile: test_warm_handover.py.
HANDOVER = ("run_offered", "offer_received", "run_claimed_warm", "run_accepted", "run_claimed_cold")
PRUNING = ("prune_open", "lanes_pruned")  # test_crash_pruning.py
# The first only where a destination can be asked: test_unknown_outcomes.py.
ELSEWHERE = ("answer_found", *PRUNING, *HANDOVER)
OUTSIDE = ("request_sent",)  # the sink sees it, the process cannot

KILLS = ("SIGKILL", "SIGTERM")
CLASSES = ("keyed", "unkeyed", "upsert")


@dataclass(frozen=True)
class Case:
    point: str
    by: str
    kind: str

    @property
    def name(self) -> str:
        return f"{self.point}-{self.by}-{self.kind}"

    @property
    def in_doubt(self) -> bool:
        return self.point in DOUBT


EVERY_POINT = tuple(point for points in PHASES.values() for point in points)
FULL = tuple(Case(*one) for one in product(EVERY_POINT, KILLS, CLASSES))


def _once() -> tuple[Case, ...]:
    """Every point once, signals and classes in turn."""
    return tuple(
        Case(point, KILLS[number % len(KILLS)], CLASSES[number % len(CLASSES)])
        for number, point in enumerate(EVERY_POINT)
    )


def _pairwise() -> tuple[Case, ...]:
    """A few cases in which every pair of phase, signal and class comes together, with points in turn."""
    phase_of = {point: phase for phase, points in PHASES.items() for point in points}
    chosen: list[Case] = []
    wanted = {pair for case in FULL for pair in _pairs(case, phase_of)}
    used: set[str] = set()
    while wanted:
        best = max(FULL, key=lambda case: (len(wanted & _pairs(case, phase_of)), case.point not in used))
        chosen.append(best)
        used.add(best.point)
        wanted -= _pairs(best, phase_of)
    return tuple(chosen)


def _pairs(case: Case, phase_of: dict[str, str]) -> set[tuple[tuple[int, str], ...]]:
    values = enumerate((phase_of[case.point], case.by, case.kind))
    return set(combinations(values, 2))


ONCE = _once()
PAIRWISE = _pairwise()

assert {*EVERY_POINT, *ELSEWHERE} - set(OUTSIDE) == set(POINTS), "a point without a test"
