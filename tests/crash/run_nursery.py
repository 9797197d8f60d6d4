"""Forks the processes of the crash tests from one that has imported everything, so that hundreds of them are cheap.

    python run_nursery.py SOCKET      serves until its standard input closes

A connection sends one line of JSON (mode, environment, output) and gets two: the process's id, then how it ended.
Each process is a child of a supervisor of its own, so that two of them share nothing but the code.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

from crash_run import run

# Imported by the connectors at their first use.
LATER = (
    "aiohttp",
    "slack_sdk.web.async_client",
    "standardwebhooks.webhooks",
    "duckdb",
    "psycopg2",
    "smtplib",
    "jinja2",
)


def serve(address: str) -> None:
    for name in LATER:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors are waited for by nobody
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(16)
    print("ready", flush=True)
    while True:
        waiting, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in waiting:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _supervise(connection)
        connection.close()


def _supervise(connection: socket.socket) -> None:
    """Starts one process, tells its id, and tells how it ended; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asked = json.loads(connection.makefile().readline())
    if (child := os.fork()) == 0:
        connection.close()
        os._exit(_be_child(asked))
    connection.sendall(f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _be_child(asked: dict[str, Any]) -> int:
    with Path(asked["output"]).open("ab", buffering=0) as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(asked["environment"])
    try:
        status = run(asked["mode"])
    except BaseException:  # noqa: BLE001 - a child must not come back as its parent, whatever happened
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


if __name__ == "__main__":
    serve(sys.argv[1])
