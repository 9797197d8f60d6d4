"""Loops that several tests look at; each is played once a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loop_driver import PlayedDays, running_loop


@pytest.fixture(scope="session")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayedDays]:
    with running_loop(tmp_path_factory.mktemp("two_days") / "state") as loop:
        loop.play_day(1)
        after_day_1 = len(loop.sandbox.effects())
        loop.play_day(2)
        yield PlayedDays(loop, after_day_1, tuple(loop.sandbox.effects()))
