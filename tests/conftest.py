"""What tests of every folder share: fixtures, how they are spread over workers, and signals as a terminal has them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

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
SPLIT_BY_DATABASE = frozenset(
    {"test_capture_scenarios.py", "test_capture_against_reference.py", "test_crash_points.py"}
)
# Long ones begin first: the short ones then fill the workers evenly to the end.
LONGEST_FIRST = ("e2e/loop", "e2e/capture", "e2e/mistakes", "crash", "e2e", "contract")


class ByWhatTheyShare(LoadScopeScheduling):
    """Keeps in one worker what shares what it plays through: the tests of a file, or of one database of it.

    pytest-xdist's own groups are lost with this version of pytest, which does not take the names that they give tests.
    """

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        folder, _, name = path.rpartition("/")
        is_postgres = name in SPLIT_BY_DATABASE and "postgres" in test.partition("[")[2]
        return f"{folder}/{TOGETHER.get(name, name)}{':postgres' if is_postgres else ''}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByWhatTheyShare:
    return ByWhatTheyShare(config, log)


def _turn(item: pytest.Item) -> int:
    folder = item.path.relative_to(TESTS).as_posix()
    found = (place for place, name in enumerate(LONGEST_FIRST) if folder.startswith(f"{name}/"))
    return next(found, len(LONGEST_FIRST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)
