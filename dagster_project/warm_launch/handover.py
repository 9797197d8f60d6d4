"""The words between the launcher and an idle worker: one offer, one answer, each a line of JSON on a Unix socket.

The words only hasten; they decide nothing. Whether a worker has a run is told by the claim (run_claims.py), so a lost
or late answer can make neither two processes execute a run nor none be responsible for it.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

LONGEST_LINE = 4_000_000
Word = Literal["claimed", "not_mine", "stale"]


class HandoverFailed(Exception):
    """No answer came, for the reason told; the worker may or may not have taken the run."""


@dataclass(frozen=True)
class Offer:
    """A run, as `dagster api execute_run` takes it."""

    run_id: str
    arguments: str  # ExecuteRunArgs, serialized
    executable: str  # the interpreter that the code location runs in


@dataclass(frozen=True)
class Answer:
    word: Word
    pid: int
    why: str = ""


def make_offer(address: str, offer: Offer, within_seconds: float, sent: Callable[[], None]) -> Answer:
    """Offers a run to one idle worker and waits for its answer. Raises HandoverFailed.

    Parameters: the worker's socket; the offer; how long the worker may take; what to call when the offer is out.
    """
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(within_seconds)
        try:
            wire.connect(address)
            wire.sendall(json.dumps(asdict(offer)).encode() + b"\n")
            sent()
            said = read_line(wire)
        except TimeoutError as error:
            raise HandoverFailed(f"did not answer within {within_seconds:g} s") from error
        except OSError as error:
            raise HandoverFailed(error.strerror or str(error)) from error
    if not said:
        raise HandoverFailed("ended without an answer")
    return Answer(**json.loads(said))


def read_line(wire: socket.socket) -> bytes:
    """Up to the first line's end; nothing where the other side ends before it. Raises OSError."""
    received = bytearray()
    while not received.endswith(b"\n"):
        if len(received) > LONGEST_LINE or not (more := wire.recv(65536)):
            return b""
        received += more
    return bytes(received)


def read_offer(wire: socket.socket) -> Offer | None:
    """None where the launcher left before it said anything. Raises OSError, ValueError, TypeError."""
    said = read_line(wire)
    return Offer(**json.loads(said)) if said else None


def give_answer(wire: socket.socket, answer: Answer) -> None:
    """A launcher that has gone needs no answer: the claim stands."""
    try:
        wire.sendall(json.dumps(asdict(answer)).encode() + b"\n")
    except OSError:
        return
