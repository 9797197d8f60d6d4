"""The sandbox as a process: ports, the ready file, durability against kill -9, and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from dagster_project.sandbox.server import SandboxNotStarted, SandboxServer


def post(server: SandboxServer, number: int) -> int:
    headers = {"webhook-id": f"e{number}"}
    return requests.post(f"{server.address.http_url}/hooks/x", json={}, headers=headers, timeout=10).status_code


def test_what_was_replied_to_survives_kill_9(tmp_path: Path) -> None:
    with SandboxServer(tmp_path) as server:
        assert [post(server, number) for number in range(20)] == [200] * 20
        os.kill(server.pid, signal.SIGKILL)
    with SandboxServer(tmp_path) as server:
        assert [effect.idempotency_key for effect in server.effects("hooks")] == [f"e{n}" for n in range(20)]
        assert post(server, 20) == 200
        assert len(server.effects()) == 21


def test_a_restart_keeps_ids_growing_and_seeds_nothing_twice(tmp_path: Path) -> None:
    for _ in range(2):
        with SandboxServer(tmp_path) as server:
            assert "# retention" in requests.get(f"{server.address.http_url}/chat", timeout=10).text
            parties = requests.get(f"{server.address.http_url}/erp/parties", timeout=10).text
            assert parties.count("/erp/parties/1") == 1
            assert "/erp/parties/2" not in parties


def test_a_taken_port_is_told_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SandboxNotStarted, match=rf"Ports asked for: {port} \(HTTP\).*choose other ports"):
            SandboxServer(port=port).start()


def test_an_unknown_setting_is_refused_at_the_start() -> None:
    with pytest.raises(SandboxNotStarted, match="speed"):
        SandboxServer(speed=3).start()


def test_it_is_unusable_outside_of_its_block() -> None:
    server = SandboxServer()
    with pytest.raises(SandboxNotStarted, match="not running"):
        _ = server.address
    with server:
        control = server.control
        assert control.is_healthy()
    assert not control.is_healthy()
    server.stop()


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = "import sys, time\nfrom dagster_project.sandbox.server import SandboxServer\n"
    code += "s = SandboxServer(); s.start(); print(s.address.http_url, flush=True); time.sleep(600)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None  # the child ends with it, whatever fails below
        url = parent.stdout.readline().strip()
        with requests.get(url, stream=True, timeout=10) as answer:
            assert answer.status_code == 200
            host, port = url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), timeout=20) as watcher:
                parent.kill()
                assert watcher.recv(1) == b""  # the sandbox closed the connection when it ended


def test_the_command_line_announces_itself_and_ends_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dagster_project.sandbox", "--port", "0", "--smtp-port", "0"]
    command += ["--data", str(tmp_path / "new"), "--ready-file", str(tmp_path / "ready.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            facts = json.loads(process.stdout.readline())
            assert facts["pid"] == process.pid
            assert json.loads((tmp_path / "ready.json").read_text()) == facts
            health = requests.get(f"{facts['http_url']}/_sandbox/health", timeout=10).json()
            assert health == {"status": "ok", "http_url": facts["http_url"]}
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()
