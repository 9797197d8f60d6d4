"""What a user is promised of the running system: how soon an event is acted on, and a rate that several runs share."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import commit_to_delivered
import shared_rate
from reporting import Plot, Report, Say, Table, Target

PROMPT = {"shipped": (3.5, 9.0), "fast": (1.2, 2.5)}  # seconds from commit to delivered: p50 and p95, by setup
USED_SHARE, REFUSED_SHARE = 90.0, 1.0  # percent of the limit at least, of all calls at most


def prompt(say: Say, events: int = 20, setups: str = "shipped,fast", is_with_build: bool = True) -> Report:
    """Isolated events through the whole deployment, from the commit of their build to their last effect.

    Parameters: how many events a setup; names of setups; whether a real `dbt build` comes first, as a check.
    """
    rows, targets, bars = [], [], []
    for setup in setups.split(","):
        say(f"{events} events, {setup}")
        for row in commit_to_delivered.measure(setup, events, is_with_build):
            rows.append(_cells(row))
            if row["setup"] == setup and row["what"] == "delivered":
                bars.append((setup, row["p50_seconds"]))
                targets += _prompt_targets(setup, row)
    return Report(
        tables=(Table(columns=("setup", "what", "p50", "p95", "events"), rows=tuple(rows)),),
        targets=tuple(targets),
        plots=(
            Plot(
                name="prompt",
                title="Commit to delivered: seconds, p50",
                unit="s",
                bars=tuple(bars),
                ours=tuple(name for name, _ in bars),
            ),
        ),
        notes=(
            'Each stretch ends where the next begins; "to first call" ends with the first of four effects, "delivered" '
            "with the last.",
        ),
    )


def _cells(row: Mapping[str, object]) -> tuple[str, ...]:
    seconds = (f"{row['p50_seconds']:.2f} s", f"{row['p95_seconds']:.2f} s")
    return (str(row["setup"]), str(row["what"]), *seconds, str(row["events"]))


def _prompt_targets(setup: str, row: Mapping[str, float]) -> list[Target]:
    if setup not in PROMPT:
        return []
    wanted = zip(("p50", "p95"), PROMPT[setup], strict=True)
    return [
        Target.at_most(f"commit to delivered, {setup}: {name}", limit, row[f"{name}_seconds"], "s")
        for name, limit in wanted
    ]


def rate(say: Say, runs: int = 3, limit: int = 100, seconds: float = 20.0, repeats: int = 3) -> Report:
    """Several runs at once against a receiver that refuses what exceeds its rate in any sliding second.

    Parameters: how many runs, each a process; calls a second; how long the work lasts at that rate; how often.
    """
    say(f"{runs} runs against {limit} calls a second, {repeats} times")
    found = shared_rate.measure(runs, limit, seconds, repeats=repeats)
    used = statistics.median(100 * one.share_of_limit for one in found)
    refused = statistics.median(100 * one.refused_share for one in found)
    rows = tuple(
        (
            f"{one.accepted:,}",
            f"{one.refused:,}",
            f"{one.seconds:.1f} s",
            f"{one.share_of_limit:.1%}",
            f"{one.refused_share:.2%}",
        )
        for one in found
    )
    what = f"{runs} runs at {limit}/s"
    return Report(
        tables=(Table(columns=("accepted", "refused", "took", "of the limit", "refused share"), rows=rows),),
        targets=(
            Target.at_least(f"{what}: used of the limit", USED_SHARE, used, "%"),
            Target.at_most(f"{what}: refused", REFUSED_SHARE, refused, "%"),
        ),
    )
