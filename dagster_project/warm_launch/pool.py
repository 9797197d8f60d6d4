"""Keeps a number of idle workers ready, replaces those that were used or are stale, and reports those that died.

The pool is a parent and nothing more: runs are handed over without it, and whatever it fails to do, they start cold.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import FrameType

from dagster_project.warm_launch.meeting_place import MeetingPlace
from dagster_project.warm_launch.own_log import log_of
from dagster_project.warm_launch.run_claims import RunClaim, RunClaims

LOOKS_EVERY_SECONDS = 1.0
LET_RUN_SECONDS = 2.0  # a run that has begun gets the machine before its worker's successor does
LONGEST_PAUSE_SECONDS = 60.0  # between two starts that failed
FINISH_WITHIN_SECONDS = 30.0  # runs under way when the pool is told to end
END_WITHIN_SECONDS = 10.0  # after they were interrupted

log = log_of("pool")


class PoolRuns(Exception):
    """Another pool serves this instance; none was started beside it."""


class Life(Enum):
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"


@dataclass
class Child:
    process: subprocess.Popen[bytes]
    channel: socket.socket
    life: Life = Life.STARTING

    def hear(self) -> None:
        """Takes in what the worker has said of itself; a channel at its end says nothing."""
        with suppress(OSError):
            for word in self.channel.recv(4096).split():
                self.life = Life.IDLE if word == b"ready" else Life.BUSY


@dataclass
class Pool:
    """Parameters: the instance's folder; the code location's module; how many idle workers to keep."""

    home: Path
    module: str
    size: int
    children: list[Child] = field(default_factory=list)
    failures: int = 0  # starts in a row that came to nothing
    start_at: float = 0.0
    is_ending: bool = False
    _sockets: Path = field(init=False)

    @property
    def place(self) -> MeetingPlace:
        return MeetingPlace.of_home(self.home)

    @property
    def claims(self) -> RunClaims:
        return RunClaims(self.place.claims)

    def serve(self) -> None:
        """Until SIGTERM or SIGINT. Raises PoolRuns."""
        self.place.make()
        with self.place.pool_lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PoolRuns(
                    f"a pool serves {self.home} already; nothing was started. One pool serves one instance."
                ) from error
            for ending in (signal.SIGTERM, signal.SIGINT):
                signal.signal(ending, self._be_ended)
            self._clear_away()
            self._sockets = Path(tempfile.mkdtemp(prefix="warm-"))
            try:
                self._keep_ready()
                self._end()
            finally:
                shutil.rmtree(self._sockets, ignore_errors=True)

    def _be_ended(self, _number: int, _frame: FrameType | None) -> None:
        self.is_ending = True

    def _clear_away(self) -> None:
        """What an earlier pool left when it was killed: its workers end by themselves, their runs may be orphans."""
        for worker in self.place.idle.iterdir():
            worker.unlink(missing_ok=True)
        for claim in self.claims.ownerless():
            self._report(claim, "had died when a new pool began")

    def _keep_ready(self) -> None:
        while not self.is_ending:
            self._reap()
            self._start_if_wanted()
            channels = {child.channel: child for child in self.children if child.life is not Life.BUSY}
            heard, _, _ = select.select(list(channels), [], [], LOOKS_EVERY_SECONDS)
            for channel in heard:
                channels[channel].hear()
            if any(channels[channel].life is Life.BUSY for channel in heard) and self._is_one_idle():
                self.start_at = max(self.start_at, time.monotonic() + LET_RUN_SECONDS)

    def _is_one_idle(self) -> bool:
        return any(child.life is Life.IDLE for child in self.children)

    def _start_if_wanted(self) -> None:
        """One at a time: a start takes a core for seconds."""
        waiting = [child.life for child in self.children if child.life is not Life.BUSY]
        if len(waiting) >= self.size or Life.STARTING in waiting or time.monotonic() < self.start_at:
            return
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        words = [str(theirs.fileno()), str(self.home), str(self._sockets), self.module]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster_project.warm_launch.worker", *words],
            env=environment | {"DAGSTER_HOME": str(self.home)},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self.children.append(Child(process, ours))

    def _reap(self) -> None:
        for child in [child for child in self.children if child.process.poll() is not None]:
            child.hear()
            child.channel.close()
            self.children.remove(child)
            self.place.withdraw(child.process.pid)
            self._count(child)
            if child.process.returncode:
                self._report_runs_of(child)

    def _count(self, child: Child) -> None:
        """A start that came to nothing is tried again ever more seldom; a worker that was ready ends the count."""
        if child.life is not Life.STARTING or self.is_ending:
            self.failures = 0
            return
        self.failures += 1
        pause = min(LONGEST_PAUSE_SECONDS, 2.0 ** (self.failures - 1))
        self.start_at = time.monotonic() + pause
        log.warning(
            "worker %d ended before it was ready (status %s); runs start cold. The next one is started in %.0f s.",
            child.process.pid, child.process.returncode, pause,
        )  # fmt: skip

    def _report_runs_of(self, child: Child) -> None:
        cause = told_of_end(child.process.returncode)
        for claim in self.claims.ownerless():
            if claim.pid == child.process.pid:
                self._report(claim, cause)

    def _report(self, claim: RunClaim, cause: str) -> None:
        log.warning("worker %d of run %s %s", claim.pid, claim.run_id, cause)
        done = subprocess.run(
            [sys.executable, "-m", "dagster_project.warm_launch.obituary", claim.run_id, str(claim.pid), cause],
            env={**os.environ, "DAGSTER_HOME": str(self.home)},
            check=False,
        )
        if done.returncode:
            log.error("run %s could not be marked as failed; Dagster's run monitoring does it later", claim.run_id)

    def _end(self) -> None:
        """Idle workers go at once; runs under way may finish, are interrupted, and at last killed."""
        for child in self.children:
            if child.life is not Life.BUSY:
                child.channel.close()
            if child.life is Life.STARTING:
                child.process.terminate()
        for number, within in ((None, FINISH_WITHIN_SECONDS), (signal.SIGINT, END_WITHIN_SECONDS), (signal.SIGKILL, 5)):
            for child in self.children:
                if number is not None and child.process.poll() is None:
                    child.process.send_signal(number)
            self._wait(within)
        self._reap()

    def _wait(self, within_seconds: float) -> None:
        give_up_at = time.monotonic() + within_seconds
        for child in self.children:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, give_up_at - time.monotonic()))


def told_of_end(returncode: int) -> str:
    """In words, how a process ended that should have ended with 0."""
    if returncode < 0:
        return f"was ended by {signal.Signals(-returncode).name}"
    return f"ended with status {returncode}"
