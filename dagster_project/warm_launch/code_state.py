"""Tells whether the code and settings that a process has loaded are still the ones on disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

Seen = tuple[int, int, int]  # inode, size, and when the file or its name last changed, in nanoseconds


@dataclass(frozen=True)
class CodeState:
    """What the files were when they were loaded."""

    files: Mapping[str, Seen | None]
    folders: tuple[Path, ...]

    def change(self) -> str | None:
        """The first file that is not as it was, or is new in one of the folders; None where nothing changed."""
        for file, was in self.files.items():
            if seen(file) != was:
                return file
        return next((file for file in files_below(self.folders) if file not in self.files), None)


def state_of_code(folders: Iterable[Path], more_files: Iterable[Path]) -> CodeState:
    """The state of every loaded module's file, of all files below the folders, and of some files by name.

    The folders hold what may be loaded later; an old process must not load new parts. A file by name need not exist.
    """
    folders = tuple(folders)
    loaded = {file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    every = {*loaded, *files_below(folders), *(str(file) for file in more_files)}
    return CodeState({file: seen(file) for file in sorted(every)}, folders)


def changed_since(state: CodeState, moment_ns: int) -> str | None:
    """A file that changed after a moment (nanoseconds since the epoch): who was loading then may have either version.

    The time of change of the inode is taken, which no copying tool sets back.
    """
    return next((file for file, was in state.files.items() if was is not None and was[2] >= moment_ns), None)


def files_below(folders: Iterable[Path]) -> Iterator[str]:
    """All files but the bytecode, which loading itself writes."""
    for folder in folders:
        for where, inner, names in os.walk(folder):
            inner[:] = [name for name in inner if name != "__pycache__"]
            yield from (f"{where}/{name}" for name in names)


def seen(file: str) -> Seen | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_ctime_ns)
