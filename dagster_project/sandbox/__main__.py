"""Starts the sandbox: `python -m dagster_project.sandbox --data DIR`, then one JSON line tells where it listens."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from dagster_project.sandbox.application import Application
from dagster_project.sandbox.listener import LOOPBACK, bind, http_server, port_of
from dagster_project.sandbox.settings import SandboxSettings
from dagster_project.sandbox.smtp import smtp_protocol
from dagster_project.sandbox.store import Store
from dagster_project.sandbox.vendors import Vendors
from dagster_project.sandbox.world import World

DEFAULT_PORT = 8650
DEFAULT_SMTP_PORT = 8651
FILE_NAME = "sandbox.sqlite3"


def _arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dagster_project.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="HTTP port; 0 takes a free one")
    parser.add_argument("--smtp-port", type=int, default=DEFAULT_SMTP_PORT, help="SMTP port; 0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help=f"directory of {FILE_NAME}; made where it is missing")
    parser.add_argument("--ready-file", type=Path, help="also write the JSON line to this file")
    parser.add_argument("--settings", type=json.loads, default={}, help="settings that differ, as a JSON object")
    parser.add_argument("--end-with-stdin", action="store_true", help="end when standard input is closed")
    return parser.parse_args(given)


def _announce(facts: dict[str, object], ready_file: Path | None) -> None:
    line = json.dumps(facts)
    if ready_file is not None:
        # renamed into place, so that a reader never sees half of it
        part = ready_file.with_name(f"{ready_file.name}.part")
        part.write_text(line + "\n", encoding="utf-8")
        part.replace(ready_file)
    print(line, flush=True)


async def _stdin_closed() -> None:
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass


async def serve(arguments: argparse.Namespace) -> None:
    """Serves until SIGINT, SIGTERM or, where asked for, the end of standard input. Raises OSError for a taken port."""
    http_socket, smtp_socket = bind(arguments.port), bind(arguments.smtp_port)
    http_url = f"http://{LOOPBACK}:{port_of(http_socket)}"
    store = Store(arguments.data / FILE_NAME)
    try:
        world = World(store, http_url, SandboxSettings.model_validate(arguments.settings))
        server = http_server(Application(Vendors(world)))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, setattr, server, "should_exit", True)
        smtp_server = await loop.create_server(lambda: smtp_protocol(world), sock=smtp_socket)
        serving = loop.create_task(server.serve([http_socket]))
        facts: dict[str, object] = {
            "http_url": http_url,
            "smtp_host": LOOPBACK,
            "smtp_port": port_of(smtp_socket),
            "pid": os.getpid(),
        }
        await server.listening.wait()
        _announce(facts, arguments.ready_file)
        if arguments.end_with_stdin:
            ending = loop.create_task(_stdin_closed())
            ending.add_done_callback(lambda _: setattr(server, "should_exit", True))
        await serving
        smtp_server.close()
    finally:
        store.close()


def main(given: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    arguments = _arguments(given)
    try:
        import uvloop

        uvloop.run(serve(arguments))
    except OSError as error:
        print(
            f"The sandbox could not start: {error}. Ports asked for: {arguments.port} (HTTP) and {arguments.smtp_port}"
            " (SMTP). Another sandbox may be running; end it, or choose other ports with --port and --smtp-port.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
