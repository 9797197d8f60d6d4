"""A real dbt build that ends itself at one point, which dbt's own events tell of; without a point it goes on.

CRASH_BUILD_AT=build_committed CRASH_BUILD_BY=SIGKILL python dying_build.py MODEL DBT_ARGUMENTS...
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from dbt.cli.main import dbtRunner

# The event that dbt fires at the point, and whether it is one of the model's.
BUILD_POINTS = {
    "build_open": ("SQLCommit", True),  # table, events, state and build are written; the commit is not yet sent
    "build_committed": ("LogModelResult", True),  # tests, and the release after them, are still to come
    "build_released": ("CommandCompleted", False),
}


def main(model: str, arguments: list[str]) -> None:
    point = os.environ.get("CRASH_BUILD_AT")
    if point is None:
        sys.exit(0 if dbtRunner().invoke(arguments).success else 1)
    wanted, is_of_model = BUILD_POINTS[point]
    by = signal.Signals[os.environ["CRASH_BUILD_BY"]]

    seen: list[str] = []

    def told(event: Any) -> None:
        if event.info.name != wanted:
            return
        node = event.data.node_info.node_name if is_of_model else model
        seen.append(node)
        if node == model:
            os.kill(os.getpid(), by)

    result = dbtRunner(callbacks=[told]).invoke(arguments)
    sys.exit(f"dbt ended by itself (success {result.success}, {result.exception}); {wanted} was told of {seen}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
