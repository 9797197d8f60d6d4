"""One process of a race for the ledger's work: action run after action run, until the action is settled.

Settings come from the environment, as in production. Arguments: the catalog's file and the file that says by how many
seconds the ledger's clock is ahead of the real one. Says `ready`, begins at a line on stdin, prints what each run did.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from delivery_bench import SIGNAL, STEP
from sqlalchemy import select

from dagster_project.contracts.catalog import Catalog
from dagster_project.ledger.database import Database, open_database
from dagster_project.ledger.schema import actions
from dagster_project.respond.action_run import Surroundings, begin, do_step, finish, look_up_all
from dagster_project.respond.bindings import bind_roles, check_lease
from dagster_project.settings import Settings

LOOK_AGAIN_SECONDS = 0.02


def main() -> None:
    catalog_file, clock_file = map(Path, sys.argv[1:])
    settings = Settings(_env_file=None)
    bindings = {"erp": bind_roles(settings)["erp"]}
    check_lease(settings.lease_seconds, bindings)
    database = open_database(settings.ledger_address, lambda: _now(clock_file))
    catalog = Catalog.model_validate_json(catalog_file.read_text())
    around = Surroundings(settings, catalog, database, bindings)
    print("ready", flush=True)
    sys.stdin.readline()
    number = 0
    while not _is_settled(database):
        number += 1
        if not run_once(around, f"{os.environ['RACER']}-{number}"):
            time.sleep(LOOK_AGAIN_SECONDS)  # nothing due for this process: another one has it
    database.close()


def run_once(around: Surroundings, run_id: str) -> int:
    work = begin(around, SIGNAL, run_id)
    look_up_all(around, work, _ignore)
    report = do_step(around, work, STEP, _ignore)
    finish(around, work)
    if work.claim.count:
        print(json.dumps({"run": run_id, "states": report.states, "zombies": report.zombies}), flush=True)
    return work.claim.count


def _ignore(_line: str) -> None:
    pass


def _is_settled(database: Database) -> bool:
    with database.reading() as connection:
        states = connection.execute(select(actions.c.state)).scalars().all()
    return all(state not in ("waiting", "held") for state in states)


def _now(clock_file: Path) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float(clock_file.read_text()))


if __name__ == "__main__":
    main()
