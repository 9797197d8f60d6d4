"""Runs of several processes share a destination's rate: hardly anything is refused by one that counts strictly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "shared_rate.py"


@pytest.mark.long
@pytest.mark.parametrize("runs", [1, 3])
def test_under_one_in_a_hundred_is_refused_above_the_limit(runs: int) -> None:
    command = [sys.executable, str(BENCHMARK), "--runs", str(runs), "--seconds", "20", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["accepted"] == 2000, "everything is delivered in the end"
    assert row["refused"] / (row["accepted"] + row["refused"]) < 0.01
