"""The lab of the event capture on Snowflake's protocol: the same project, built by the dbt of another environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from e2e.capture.capture_lab import LAB, CaptureLab, Step
from snowflake_server import DATABASE, SnowflakeServer

HERE = Path(__file__).resolve().parent


class SnowflakeDatabase:
    """One database of the server."""

    kind = "snowflake"
    infinity = "inf"

    def __init__(self, server: SnowflakeServer) -> None:
        self.server = server
        self.environment: Mapping[str, str] = {**server.environment("lab"), "DBT_PROFILES_DIR": str(HERE / "profiles")}

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.run(*statements, schema="lab")


class SnowflakeLab(CaptureLab):
    """The lab, with what is written differently on Snowflake."""

    def __init__(self, server: SnowflakeServer, workspace: Path) -> None:
        super().__init__(SnowflakeDatabase(server), workspace)
        self.server = server
        self.environment = {**self.environment, "DBT_PROFILES_DIR": str(HERE / "profiles")}
        self._results = workspace / "target" / "run_results.json"

    def _make_landing_tables(self) -> None:
        self.database.run(
            "create schema if not exists landing",
            "create table landing.flag_rows (signal varchar, entity_id varchar, severity varchar, "
            "score double precision, reason varchar, observed_at timestamp_ntz, loaded_at timestamp_ntz, "
            "is_flagged boolean)",
            "create table landing.customers (customer_id varchar)",
            "insert into landing.customers values ('a'), ('b'), ('c')",
            "create table landing.open_orders (order_id varchar, loaded_at timestamp_ntz)",
            "create table landing.suppliers (supplier_id varchar, loaded_at timestamp_tz)",
            "insert into landing.suppliers select 's', cast('2026-02-01 02:00:00 +0900' as timestamp_tz)",
        )

    def dbt(self, *arguments: str) -> Step:
        self._results.unlink(missing_ok=True)
        is_success, said = self.server.dbt(LAB, [*arguments, "--target", "snowflake"], self.environment)
        errors = [] if is_success else self._errors() or [said[-3000:]]
        return Step(is_success, errors, self._new_events(), self._new_builds())

    def _errors(self) -> list[str]:
        if not self._results.exists():
            return []
        results = json.loads(self._results.read_text(encoding="utf-8"))["results"]
        return [
            f"{result['unique_id'].split('.')[2]}: {result['status']}: {' '.join((result['message'] or '').split())}"
            for result in results
            if result["status"] in ("error", "fail")
        ]

    def _has_tables(self) -> bool:
        found = self.rows(
            f"select 1 from {DATABASE}.information_schema.tables "
            "where table_schema = 'LAB' and table_name = 'SIGNAL_BUILDS'"
        )
        return bool(found)
