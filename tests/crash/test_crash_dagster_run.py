"""The same in a real run of Dagster's: its process dies, a later run of the same job goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from crash_company import SIGNAL
from crash_lab import HERE, CrashLab, MakeLab
from invariants import check_invariants

ENDS_WITHIN_SECONDS = 120


def _execute(lab: CrashLab, **environment: str) -> subprocess.CompletedProcess[str]:
    home = lab.folder / "dagster"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    words = ["job", "execute", "-f", str(HERE / "crash_job.py"), "-a", "defs", "-j", f"act_on_{SIGNAL}"]
    return subprocess.run(
        [str(Path(sys.executable).parent / "dagster"), *words],
        env={**lab.environment, "DAGSTER_HOME": str(home), "PYTHONPATH": str(HERE), **environment},
        capture_output=True, text=True, timeout=ENDS_WITHIN_SECONDS, check=False, cwd=HERE.parents[1],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("point", "by"),
    [("intent_written", "SIGKILL"), pytest.param("reply_received", "SIGTERM", marks=pytest.mark.long)],
)
def test_a_run_of_dagsters_may_die_like_any_other(make_lab: MakeLab, point: str, by: str) -> None:
    lab = make_lab("keyed")
    lab.run("detect")
    died = _execute(lab, LOOP_CRASH_TESTS="on", LOOP_CRASH_AT=point, LOOP_CRASH_BY=by)
    assert died.returncode != 0
    if by == "SIGKILL":
        assert died.returncode == -signal.SIGKILL, died.stderr
    lab.crashes += 1
    lab.until_leases_end()
    again = _execute(lab)
    assert again.returncode == 0, again.stderr
    assert lab.arrivals()
    lab.recover()
    check_invariants(lab, in_doubt=True)
