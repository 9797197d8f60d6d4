"""The rate that a destination declares is kept."""

from __future__ import annotations

import asyncio

from dagster_project.contracts.destination import RateLimit
from dagster_project.respond.pacing import Pacer


class HandClock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_calls_go_at_once_and_the_next_one_waits_its_turn() -> None:
    clock = HandClock()
    pacer = Pacer(RateLimit(calls=3, seconds=10), clock)
    assert [pacer.reserve() for _ in range(7)] == [0, 0, 0, 10, 10, 10, 20]


def test_time_that_passes_is_given_back() -> None:
    clock = HandClock()
    pacer = Pacer(RateLimit(calls=2, seconds=10), clock)
    assert [pacer.reserve(), pacer.reserve()] == [0, 0]
    clock.now += 4
    assert pacer.reserve() == 6
    clock.now += 100
    assert pacer.reserve() == 0


def test_a_free_place_is_not_waited_for() -> None:
    async def three() -> None:
        pacer = Pacer(RateLimit(calls=3, seconds=3600))
        for _ in range(3):
            await asyncio.wait_for(pacer.wait(), timeout=60)

    asyncio.run(three())
