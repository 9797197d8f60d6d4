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


class Pacer:
    """Gives each call of one run its place."""

    def __init__(self, limit: RateLimit, take_places: TakePlaces) -> None:
        self._pace = Pace.of(limit)
        self._take_places = take_places
        self._block = max(1, int(BLOCK_SECONDS / self._pace.interval))
        self._expected = self._block
        self._next_at = 0.0  # by the monotonic clock
        self._left = 0
        self._one_at_a_time = asyncio.Lock()

    def expect(self, calls: int) -> None:
        """So many calls are about to be made: places that nobody would use are not taken from other runs, or from a
        later step of this one."""
        self._expected = calls

    async def wait(self) -> None:
        """Waits for the next place."""
        while self._left == 0:
            async with self._one_at_a_time:
                if self._left == 0:
                    await self._take_block()
        place = self._next_at
        self._next_at += self._pace.interval
        self._left -= 1
        if (seconds := place - time.monotonic()) > 0:
            await asyncio.sleep(seconds)

    async def _take_block(self) -> None:
        count = max(1, min(self._block, self._expected))
        until_first = await asyncio.to_thread(self._take_places, self._pace, count)
        self._next_at, self._left = time.monotonic() + until_first, count
        self._expected -= count
