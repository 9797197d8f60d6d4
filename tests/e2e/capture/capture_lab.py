"""Drives the lab project: lands rows, runs dbt, and says what the capture put on record since it was last asked."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import duckdb
from dbt.cli.main import dbtRunner
from postgres_server import PostgresServer

LAB = Path(__file__).parent / "lab"
BUILD_COLUMNS = [
    *("build_id", "signal", "build_no", "status", "is_baseline", "population", "flagged", "opened", "escalated"),
    *("resolved", "released_at", "held_reason", "data_as_of", "sources", "code_version", "criteria_version"),
]
OBSERVED_AT = "2026-01-01 00:00:00"
DATABASES = ("duckdb", "postgres")


class Database(Protocol):
    """One warehouse of the lab, reached outside dbt."""

    kind: str
    environment: Mapping[str, str]
    infinity: str

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements in order and give back the rows of the last."""


class DuckdbDatabase:
    kind = "duckdb"
    infinity = "inf"

    def __init__(self, path: Path) -> None:
        self._path = path
        self.environment = {"LAB_DUCKDB_PATH": str(path)}

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        with duckdb.connect(str(self._path)) as connection:
            for statement in statements:
                rows = connection.execute(statement).fetchall()
        return rows


class PostgresDatabase:
    kind = "postgres"
    infinity = "Infinity"

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.name = server.fresh_database("capture")
        self.run(
            f"alter database {self.name} set timezone to 'Asia/Tokyo'"
        )  # no moment may depend on the session's zone
        self.environment = {
            "LAB_POSTGRES_HOST": server.host,
            "LAB_POSTGRES_PORT": str(server.port),
            "LAB_POSTGRES_USER": server.user,
            "LAB_POSTGRES_PASSWORD": server.password,
            "LAB_POSTGRES_DATABASE": self.name,
        }

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        connection = self._server.connect(self.name)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                    rows = cursor.fetchall() if cursor.description else []
        finally:
            connection.close()
        return rows


@dataclass(frozen=True)
class Flag:
    """One row of the landing table; every part but the id has a harmless default."""

    entity_id: str | None
    severity: str | None = "low"
    score: str = "1.0"  # as SQL, so that NaN and infinity can be said
    reason: str = "r"
    observed_at: str | None = OBSERVED_AT


@dataclass
class Step:
    """What one dbt command did."""

    is_success: bool
    errors: list[str]
    events: list[str]  # new ones, as `signal: entity.episode kind[:severity][ (baseline)]`
    builds: list[dict[str, Any]]  # new rows of signal_builds
    seen: dict[str, Any] = field(default_factory=dict)  # whatever else the scenario looked at


def literal(value: str | None) -> str:
    """A Python string as an SQL literal."""
    return "null" if value is None else "'" + value.replace("'", "''") + "'"


def _landing_row(signal: str, flag: Flag, loaded_at: str, *, is_flagged: bool) -> str:
    observed_at = "null" if flag.observed_at is None else f"timestamp {literal(flag.observed_at)}"
    texts = [literal(value) for value in (signal, flag.entity_id, flag.severity)]
    return (
        f"({', '.join([*texts, flag.score, literal(flag.reason), observed_at])}, timestamp '{loaded_at}', {is_flagged})"
    )


class CaptureLab:
    """The lab project bound to one fresh database."""

    def __init__(self, database: Database, workspace: Path) -> None:
        self.database = database
        self.environment = {
            **database.environment,
            "DBT_PROFILES_DIR": str(LAB),
            "LAB_TARGET_PATH": str(workspace / "target"),
            "DBT_LOG_PATH": str(workspace / "logs"),
        }
        self._known_events: set[str] = set()
        self._known_builds: set[str] = set()
        self._make_landing_tables()

    def _make_landing_tables(self) -> None:
        self.database.run(
            "create schema landing",
            "create table landing.flag_rows (signal varchar, entity_id varchar, severity varchar, "
            "score double precision, reason varchar, observed_at timestamp, loaded_at timestamp, is_flagged boolean)",
            "create table landing.customers (customer_id varchar)",
            "insert into landing.customers values ('a'), ('b'), ('c')",
            "create table landing.open_orders (order_id varchar, loaded_at timestamp)",
            "create table landing.suppliers (supplier_id varchar, loaded_at timestamptz)",
            "insert into landing.suppliers values ('s', timestamptz '2026-02-01 02:00:00+09')",
        )

    def land(self, loaded_at: str, flags: Mapping[str, Iterable[Flag]]) -> None:
        """Replace the landing table; one row that is not flagged keeps it from being empty."""
        rows = [_landing_row("customer_churn_risk", Flag("calm", score="0.0"), loaded_at, is_flagged=False)]
        for signal, flagged in flags.items():
            rows += [_landing_row(signal, flag, loaded_at, is_flagged=True) for flag in flagged]
        values = ", ".join(rows)
        self.database.run("delete from landing.flag_rows", f"insert into landing.flag_rows values {values}")

    def dbt(self, *arguments: str) -> Step:
        """Run one dbt command in this process and collect what it added."""
        with _environment(self.environment), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # dbt's own; what the capture does is judged by its effects
            done = dbtRunner().invoke(
                [*arguments, "--target", self.database.kind, "--project-dir", str(LAB), "--quiet"]
            )
        errors = [
            f"{_name(result)}: {result.status}: {' '.join((result.message or '').split())}"
            for result in getattr(done.result, "results", None) or []
            if str(result.status) in ("error", "fail")
        ]
        if done.exception:
            errors.append(str(done.exception))
        return Step(done.success, errors, self._new_events(), self._new_builds())

    def one(self, query: str) -> Any:
        """The single value of a query."""
        return self.database.run(query)[0][0]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.database.run(query)

    def _new_events(self) -> list[str]:
        if not self._has_tables():
            return []
        found = self.rows(
            "select event_id, signal, entity_id, episode, kind, severity, is_baseline from lab.signal_events"
        )
        new = [row for row in found if row[0] not in self._known_events]
        self._known_events.update(row[0] for row in new)
        return sorted(_event_text(*row[1:]) for row in new)

    def _new_builds(self) -> list[dict[str, Any]]:
        if not self._has_tables():
            return []
        query = f"select {', '.join(BUILD_COLUMNS)} from lab.signal_builds"
        found = [dict(zip(BUILD_COLUMNS, row, strict=True)) for row in self.rows(query)]
        new = [row for row in found if row["build_id"] not in self._known_builds]
        self._known_builds.update(row["build_id"] for row in new)
        return sorted(new, key=lambda row: str(row["signal"]))

    def _has_tables(self) -> bool:
        return bool(
            self.rows(
                "select 1 from information_schema.tables where table_schema = 'lab' and table_name = 'signal_builds'"
            )
        )


def _name(result: Any) -> str:
    # the result of an operation has no node
    return str(result.node.name if hasattr(result, "node") else result.unique_id)


def _event_text(signal: str, entity: str, episode: int, kind: str, severity: str, is_baseline: bool) -> str:
    severity_text = "" if kind == "resolved" else f":{severity}"
    return f"{signal}: {entity}.{episode} {kind}{severity_text}{' (baseline)' if is_baseline else ''}"


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def fresh_workspace(folder: Path) -> Path:
    """An empty folder for dbt's target and logs."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
