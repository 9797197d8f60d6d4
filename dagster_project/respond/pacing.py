"""Keeps one run's calls to a destination within its declared rate."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from dagster_project.contracts.destination import RateLimit


class Pacer:
    """Gives out places so that no window of `seconds` holds more than `calls` of them."""

    def __init__(self, limit: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._places: deque[float] = deque(maxlen=limit.calls)

    def reserve(self) -> float:
        """Takes the next place; returns the seconds to wait for it."""
        now = self._clock()
        is_full = len(self._places) == self._limit.calls
        place = max(now, self._places[0] + self._limit.seconds) if is_full else now
        self._places.append(place)
        return place - now

    async def wait(self) -> None:
        if (seconds := self.reserve()) > 0:
            await asyncio.sleep(seconds)
