"""Where the warehouse is, so that landing, detection and dbt agree on one typed description of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class DuckDBTarget:
    """A DuckDB file; one process writes it at a time."""

    path: Path
    schema: str  # the schema that dbt builds into


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """A database of a PostgreSQL server."""

    host: str
    port: int
    user: str
    password: SecretStr
    database: str
    schema: str  # the schema that dbt builds into


WarehouseTarget = DuckDBTarget | PostgresTarget
