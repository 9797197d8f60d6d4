"""How good a churn scorecard is on customers that it has not seen: the arithmetic, and the words to report it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

_Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


@dataclass(frozen=True, slots=True)
class Interval:
    """A share with its 95 % interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CalibrationDecile:
    """One tenth of the held-out customers, ordered by score: what was predicted and what came true."""

    customers: int
    predicted: float  # mean score
    observed: float  # share that left


@dataclass(frozen=True, slots=True)
class FitReport:
    """A fitted scorecard and its quality on the held-out customers."""

    version: int
    is_new_version: bool  # False if the fit gave the coefficients that the seed already had
    training_customers: int
    held_out_customers: int
    held_out_auc: float
    base_rate: float  # share of the held-out customers that left
    calibration: tuple[CalibrationDecile, ...]
    threshold: float
    held_out_flagged: int  # held-out customers at or above the threshold
    precision: Interval | None  # of those, the share that left; None if nobody was flagged
    lift: float | None  # precision over base rate
    active_flagged: int  # customers of both parts who have not left and are at or above the threshold
    coefficients: dict[str, float]  # by feature, the intercept included
    constant_features: tuple[str, ...]  # without any variation in the training data, hence without effect

    def __str__(self) -> str:
        return "\n".join((*self._summary(), *self._calibration_table()))

    def _summary(self) -> list[str]:
        kept = "new" if self.is_new_version else "unchanged"
        lines = [
            f"churn scorecard version {self.version} ({kept}): fitted on {self.training_customers:,} customers, "
            f"judged on {self.held_out_customers:,} held out by a hash of their id",
            f"AUC {self.held_out_auc:.4f}; {self.base_rate:.1%} of the held-out customers left",
        ]
        if self.precision is None or self.lift is None:
            lines.append(f"nobody held out scores {self.threshold} or more, so there is no precision to report")
        else:
            lines.append(
                f"at {self.threshold}: {self.held_out_flagged} flagged, precision {self.precision.share:.1%} "
                f"(95 % interval {self.precision.low:.1%} to {self.precision.high:.1%}), lift {self.lift:.2f}"
            )
        lines.append(f"{self.active_flagged} customers who have not left are flagged")
        if self.constant_features:
            lines.append(f"no effect could be fitted, the data never varies: {', '.join(self.constant_features)}")
        return lines

    def _calibration_table(self) -> list[str]:
        rows = [
            f"{number:>6}  {decile.customers:>9}  {decile.predicted:>9.1%}  {decile.observed:>8.1%}"
            for number, decile in enumerate(self.calibration, start=1)
        ]
        return [
            "calibration on the held-out customers, by tenth of the score:",
            "tenth   customers  predicted  observed",
            *rows,
        ]


def wilson_interval(successes: int, trials: int) -> Interval:
    """The share and its 95 % Wilson score interval (Wilson 1927, J. Am. Stat. Assoc. 22:209), within 0 to 1.

    Raises:
        ValueError: there are no trials, or more successes than trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials have no share")
    share = successes / trials
    spread = _Z_95**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = _Z_95 * sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def area_under_curve(scores: Sequence[float], outcomes: Sequence[bool]) -> float:
    """The probability that a random leaver scores above a random stayer, ties counting half (Mann-Whitney U).

    Raises:
        ValueError: there is no leaver or no stayer to compare.
    """
    leavers = sum(outcomes)
    stayers = len(outcomes) - leavers
    if not leavers or not stayers:
        raise ValueError("the area under the curve needs customers who left and customers who stayed")
    rank_sum = sum(rank for rank, left in zip(_mid_ranks(scores), outcomes, strict=True) if left)
    return (rank_sum - leavers * (leavers + 1) / 2) / (leavers * stayers)


def calibration_deciles(scores: Sequence[float], outcomes: Sequence[bool]) -> tuple[CalibrationDecile, ...]:
    """The customers in ten parts of nearly equal size by rising score; fewer parts if there are fewer customers."""
    ordered = sorted(zip(scores, outcomes, strict=True))
    bounds = [round(len(ordered) * tenth / 10) for tenth in range(11)]
    parts = [ordered[start:end] for start, end in pairwise(bounds) if end > start]
    return tuple(
        CalibrationDecile(
            len(part), sum(score for score, _ in part) / len(part), sum(left for _, left in part) / len(part)
        )
        for part in parts
    )


def _mid_ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for position in order[start:end]:
            ranks[position] = (start + 1 + end) / 2
        start = end
    return ranks
