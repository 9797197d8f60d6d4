"""`loopctl` whose ledger's clock is ahead by CRASH_CLOCK_AHEAD seconds, so that a test need not wait out leases."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from dagster_project.ledger import database

AHEAD = timedelta(seconds=float(os.environ.get("CRASH_CLOCK_AHEAD", "0")))


def _clock() -> datetime:
    return database.utc_now() + AHEAD


if __name__ == "__main__":
    database.open_database.__defaults__ = (_clock,)
    from dagster_project.cli.main import main

    main()
