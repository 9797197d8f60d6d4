"""Names the points between two durable steps, so that a test can end the process at exactly one of them.

    LOOP_CRASH_TESTS=on LOOP_CRASH_AT=intent_written LOOP_CRASH_BY=SIGKILL python ...

`LOOP_CRASH_AT=intent_written:2` means the second time. Without LOOP_CRASH_AT a point is one comparison.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

# In the order in which an event meets them. docs/the_loop.md says of each what it leaves and what takes it up.
POINTS = (
    "warehouse_read",
    "incarnation_bound",
    "mode_declared",
    "contacts_refreshed",
    "baseline_noted",
    "intake_open",
    "build_ingested",
    "run_started",
    "swept",
    "claim_open",
    "claimed",
    "answer_found",
    "rendered",
    "rendering_open",
    "intent_open",
    "intent_written",
    "reply_received",
    "outcome_open",
    "outcome_written",
    "batch_settled",
    "work_done",
    "given_back",
    "prune_open",
    "lanes_pruned",
    # The fast profile: between a run's request and its start (dagster_project/warm_launch).
    "run_offered",
    "offer_received",
    "run_claimed_warm",
    "run_accepted",
    "run_claimed_cold",
)
SIGNALS = ("SIGKILL", "SIGTERM", "SIGSTOP")


class CrashRefused(ValueError):
    """The environment asks for a crash that it does not allow or that there is not; nothing was begun."""


@dataclass
class _Crash:
    point: str
    times_left: int
    by: signal.Signals


_armed: _Crash | None = None


def arm(environment: Mapping[str, str]) -> None:
    """Takes the point from the environment; without LOOP_CRASH_AT there is none. Raises CrashRefused."""
    global _armed
    asked = environment.get("LOOP_CRASH_AT", "")
    _armed = _read(asked, environment) if asked else None


def _read(asked: str, environment: Mapping[str, str]) -> _Crash:
    if environment.get("LOOP_CRASH_TESTS") != "on":
        raise CrashRefused(
            "LOOP_CRASH_AT is set, which ends this process in the middle of its work. It is for tests alone, which say "
            "so with LOOP_CRASH_TESTS=on. Nothing was done; unset LOOP_CRASH_AT."
        )
    point, _, times = asked.partition(":")
    by = environment.get("LOOP_CRASH_BY", "SIGKILL")
    if point not in POINTS or by not in SIGNALS or not (times or "1").isdecimal():
        raise CrashRefused(
            f"LOOP_CRASH_AT={asked}, LOOP_CRASH_BY={by}: a point is one of {', '.join(POINTS)}, with :N for the Nth "
            f"time; a signal is one of {', '.join(SIGNALS)}. Nothing was done."
        )
    return _Crash(point, int(times or 1), signal.Signals[by])


def reach(point: str) -> None:
    """Sends this process the signal if it is to end here."""
    if _armed is not None and _armed.point == point:
        _armed.times_left -= 1
        if _armed.times_left == 0:
            os.kill(os.getpid(), _armed.by)


arm(os.environ)
