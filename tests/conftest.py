"""What tests of every folder share: fixtures, how they are spread over workers, and signals as a terminal has them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

pytest_plugins = ["postgres_server"]
TESTS = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """A suite that a shell started in the background ignores SIGINT; here it is interruptible as in the foreground.

    Dagster gives SIGTERM the handler of SIGINT, also where a test runs a job in its own process. Both would then be
    ignored, every child process would inherit that, and a build that is to die of SIGTERM would end well.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


# Files that share what one of them has played through, and files whose databases may be played through side by side.
TOGETHER = {"test_loop_third_day.py": "test_loop_two_days.py"}
SPLIT_BY = {
    "test_capture_scenarios.py": "lab",
    "test_capture_against_reference.py": "lab",
    "test_crash_points.py": "database",
}
# Long ones begin first: the short ones then fill the workers evenly to the end.
LONGEST_FIRST = ("e2e/loop", "e2e/capture", "e2e/mistakes", "crash", "e2e", "contract")


def _group(item: pytest.Item) -> str:
    """What stays in one worker: a file's tests share what they play through."""
    name = item.path.name
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return f"{item.path.parent / TOGETHER.get(name, name)}:{parameters.get(SPLIT_BY.get(name, ''), '')}"


def _turn(item: pytest.Item) -> int:
    folder = item.path.relative_to(TESTS).as_posix()
    found = (place for place, name in enumerate(LONGEST_FIRST) if folder.startswith(f"{name}/"))
    return next(found, len(LONGEST_FIRST))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
