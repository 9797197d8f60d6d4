"""Where the warehouse is, so that landing, detection and dbt agree on one typed description of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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


@dataclass(frozen=True, slots=True)
class SnowflakeTarget:
    """A database of a Snowflake account, entered with a key pair or, where there is no key, with a password."""

    account: str
    user: str
    password: SecretStr  # empty where there is a key
    private_key_path: Path | None
    private_key_passphrase: SecretStr  # empty for a key that is not encrypted
    role: str  # empty: the user's default role
    database: str
    warehouse: str
    schema: str  # the schema that dbt builds into
    host: str = ""  # empty: the account's own host; another for a private link
    port: int = 443
    protocol: Literal["https", "http"] = "https"


WarehouseTarget = DuckDBTarget | PostgresTarget | SnowflakeTarget
