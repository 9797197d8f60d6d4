"""Writes what pool and workers say of themselves to standard error, and no other library's chatter."""

from __future__ import annotations

import logging

PACKAGE = "dagster_project.warm_launch"


def log_of(part: str) -> logging.Logger:
    """The log of one part; a module that is run as a program has no name of its own."""
    return logging.getLogger(f"{PACKAGE}.{part}")


def write_own_lines() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    own = logging.getLogger(PACKAGE)
    own.addHandler(handler)
    own.setLevel(logging.INFO)
    own.propagate = False
