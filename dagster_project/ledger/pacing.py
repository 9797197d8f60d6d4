"""Shares a destination's rate among all runs: places in time are given out by the ledger, each to one call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from dagster_project.contracts.destination import RateLimit
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import paces

# Runs wait for places no further ahead than this many calls or seconds; one beyond was given out by a clock that was
# ahead, and whoever waited for it would wait until that clock's hour.
LONGEST_QUEUE = 300
LONGEST_QUEUE_SECONDS = 60.0
BURST_SHARE = 0.05  # of the limit may go at once after a pause; the rest is spread, so that no window holds more


@dataclass(frozen=True)
class Pace:
    """How calls are spread: a burst, then one every interval.

    The generic cell rate algorithm. Any window of the limit's `seconds` holds at most the burst and the calls that the
    interval lets through in it, which together are the limit's `calls`.
    """

    interval: float  # seconds
    burst: int

    @classmethod
    def of(cls, limit: RateLimit) -> Pace:
        burst = int(limit.calls * BURST_SHARE)
        return cls(interval=limit.seconds / (limit.calls - burst), burst=burst)

    def first_place(self, next_at: datetime | None, now: datetime) -> datetime:
        """The moment of the next place; it may lie in the past as far as the burst goes."""
        earliest = now - timedelta(seconds=self.burst * self.interval)
        return earliest if next_at is None else max(next_at, earliest)

    def is_of_another_clock(self, next_at: datetime, now: datetime) -> bool:
        """Whether no queue of runs can have brought the next place so far ahead."""
        longest = max(LONGEST_QUEUE_SECONDS, LONGEST_QUEUE * self.interval)
        return next_at - now > timedelta(seconds=longest)


def take_places(database: Database, destination: str, pace: Pace, count: int) -> float:
    """Takes places for so many calls, one interval apart; returns the seconds from now to the first, below 0 for one
    that is due already."""

    def work(connection: Connection) -> float:
        now = database.now()
        mine = paces.c.destination == destination
        known = connection.execute(select(paces.c.next_at).where(mine)).scalar()
        is_believed = known is not None and not pace.is_of_another_clock(known, now)
        first = pace.first_place(known if is_believed else None, now)
        after = first + timedelta(seconds=count * pace.interval)
        if known is None:
            connection.execute(insert(paces), {"destination": destination, "next_at": after})
        else:
            connection.execute(update(paces).where(mine).values(next_at=after))
        return (first - now).total_seconds()

    return database.write(work, over=f"pace of {destination}")
