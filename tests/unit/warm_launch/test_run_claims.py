"""One claim a run, whoever asks at the same moment, and a lock that tells who lives."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagster_project.warm_launch.run_claims import CUT_OFF, NoRunId, RunClaims

CLAIMERS, RUNS = 6, 150
PROGRAM = """
import sys, pathlib
from dagster_project.warm_launch.run_claims import RunClaims
claims = RunClaims(pathlib.Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(*[run for run in range(int(sys.argv[3])) if claims.take(f"run-{run}", sys.argv[2]) is not None], flush=True)
sys.stdin.readline()
"""


def process(folder: Path, start: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", PROGRAM, str(folder), start, str(RUNS)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def claimers(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    started = [process(tmp_path, "cold" if number % 2 else "warm") for number in range(CLAIMERS)]
    yield started
    for one in started:
        one.kill()
        one.communicate()


def say(one: subprocess.Popen[str], word: str) -> None:
    assert one.stdin is not None
    one.stdin.write(f"{word}\n")
    one.stdin.flush()


def hear(one: subprocess.Popen[str]) -> str:
    assert one.stdout is not None
    return one.stdout.readline()


def test_of_many_processes_at_once_exactly_one_claims_each_run(
    tmp_path: Path, claimers: list[subprocess.Popen[str]]
) -> None:
    for one in claimers:
        assert hear(one) == "ready\n"
    for one in claimers:
        say(one, "go")
    won = {one.pid: [int(run) for run in hear(one).split()] for one in claimers}
    assert sorted(run for runs in won.values() for run in runs) == list(range(RUNS))
    claims = RunClaims(tmp_path)
    for pid, runs in won.items():
        for run in runs:
            claim = claims.read(f"run-{run}")
            assert claim is not None and claim.pid == pid
            assert claims.is_held(f"run-{run}")
    assert list(tmp_path.glob(".*")) == []


def test_a_claim_outlives_its_process_and_its_lock_does_not(
    tmp_path: Path, claimers: list[subprocess.Popen[str]]
) -> None:
    (first, *others) = claimers
    for one in others:
        one.kill()
    hear(first)
    say(first, "go")
    hear(first)
    claims = RunClaims(tmp_path)
    assert claims.is_held("run-0")
    first.kill()
    first.wait()
    assert not claims.is_held("run-0")
    assert claims.take("run-0", "cold") is None
    assert {claim.run_id for claim in claims.ownerless()} == {f"run-{run}" for run in range(RUNS)}


def test_whoever_has_claimed_cannot_claim_again(tmp_path: Path) -> None:
    claims = RunClaims(tmp_path)
    held = claims.take("run", "cold")
    assert held is not None and claims.take("run", "warm") is None
    held.let_go()
    assert claims.take("run", "cold") is None
    assert list(claims.ownerless()) == []  # its code server watches it


def test_only_old_claims_on_runs_that_have_ended_are_forgotten(tmp_path: Path) -> None:
    claims = RunClaims(tmp_path)
    for run in ("ended", "under-way", "young"):
        held = claims.take(run, "warm")
        assert held is not None
        held.let_go()
    for run in ("ended", "under-way"):
        os.utime(tmp_path / run, (time.time() - 100, time.time() - 100))
    leftover = tmp_path / ".claiming-1-2"
    leftover.touch()
    os.utime(leftover, (0, 0))
    assert claims.forget(lambda runs: [run for run in [*runs, "young"] if run != "under-way"], 50) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["under-way", "young"]


@pytest.mark.parametrize("left", ["", '{"start": "wa', "null", "{}", "\x00\x00"])
def test_a_claim_that_a_power_cut_left_unreadable_is_nobodys_and_is_never_given_again(
    tmp_path: Path, left: str
) -> None:
    (tmp_path / "cut-off").write_text(left)
    claims = RunClaims(tmp_path)
    held = claims.take("whole", "warm")
    assert held is not None
    held.let_go()
    assert {(claim.run_id, claim.pid) for claim in claims.ownerless()} == {("cut-off", CUT_OFF), ("whole", os.getpid())}
    assert claims.take("cut-off", "cold") is None


def test_a_claims_words_are_on_the_disk_before_its_name_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, link = os.fsync, os.link
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("fsync"), sync(file))[1])
    monkeypatch.setattr(os, "link", lambda old, new: (done.append("link"), link(old, new))[1])
    assert RunClaims(tmp_path).take("run", "warm") is not None
    assert done == ["fsync", "link"]


@pytest.mark.parametrize("name", ["", "../escape", "a/b", ".claiming-1", "x" * 200])
def test_what_is_no_run_id_names_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoRunId):
        RunClaims(tmp_path).take(name, "warm")


def test_a_run_that_nobody_claimed_has_no_owner(tmp_path: Path) -> None:
    claims = RunClaims(tmp_path / "missing")
    assert claims.read("run") is None and not claims.is_held("run") and list(claims.ownerless()) == []
