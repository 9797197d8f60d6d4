"""Runs `dagster dev` as a person would and talks to it through its GraphQL API."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from loop_driver import Loop

REPOSITORY = Path(__file__).resolve().parents[3]
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class DagsterDev:
    url: str

    def ask(self, query: str, **variables: Any) -> Any:
        reply = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=30)
        reply.raise_for_status()
        said = reply.json()
        assert "errors" not in said, said["errors"]
        return said["data"]

    def sensors(self) -> dict[str, str]:
        """Status of each sensor of the light location; empty until it is loaded."""
        selector = {"repositoryLocationName": "activate", "repositoryName": "__repository__"}
        data = self.ask(
            "query($s: RepositorySelector!) { sensorsOrError(repositorySelector: $s) "
            "{ ... on Sensors { results { name sensorState { status } } } } }",
            s=selector,
        )
        found = data["sensorsOrError"].get("results", [])
        return {sensor["name"]: sensor["sensorState"]["status"] for sensor in found}

    def launch(self, location: str, job: str) -> str:
        data = self.ask(
            "mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename "
            "... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }",
            p={
                "selector": {
                    "repositoryLocationName": location,
                    "repositoryName": "__repository__",
                    "jobName": job,
                },
                "runConfigData": {},
            },
        )
        assert data["launchRun"]["__typename"] == "LaunchRunSuccess", data
        return str(data["launchRun"]["run"]["runId"])

    def run_status(self, run_id: str) -> str:
        data = self.ask("query($r: ID!) { runOrError(runId: $r) { ... on Run { status } } }", r=run_id)
        return str(data["runOrError"]["status"])

    def runs_of(self, job: str) -> list[str]:
        data = self.ask(
            "query($f: RunsFilter!) { runsOrError(filter: $f) { ... on Runs { results { status } } } }",
            f={"pipelineName": job},
        )
        return [run["status"] for run in data["runsOrError"]["results"]]

    def metadata_of(self, *asset: str) -> dict[str, float]:
        """The numbers of the newest materialization of an asset."""
        data = self.ask(
            "query($k: AssetKeyInput!) { assetOrError(assetKey: $k) { ... on Asset { "
            "assetMaterializations(limit: 1) { metadataEntries { label "
            "... on IntMetadataEntry { intValue } ... on FloatMetadataEntry { floatValue } } } } } }",
            k={"path": list(asset)},
        )
        found = data["assetOrError"]["assetMaterializations"]
        entries = found[0]["metadataEntries"] if found else []
        return {e["label"]: e.get("intValue", e.get("floatValue")) for e in entries}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: str, holds: Callable[[], bool], within_seconds: float) -> None:
    """Waits for a condition of another process; the deadline bounds a failure, it is no measure of speed."""
    give_up_at = time.monotonic() + within_seconds
    while not holds():
        assert time.monotonic() < give_up_at, f"not within {within_seconds} s: {what}"
        time.sleep(POLL_SECONDS)


@contextmanager
def running_dagster(loop: Loop, instance_yaml: str | None = None) -> Iterator[DagsterDev]:
    """Parameters: the loop; the instance's settings, the shipped ones by default."""
    port = free_port()
    home = loop.state_dir / "dagster"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(instance_yaml or (REPOSITORY / "dagster.yaml").read_text())
    log = (loop.state_dir / "dagster_dev.txt").open("wb")
    process = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "dagster"),
            "dev",
            "-w",
            "workspace.yaml",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
        ],
        env={**loop.environment, "DAGSTER_HOME": str(home)},
        cwd=REPOSITORY,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    dev = DagsterDev(f"http://127.0.0.1:{port}")

    def is_loaded() -> bool:
        assert process.poll() is None, (loop.state_dir / "dagster_dev.txt").read_text()[-3000:]
        try:
            return bool(dev.sensors())
        except requests.ConnectionError:
            return False

    try:
        until("dagster dev has loaded the light location", is_loaded, 180)
        yield dev
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


@contextmanager
def running_pool(loop: Loop, **more_environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A warm pool for the loop's instance, with its first worker ready."""
    home = loop.state_dir / "dagster"
    with (loop.state_dir / "warm_pool.txt").open("ab") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "loopctl"), "warm-pool", "--home", str(home)],
            env={**loop.environment, "LOOP_PROFILE": "fast", **more_environment},
            cwd=REPOSITORY,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            until("a warm worker is ready", lambda: any((home / "warm" / "idle").glob("[0-9]*")), 120)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
