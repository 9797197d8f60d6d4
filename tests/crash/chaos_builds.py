"""The build of one day, asked for again until it has succeeded, as the next schedule would ask."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from typing import Protocol

from deployment import BIN, Deployment
from e2e.loop.dagster_driver import REPOSITORY

from dagster_project.settings import Settings

GONE_AFTER_SECONDS = 15.0  # no process works on a build that Dagster believes to be under way
SELECTED = ("+path:models/signals", "+path:models/enrichment")


class Build(Protocol):
    """A build that is under way or asked for."""

    def has_succeeded(self) -> bool: ...


@dataclass
class DbtBuild:
    """`dbt build` as a process of its own, as a scheduler outside of Dagster starts it."""

    deployment: Deployment
    process: subprocess.Popen[bytes] | None = None

    def has_succeeded(self) -> bool:
        if self.process is not None and self.process.poll() == 0:
            return True
        if self.process is None or self.process.poll() is not None:
            self.process = self._started()
        return False

    def _started(self) -> subprocess.Popen[bytes]:
        state_dir = self.deployment.loop.state_dir
        settings = Settings(_env_file=None, state_dir=state_dir)  # type: ignore[call-arg]
        with (state_dir / "dbt.txt").open("ab") as output:
            return subprocess.Popen(
                [str(BIN / "dbt"), "build", "--select", *SELECTED, "--quiet"],
                env={**settings.dbt_environment(), **self.deployment.loop.environment},
                cwd=REPOSITORY / "dbt_signals", stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip


@dataclass
class DagsterBuild:
    """A run of `build_signals` in the transform location."""

    deployment: Deployment
    run_id: str | None = None
    seen_at_work: float = field(default_factory=time.monotonic)

    def has_succeeded(self) -> bool:
        if self.run_id is None:
            self.run_id = self.deployment.launch("build_signals")
            self.seen_at_work = time.monotonic()
            return False
        status = self.deployment.status_of(self.run_id)
        if status == "SUCCESS":
            return True
        if {worker.kind for worker in self.deployment.workers()} & {"build", "dbt", "orphan"}:
            self.seen_at_work = time.monotonic()
        is_gone = time.monotonic() - self.seen_at_work > GONE_AFTER_SECONDS
        if is_gone or status in ("FAILURE", "CANCELED"):
            self.run_id = None
        return False
