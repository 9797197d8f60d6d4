"""Every setting of the project, read once from the environment (prefix LOOP_) or `.env`, typed, secrets as such."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from dagster_project.contracts.destination import SandboxAddress
from dagster_project.contracts.warehouse import DuckDBTarget, PostgresTarget, SnowflakeTarget, WarehouseTarget

PROJECT_ROOT = Path(__file__).resolve().parents[1]


class SettingsRefused(ValueError):
    """The settings cannot be used as they are; nothing was read or sent."""


class Settings(BaseSettings):
    """Field `duckdb_path` is set by LOOP_DUCKDB_PATH, `destinations` by LOOP_DESTINATIONS__HUBSPOT__TOKEN and so on."""

    model_config = SettingsConfigDict(
        env_prefix="LOOP_",
        env_nested_delimiter="__",
        env_file=PROJECT_ROOT / ".env",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    # --- where things are
    state_dir: Path = PROJECT_ROOT / ".loop"
    dbt_project_dir: Path = PROJECT_ROOT / "dbt_signals"
    playbooks_dir: Path = PROJECT_ROOT / "dagster_project" / "respond" / "playbooks"

    # --- the warehouse
    warehouse: Literal["duckdb", "postgres", "snowflake"] = "duckdb"
    warehouse_schema: str = "analytics"
    duckdb_path: Path | None = None  # <state_dir>/warehouse.duckdb
    postgres_host: str = "127.0.0.1"
    postgres_port: int = 5432
    postgres_user: str = "loop"
    postgres_password: SecretStr = SecretStr("")
    postgres_database: str = "loop"
    snowflake_account: str = ""
    snowflake_user: str = ""
    snowflake_private_key_path: Path | None = None  # a key pair; a password is the other way in
    snowflake_private_key_passphrase: SecretStr = SecretStr("")
    snowflake_password: SecretStr = SecretStr("")
    snowflake_role: str = ""  # the user's default role
    snowflake_database: str = ""
    snowflake_warehouse: str = ""
    snowflake_host: str = ""  # the account's own; another one for a private link
    snowflake_port: int = 443
    snowflake_protocol: Literal["https", "http"] = "https"
    dbt_threads: int = Field(default=4, ge=1)

    # --- the ledger
    ledger_url: SecretStr | None = None  # sqlite:///<state_dir>/ledger.sqlite
    ledger_mark: SecretStr | None = None  # <state_dir>/ledger_mark.json; where the ledger's mark is kept

    # --- which destination answers for a role, and how it is reached; one without an entry is the sandbox's
    bindings: dict[str, str] = {"crm": "hubspot", "erp": "tryton", "chat": "slack", "mail": "email", "hook": "webhook"}
    destinations: dict[str, dict[str, Any]] = Field(default={}, repr=False, exclude=True)
    sandbox_host: str = "127.0.0.1"
    sandbox_port: int = 8650
    sandbox_smtp_port: int = 8651

    # --- the console and who may do what
    dagster_url: str = "http://127.0.0.1:3000"  # where Dagster's pages are, for links to runs; empty for no links
    access_token: SecretStr | None = None  # who pulls loopctl's levers, once the ledger knows people
    console_proxy_header: str = ""  # the header in which a signing-in proxy names the person; empty for none
    console_proxy_addresses: str = ""  # the proxy's own addresses, separated by commas; others are not believed

    # --- how work is taken and retried
    largest_build: int = Field(default=1_000_000, ge=1)  # events of one build that are taken in at once
    claim_limit: int = Field(default=1000, ge=1)  # events that one run takes at most
    lease_seconds: float = Field(default=300.0, gt=0)
    in_flight_calls: int = Field(default=32, ge=1)  # external calls under way at once, per run and destination
    runs_in_flight: int = Field(default=2, ge=1)  # action runs of one signal at once
    max_attempts: int = Field(default=8, ge=1)
    retry_base_seconds: float = Field(default=30.0, gt=0)
    retry_cap_seconds: float = Field(default=3600.0, gt=0)
    circuit_opens_after: int = Field(default=5, ge=1)  # failures of a destination in a row
    circuit_base_seconds: float = Field(default=30.0, gt=0)
    circuit_cap_seconds: float = Field(default=900.0, gt=0)

    # --- how runs begin
    profile: Literal["standard", "fast"] = "standard"  # fast: warm workers take the runs (docs/fast_profile.md)
    warm_workers: int = Field(default=2, ge=1, le=64)  # idle processes that a pool keeps ready

    # --- clocks of the Dagster side
    sensor_interval_seconds: int | None = Field(default=None, ge=1)  # 2; on Snowflake, where looking costs money, 30
    # Dagster looks at sensors every 5 seconds: each watches the warehouse until shortly before the next time.
    sensor_watch_seconds: float = Field(default=4.4, ge=0, le=30)  # 0: it looks once and does not wait
    sensors_watching: int = Field(default=3, ge=0)  # at once; each holds one of the code server's threads
    build_cron: str = "0 6 * * *"
    verify_cron: str = "*/15 * * * *"
    sample_daily_cron: str = "0 7 * * *"
    sample_weekly_cron: str = "30 7 * * 1"
    alert_cron: str = "*/5 * * * *"

    # --- how long the past is kept
    keep_history_days: int = Field(default=0, ge=0)  # settled, ended episodes in ledger and warehouse; 0: for ever
    keep_runs_days: int = Field(default=180, ge=0)  # ended runs in Dagster's storage; 0: for ever
    prune_cron: str = "0 3 * * *"

    # --- log lines
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # --- where alerts go; none are sent where both are empty
    alert_channel: str = ""  # of the destination that is bound as chat
    alert_email: str = ""
    runbook: str = "docs/runbook.md"  # its address, where it is published

    @property
    def duckdb_file(self) -> Path:
        return self.duckdb_path or self.state_dir / "warehouse.duckdb"

    @property
    def catalog_file(self) -> Path:
        return self.state_dir / "catalog.json"

    @property
    def dbt_target_dir(self) -> Path:
        return self.state_dir / "dbt_target"

    @property
    def manifest_file(self) -> Path:
        return self.dbt_target_dir / "manifest.json"

    @property
    def ledger_address(self) -> str:
        """The SQLAlchemy URL of the ledger; it may hold a password, so it is never printed."""
        if self.ledger_url is not None:
            return self.ledger_url.get_secret_value()
        return f"sqlite:///{self.state_dir / 'ledger.sqlite'}"

    @field_validator("state_dir", "dbt_project_dir", "playbooks_dir")
    @classmethod
    def _whole_path(cls, path: Path) -> Path:
        """One place has one name, from wherever a command is called: prepared files are told apart by it."""
        return path.absolute()

    @property
    def sensor_ticks_every(self) -> int:
        """Seconds between two evaluations of a sensor, if Dagster comes round so often."""
        return self.sensor_interval_seconds or (30 if self.warehouse == "snowflake" else 2)

    @property
    def ledger_mark_address(self) -> str:
        """The file or the SQLAlchemy URL of the ledger's mark; it may hold a password, so it is never printed."""
        if self.ledger_mark is not None:
            return self.ledger_mark.get_secret_value()
        return str(self.state_dir / "ledger_mark.json")

    @property
    def lease_within(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

    @property
    def sandbox(self) -> SandboxAddress:
        return SandboxAddress(
            http_url=f"http://{self.sandbox_host}:{self.sandbox_port}",
            smtp_host=self.sandbox_host,
            smtp_port=self.sandbox_smtp_port,
        )

    @property
    def warehouse_target(self) -> WarehouseTarget:
        if self.warehouse == "duckdb":
            return DuckDBTarget(path=self.duckdb_file, schema=self.warehouse_schema)
        if self.warehouse == "postgres":
            return PostgresTarget(
                host=self.postgres_host,
                port=self.postgres_port,
                user=self.postgres_user,
                password=self.postgres_password,
                database=self.postgres_database,
                schema=self.warehouse_schema,
            )
        return self._snowflake_target()

    def _snowflake_target(self) -> SnowflakeTarget:
        if missing := self._missing_for_snowflake():
            raise SettingsRefused(
                f"LOOP_WAREHOUSE=snowflake: {', '.join(missing)} not set; set them (docs/warehouses.md), "
                "or use duckdb or postgres. Nothing was read or sent."
            )
        return SnowflakeTarget(
            account=self.snowflake_account,
            user=self.snowflake_user,
            password=self.snowflake_password,
            private_key_path=self.snowflake_private_key_path,
            private_key_passphrase=self.snowflake_private_key_passphrase,
            role=self.snowflake_role,
            database=self.snowflake_database,
            warehouse=self.snowflake_warehouse,
            schema=self.warehouse_schema,
            host=self.snowflake_host,
            port=self.snowflake_port,
            protocol=self.snowflake_protocol,
        )

    def _missing_for_snowflake(self) -> list[str]:
        needed = ("snowflake_account", "snowflake_user", "snowflake_database", "snowflake_warehouse")
        missing = [f"LOOP_{name.upper()}" for name in needed if not getattr(self, name)]
        if self.snowflake_private_key_path is None and not self.snowflake_password.get_secret_value():
            missing.append("LOOP_SNOWFLAKE_PRIVATE_KEY_PATH (or LOOP_SNOWFLAKE_PASSWORD)")
        return missing

    def dbt_environment(self) -> dict[str, str]:
        """The environment for a dbt process: this one's, with what profiles.yml reads set from these settings."""
        return {
            **os.environ,
            "LOOP_WAREHOUSE": self.warehouse,
            "LOOP_WAREHOUSE_SCHEMA": self.warehouse_schema,
            "LOOP_DUCKDB_PATH": str(self.duckdb_file),
            "LOOP_POSTGRES_HOST": self.postgres_host,
            "LOOP_POSTGRES_PORT": str(self.postgres_port),
            "LOOP_POSTGRES_USER": self.postgres_user,
            "LOOP_POSTGRES_PASSWORD": self.postgres_password.get_secret_value(),
            "LOOP_POSTGRES_DATABASE": self.postgres_database,
            "LOOP_SNOWFLAKE_ACCOUNT": self.snowflake_account,
            "LOOP_SNOWFLAKE_USER": self.snowflake_user,
            "LOOP_SNOWFLAKE_PRIVATE_KEY_PATH": str(self.snowflake_private_key_path or ""),
            "LOOP_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": self.snowflake_private_key_passphrase.get_secret_value(),
            "LOOP_SNOWFLAKE_PASSWORD": self.snowflake_password.get_secret_value(),
            "LOOP_SNOWFLAKE_ROLE": self.snowflake_role,
            "LOOP_SNOWFLAKE_DATABASE": self.snowflake_database,
            "LOOP_SNOWFLAKE_WAREHOUSE": self.snowflake_warehouse,
            "LOOP_SNOWFLAKE_HOST": self.snowflake_host,
            "LOOP_SNOWFLAKE_PORT": str(self.snowflake_port),
            "LOOP_SNOWFLAKE_PROTOCOL": self.snowflake_protocol,
            "LOOP_DBT_THREADS": str(self.dbt_threads),
            "DBT_TARGET_PATH": str(self.dbt_target_dir),
            "DBT_LOG_PATH": str(self.state_dir / "dbt_logs"),
            "DBT_PROFILES_DIR": str(self.dbt_project_dir),
        }


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read at first use. Raises SettingsRefused, naming the settings, never a value."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsRefused("; ".join(_refusal(one["loc"], one["msg"]) for one in error.errors())) from None
    except SettingsError as error:
        raise SettingsRefused(_unparsed(str(error))) from None


def _refusal(location: tuple[str | int, ...], message: str) -> str:
    return f"LOOP_{'__'.join(map(str, location)).upper()}: {message}"


def _unparsed(message: str) -> str:
    """pydantic says which field it could not parse: error parsing value for field "bindings" from source ..."""
    field = message.split('"')[1] if '"' in message else ""
    return f"LOOP_{field.upper()}: not the JSON that is needed there, for example {{}}"
