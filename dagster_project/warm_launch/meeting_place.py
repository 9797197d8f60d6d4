"""Where launcher, pool and workers of one Dagster instance find each other: a folder in its home."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class IdleWorker:
    """What an idle worker says of itself. Its socket lies elsewhere, because the path of a socket must be short."""

    pid: int
    socket: str
    module: str  # the code location that it has loaded


@dataclass(frozen=True)
class MeetingPlace:
    """<DAGSTER_HOME>/warm: the claims on runs, and a file for each idle worker."""

    folder: Path

    @classmethod
    def of_home(cls, dagster_home: str | Path) -> MeetingPlace:
        return cls(Path(dagster_home) / "warm")

    @property
    def claims(self) -> Path:
        return self.folder / "claims"

    @property
    def idle(self) -> Path:
        return self.folder / "idle"

    @property
    def pool_lock(self) -> Path:
        return self.folder / "pool.lock"

    def make(self) -> None:
        """Only this user may look: an offer names the instance's storage, with its password where it has one."""
        for folder in (self.folder, self.claims, self.idle):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def announce(self, worker: IdleWorker) -> None:
        """Shown whole or not at all."""
        file = self.idle / str(worker.pid)
        unfinished = file.with_suffix(".new")
        unfinished.write_text(json.dumps(asdict(worker)), encoding="utf-8")
        unfinished.rename(file)

    def withdraw(self, pid: int) -> None:
        (self.idle / str(pid)).unlink(missing_ok=True)

    def idle_workers(self, module: str) -> list[IdleWorker]:
        """Those that have loaded the location, the longest idle first; what cannot be read is passed over."""
        found: list[tuple[int, IdleWorker]] = []
        try:
            entries = list(os.scandir(self.idle))
        except FileNotFoundError:
            return []
        for entry in entries:
            try:
                worker = IdleWorker(**json.loads(Path(entry.path).read_text(encoding="utf-8")))
                found.append((entry.stat().st_mtime_ns, worker))
            except (OSError, ValueError, TypeError):
                continue  # taken, or ended, between the listing and the reading
        return [worker for _, worker in sorted(found, key=lambda one: one[0]) if worker.module == module]
