"""The benchmark's signal as a real action job, for `dagster job execute -f`; tells its peak memory when it ends."""

from __future__ import annotations

import atexit
import os
import re
import sys
from functools import lru_cache
from pathlib import Path

from dagster import Definitions

from dagster_project.respond.action_run import Surroundings
from dagster_project.respond.jobs import build_job

sys.path.insert(0, str(Path(__file__).parent))
from workloads import SIGNAL, catalog_of, surroundings_of


@lru_cache(maxsize=1)
def surroundings() -> Surroundings:
    return surroundings_of(Path(os.environ["BENCH_STATE"]), os.environ["BENCH_SINK"])


def write_peak() -> None:
    """Of this process alone; what wait4 tells of a child may be its parent's peak, from before the child's exec."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    Path(os.environ["BENCH_PEAK"]).write_text(found.group(1) if found else "")


if "BENCH_PEAK" in os.environ:
    atexit.register(write_peak)
job = build_job(catalog_of().signals[SIGNAL], surroundings)
defs = Definitions(jobs=[job])
