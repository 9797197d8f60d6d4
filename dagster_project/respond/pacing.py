"""Keeps calls to a destination within its declared rate, together with all other runs that call it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from dagster_project.contracts.destination import RateLimit
from dagster_project.ledger.pacing import Pace

# Takes places for so many calls, one interval apart; gives the seconds from now to the first.
TakePlaces = Callable[[Pace, int], float]

BLOCK_SECONDS = 0.25  # a run takes places for so long at a time, so that the ledger is asked a few times a second
# A call may be later than its place by this share of the limit's window. Beyond it the place is gone: other runs have
# filled the time since, and a run that was held up would send the rest of its block at once.
LATE_SHARE = 0.05
TRIES = 5  # places that may be missed in a row; a machine that is so slow sends few calls anyway


class Pacer:
    """Gives each call of one run its place."""

    def __init__(self, limit: RateLimit, take_places: TakePlaces) -> None:
        self._pace = Pace.of(limit)
        self._take_places = take_places
        self._late_seconds = LATE_SHARE * limit.seconds
        self._block = max(1, int(BLOCK_SECONDS / self._pace.interval))
        self._expected = self._block
        self._next_at = 0.0  # by the monotonic clock
        self._taken_at = 0.0
        self._left = 0
        self._is_whole = False  # only a whole block lasts long enough to be worth giving up
        self._one_at_a_time = asyncio.Lock()

    def expect(self, calls: int) -> None:
        """So many calls are about to be made: places that nobody would use are not taken from other runs, or from a
        later step of this one."""
        self._expected = calls

    async def wait(self) -> None:
        """Waits for the next place, and for another one where this process was held up past it."""
        for _ in range(TRIES):
            while self._left == 0:
                async with self._one_at_a_time:
                    if self._left == 0:
                        await self._take_block()
            place, is_whole = self._next_at, self._is_whole
            not_before = max(place, self._taken_at)
            self._use(1)
            if (seconds := place - time.monotonic()) > 0:
                await asyncio.sleep(seconds)
            if not is_whole or time.monotonic() - not_before <= self._late_seconds:
                return
            self._pass_over()

    def _use(self, places: int) -> None:
        self._next_at += places * self._pace.interval
        self._left -= places

    def _pass_over(self) -> None:
        """Gives up the place that was just used and all that are too late by now; others are expected for them."""
        too_late = time.monotonic() - self._late_seconds - self._next_at
        passed = min(self._left, max(0, int(too_late / self._pace.interval)))
        self._use(passed)
        self._expected += passed + 1

    async def _take_block(self) -> None:
        count = max(1, min(self._block, self._expected))
        self._taken_at, until_first = await asyncio.to_thread(self._taken, count)
        self._next_at, self._left = self._taken_at + until_first, count
        self._is_whole = count == self._block
        self._expected -= count

    def _taken(self, count: int) -> tuple[float, float]:
        """The moment at which the places were given out, and the seconds from it to the first."""
        until_first = self._take_places(self._pace, count)
        return time.monotonic(), until_first
