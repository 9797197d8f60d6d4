"""Fixtures that tests of every folder share, and signals as a terminal would have them."""

from __future__ import annotations

import signal

import pytest

pytest_plugins = ["postgres_server"]


def pytest_configure(config: pytest.Config) -> None:
    """A suite that a shell started in the background ignores SIGINT; here it is interruptible as in the foreground.

    Dagster gives SIGTERM the handler of SIGINT, also where a test runs a job in its own process. Both would then be
    ignored, every child process would inherit that, and a build that is to die of SIGTERM would end well.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
