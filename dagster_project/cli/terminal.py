"""One console for all commands: as wide as the terminal, or wide enough for a log."""

from __future__ import annotations

import sys

from rich.console import Console

LOG_WIDTH = 160


def console() -> Console:
    return Console(width=None if sys.stdout.isatty() else LOG_WIDTH, highlight=False)
