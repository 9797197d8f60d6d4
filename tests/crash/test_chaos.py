"""One seed of the storm, over a whole deployment; `make chaos SEEDS=n` plays more of them and all five days."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos import line, play

DAILY_SEED, DAILY_DAYS = 3, 2


@pytest.mark.parametrize(("seed", "days"), [(DAILY_SEED, DAILY_DAYS), pytest.param(1, 5, marks=pytest.mark.long)])
def test_after_a_storm_of_kills_every_promise_holds(tmp_path: Path, seed: int, days: int) -> None:
    played = play(seed, tmp_path / "state", days)
    assert played.kills, "a storm without a kill shows nothing"
    assert played.verdict.effects, "nothing was done, so nothing was shown"
    assert played.is_well, f"{line(played)}\n{played}"
