"""The shipped dbt project on one warehouse, and a look at what it built."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_project.contracts.warehouse import DuckDBTarget, WarehouseTarget
from dagster_project.land.connection import transaction

REPOSITORY = Path(__file__).parents[3]
PROJECT = REPOSITORY / "dbt_signals"

Row = dict[str, Any]


@dataclass(frozen=True)
class Warehouse:
    """One warehouse and the dbt project that builds in it."""

    target: WarehouseTarget
    workspace: Path

    def build(self, *arguments: str) -> None:
        """Run `dbt build`; what it says is in the failure if it fails."""
        command = [str(Path(sys.executable).parent / "dbt"), "--no-use-colors", "build", *arguments]
        command += ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
        command += ["--target-path", str(self.workspace / "target"), "--log-path", str(self.workspace / "logs")]
        done = subprocess.run(command, env={**os.environ, **self._environment()}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]

    def rows(self, relation: str, where: str = "true") -> list[Row]:
        """Rows of a relation by column name, in an order that all warehouses share."""
        schema, _, name = relation.rpartition(".")
        with transaction(self.target) as connection:
            columns = connection.rows(
                "select column_name from information_schema.columns "
                f"where table_schema = '{schema or self.target.schema}' and table_name = '{name}' order by column_name"
            )
            names = [column for (column,) in columns]
            found = connection.rows(
                f"select {', '.join(names)} from {schema or self.target.schema}.{name} where {where}"
            )
        return sorted((dict(zip(names, row, strict=True)) for row in found), key=repr)

    def ids(self, signal: str) -> set[str]:
        """The entities that a signal flags now."""
        return {row["entity_id"] for row in self.rows(signal)}

    def _environment(self) -> dict[str, str]:
        target = self.target
        if isinstance(target, DuckDBTarget):
            where = {"LOOP_WAREHOUSE": "duckdb", "LOOP_DUCKDB_PATH": str(target.path)}
        else:
            where = {
                "LOOP_WAREHOUSE": "postgres",
                "LOOP_POSTGRES_HOST": target.host,
                "LOOP_POSTGRES_PORT": str(target.port),
                "LOOP_POSTGRES_USER": target.user,
                "LOOP_POSTGRES_PASSWORD": target.password.get_secret_value(),
                "LOOP_POSTGRES_DATABASE": target.database,
            }
        return {**where, "LOOP_WAREHOUSE_SCHEMA": target.schema}


MakeWarehouse = Callable[[str], Warehouse]
