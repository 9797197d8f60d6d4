"""Decides, once and for good, which process executes a run: the first one that claims its id, and no other.

INVARIANT. A run id that was ever offered to a warm worker is executed by at most one process. A worker executes only
what it has claimed; the launcher starts a process of its own only after it has claimed the run for a cold start. A
claim is the name of a file that is made by a link, which the file system grants to one; it is never given back. It is
removed only after the run has ended, when Dagster itself refuses to execute it again.

So it does not matter who dies when: before the claim nobody executes, and whoever comes next may claim; after it nobody
else ever does, and a run whose owner died is failed, not started again. Its work is still due in the ledger.

A warm claim is locked by its worker for as long as that lives. The kernel lets go of the lock when the process ends,
however it ends, so that a reused process id cannot pass for a worker.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Start = Literal["warm", "cold"]
_RUN_ID = re.compile(r"[0-9A-Za-z_-]{1,128}")
_UNFINISHED = ".claiming-"
CUT_OFF = 0  # the process id in a claim that cannot be read


class NoRunId(ValueError):
    """What was given is no run id, and no name for a file."""


@dataclass(frozen=True)
class RunClaim:
    run_id: str
    start: Start
    pid: int  # of the worker, or of the launcher that started cold; CUT_OFF where the file does not say
    claimed_at: float  # seconds since the epoch


@dataclass(frozen=True)
class HeldClaim:
    """A claim of this process, locked until the process ends or lets go."""

    claim: RunClaim
    _descriptor: int

    def let_go(self) -> None:
        """Gives up the lock, never the claim."""
        os.close(self._descriptor)


class RunClaims:
    """The claims on the runs of one instance. Needs a local file system, as SQLite does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, run_id: str) -> Path:
        if not _RUN_ID.fullmatch(run_id):
            raise NoRunId(f"{run_id!r} is no run id")
        return self._folder / run_id

    def take(self, run_id: str, start: Start) -> HeldClaim | None:
        """Claims a run for this process; None where anybody, this process too, ever has. Raises OSError."""
        claim = RunClaim(run_id, start, os.getpid(), time.time())
        file = self._file(run_id)
        unfinished = self._folder / f"{_UNFINISHED}{claim.pid}-{time.monotonic_ns()}"
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # before it can be seen: a claim is never seen without its lock
            os.write(descriptor, json.dumps({"start": start, "pid": claim.pid, "at": claim.claimed_at}).encode())
            os.fsync(descriptor)  # a power cut must not leave the name of a claim without its words
            os.link(unfinished, file)
        except FileExistsError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        finally:
            unfinished.unlink(missing_ok=True)
        return HeldClaim(claim, descriptor)

    def read(self, run_id: str) -> RunClaim | None:
        """Who has a run; None where nobody has. Raises OSError.

        A claim that cannot be read was cut off with the machine: the run was claimed all the same, and whoever had it
        is gone. It counts as warm, for a warm claim's owner is asked after by its lock, which nobody holds.
        """
        file = self._file(run_id)
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            return RunClaim(run_id, said["start"], said["pid"], said["at"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            return RunClaim(run_id, "warm", CUT_OFF, _changed_at(file))

    def is_held(self, run_id: str) -> bool:
        """Whether the process that claimed the run lives and has not let go."""
        return _is_locked(self._file(run_id))

    def ownerless(self) -> Iterator[RunClaim]:
        """Warm claims whose worker is gone; whether their runs have ended is for the caller to see."""
        for run_id in self._run_ids():
            claim = self.read(run_id)
            if claim is not None and claim.start == "warm" and not self.is_held(run_id):
                yield claim

    def forget(self, are_finished: Callable[[list[str]], Iterable[str]], older_than_seconds: float) -> int:
        """Removes old claims on runs that have ended, and nothing else; returns how many.

        Parameters: which of some run ids belong to runs that have ended; the least age of a claim that is removed.
        """
        limit = time.time() - older_than_seconds
        old = {run_id for run_id in self._run_ids() if _changed_at(self._folder / run_id) < limit}
        gone = old & set(are_finished(sorted(old))) if old else set()
        for run_id in gone:
            self._file(run_id).unlink(missing_ok=True)
        for leftover in self._folder.glob(f"{_UNFINISHED}*"):
            if _changed_at(leftover) < limit and not _is_locked(leftover):
                leftover.unlink(missing_ok=True)
        return len(gone)

    def _run_ids(self) -> list[str]:
        try:
            return [file.name for file in self._folder.iterdir() if not file.name.startswith(_UNFINISHED)]
        except FileNotFoundError:
            return []


def _changed_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _is_locked(file: Path) -> bool:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
