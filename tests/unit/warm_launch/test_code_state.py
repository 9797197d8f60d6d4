"""A process knows whether what it has loaded is still what stands on disk."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dagster_project.warm_launch.code_state import changed_since, state_of_code


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def touch_back(file: Path) -> None:
    """Other words of the same length and with the old time, as a copying tool leaves them."""
    was = file.stat()
    write(file, "two")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited": lambda folder: write(folder / "inner" / "code.py", "more than before"),
    "edited, with the old time": lambda folder: touch_back(folder / "inner" / "code.py"),
    "replaced": lambda folder: (folder / "other").rename(folder / "inner" / "code.py"),
    "removed": lambda folder: (folder / "inner" / "code.py").unlink(),
    "new": lambda folder: write(folder / "inner" / "new.yaml", "x"),
    "named and not there before": lambda folder: write(folder.parent / "settings", "x"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_seen(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "code"
    write(folder / "inner" / "code.py", "one")
    write(folder / "other", "one")
    state = state_of_code([folder], [tmp_path / "settings"])
    assert state.change() is None
    time.sleep(0.02)  # a file system counts in steps of some milliseconds
    CHANGES[change](folder)
    assert state.change() is not None


def test_bytecode_that_loading_writes_is_no_change(tmp_path: Path) -> None:
    write(tmp_path / "code.py", "one")
    state = state_of_code([tmp_path], [])
    write(tmp_path / "__pycache__" / "code.pyc", "x")
    assert state.change() is None


def test_every_loaded_module_is_watched_wherever_it_lies() -> None:
    state = state_of_code([], [])
    assert {sys.modules[name].__file__ for name in ("yaml", "json", __name__)} <= set(state.files)


def test_what_changed_while_it_was_loaded_is_told(tmp_path: Path) -> None:
    write(tmp_path / "code.py", "one")
    began_ns = time.time_ns()
    state = state_of_code([tmp_path], [])
    assert changed_since(state, began_ns + 10**9) is None
    assert changed_since(state, began_ns - 10**9) == str(tmp_path / "code.py")
