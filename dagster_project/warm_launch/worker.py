"""One idle process with the light location loaded, which executes one run and ends.

    python -m dagster_project.warm_launch.worker CHANNEL DAGSTER_HOME SOCKET_FOLDER MODULE

It is started anew by exec, never forked, so it shares no thread, connection or lock with anybody. CHANNEL is the file
descriptor of its pool: it says "ready" and "busy" there, and ends when the pool is gone while it is idle.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dagster_project.crash_points import reach
from dagster_project.warm_launch.code_state import CodeState, changed_since, state_of_code
from dagster_project.warm_launch.handover import Answer, Offer, give_answer, read_offer
from dagster_project.warm_launch.meeting_place import IdleWorker, MeetingPlace
from dagster_project.warm_launch.own_log import log_of, write_own_lines
from dagster_project.warm_launch.run_claims import RunClaims

LOOKS_EVERY_SECONDS = 2.0  # at its own code, while it is idle
OFFER_WITHIN_SECONDS = 1.0  # a launcher that connects and says nothing blocks the door no longer
# What a run imports at its first use of it.
AT_FIRST_USE = (
    "aiohttp", "jinja2.sandbox", "slack_sdk.web.async_client", "smtplib", "standardwebhooks.webhooks",
    "dagster._cli.api", "dagster._core.executor.in_process",
)  # fmt: skip
DRIVERS = {"duckdb": ("duckdb",), "postgres": ("psycopg2",), "snowflake": ("snowflake.connector",)}

log = log_of("worker")


class CodeChanged(Exception):
    """The code changed while it was being loaded; the process holds a mixture and must not be used."""


@dataclass(frozen=True)
class Worker:
    channel: socket.socket
    place: MeetingPlace
    door: socket.socket
    module: str
    code: CodeState

    def wait_for_a_run(self) -> Offer | None:
        """The first run that this process has claimed; None where it is not needed or not fit any more."""
        while True:
            readable, _, _ = select.select([self.door, self.channel], [], [], LOOKS_EVERY_SECONDS)
            if self.channel in readable:
                return None  # the pool has ended, or has let this worker go
            if self.door in readable:
                offer, is_over = self._answer()
                if offer is not None or is_over:
                    return offer
            elif changed := self.code.change():
                log.info("worker %d ends idle: %s has changed", os.getpid(), changed)
                return None

    def _answer(self) -> tuple[Offer | None, bool]:
        """(what was claimed, whether this worker's time is over)."""
        wire, _ = self.door.accept()
        with wire:
            wire.settimeout(OFFER_WITHIN_SECONDS)
            try:
                offer = read_offer(wire)
            except (OSError, ValueError, TypeError) as error:
                log.warning("worker %d heard no offer: %s", os.getpid(), error)
                return None, False
            if offer is None:
                return None, False
            reach("offer_received")
            if changed := self.code.change():
                give_answer(wire, Answer("stale", os.getpid(), f"{changed} has changed since it was loaded"))
                return None, True
            if Path(offer.executable).absolute() != Path(sys.executable).absolute():
                give_answer(wire, Answer("not_mine", os.getpid(), f"it runs {sys.executable}, not {offer.executable}"))
                return None, False
            return self._claim(offer, wire), False

    def _claim(self, offer: Offer, wire: socket.socket) -> Offer | None:
        """The claim before the answer: an answer that is lost must not leave the run to two."""
        if RunClaims(self.place.claims).take(offer.run_id, "warm") is None:  # else locked until this process ends
            give_answer(wire, Answer("not_mine", os.getpid(), "somebody has claimed the run"))
            return None
        reach("run_claimed_warm")
        self.place.withdraw(os.getpid())
        give_answer(wire, Answer("claimed", os.getpid()))
        reach("run_accepted")
        return offer


def warm_up(module: str) -> CodeState:
    """Loads all that a run needs and lets go of every connection. Raises CodeChanged and what loading raises."""
    began_ns = time.time_ns()
    location = importlib.import_module(module)
    from dagster_project.settings import PROJECT_ROOT, settings

    for name in (*AT_FIRST_USE, *DRIVERS[settings().warehouse]):
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            importlib.import_module(name)
    _make_definitions(location)
    _open_what_a_run_opens()
    folders = (Path(__file__).resolve().parents[1], settings().playbooks_dir)
    code = state_of_code(folders, (settings().catalog_file, PROJECT_ROOT / ".env"))
    if changed := changed_since(code, began_ns):
        raise CodeChanged(f"{changed} changed while it was being loaded")
    return code


def _make_definitions(location: object) -> None:
    """Every job once, and one run of nothing, so that what Dagster builds and imports late is there."""
    from dagster import DagsterInstance, Definitions, in_process_executor, job, op

    definitions = getattr(location, "defs", None)
    if isinstance(definitions, Definitions):
        definitions.get_repository_def().get_all_jobs()

    @op
    def nothing() -> None:
        pass

    @job(executor_def=in_process_executor)
    def rehearsal() -> None:
        nothing()

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with DagsterInstance.ephemeral() as instance:
        rehearsal.execute_in_process(instance=instance, run_config=quiet)


def _open_what_a_run_opens() -> None:
    """Dagster's storage, the ledger and the bindings: once, for their imports; an idle worker keeps no connection."""
    from dagster import DagsterInstance

    from dagster_project.runtime import surroundings

    with DagsterInstance.get() as instance:
        instance.get_run_by_id("00000000-0000-0000-0000-000000000000")
    around = surroundings()
    with around.database.reading():
        pass
    around.database.close()  # opens anew at its first use


def execute(offer: Offer) -> None:
    """As `dagster api execute_run` in a process of its own, which is what Dagster's other launchers start."""
    from dagster._cli.api import execute_run_command

    execute_run_command.main(args=[offer.arguments], prog_name="dagster api execute_run", standalone_mode=False)


def open_door(folder: Path) -> socket.socket:
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(folder / str(os.getpid())))
    door.listen(4)
    return door


def main(arguments: list[str]) -> int:
    channel_descriptor, home, sockets, module = arguments
    write_own_lines()
    channel = socket.socket(fileno=int(channel_descriptor))
    code = warm_up(module)
    place = MeetingPlace.of_home(home)
    address = Path(sockets) / str(os.getpid())
    with open_door(Path(sockets)) as door:
        try:
            place.announce(IdleWorker(os.getpid(), str(address), module))
            channel.sendall(b"ready\n")
            offer = Worker(channel, place, door, module, code).wait_for_a_run()
        finally:
            place.withdraw(os.getpid())
            address.unlink(missing_ok=True)
    if offer is not None:
        with suppress(OSError):  # the pool may have died since; the run is this process's all the same
            channel.sendall(b"busy\n")
        execute(offer)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches the whole group; Dagster takes it over for the run
    sys.exit(main(sys.argv[1:]))
