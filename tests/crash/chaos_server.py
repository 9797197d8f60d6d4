"""Dagster's command line whose ledger's clock is ahead by the seconds that the file CRASH_CLOCK_FILE says.

A run is a child process that reads this module again before it begins, so its clock is ahead by as much.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

from dagster_project.ledger import database

CLOCK_FILE = Path(os.environ["CRASH_CLOCK_FILE"])


def _clock() -> datetime:
    return database.utc_now() + timedelta(seconds=float(CLOCK_FILE.read_text()))


database.open_database.__defaults__ = (_clock,)

if __name__ == "__main__":
    from dagster._cli import main

    sys.exit(main())
