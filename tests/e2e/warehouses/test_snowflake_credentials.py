"""Every way into Snowflake that the settings offer, from the settings to a query, and no secret in what is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from shipped_build import PROJECT
from snowflake_server import SnowflakeServer

from dagster_project.contracts.warehouse import SnowflakeTarget
from dagster_project.detect.warehouse_reading import WarehouseUnavailable, reading
from dagster_project.settings import Settings, SettingsRefused

PASSPHRASE = "open-sesame"


def key_file(folder: Path, passphrase: str | None) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    protection = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    file = folder / "loop.p8"
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection))
    return file


def settings_of(server: SnowflakeServer, monkeypatch: pytest.MonkeyPatch, **changed: str | None) -> Settings:
    """The settings of an environment that reaches the server, with some variables set otherwise or not at all."""
    for name, value in {**server.environment("public"), **changed}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    return Settings(_env_file=None)


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_key_pair_opens_for_reader_and_dbt(
    snowflake_server: SnowflakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, passphrase: str | None
) -> None:
    key = {
        "LOOP_SNOWFLAKE_PASSWORD": None,
        "LOOP_SNOWFLAKE_PRIVATE_KEY_PATH": str(key_file(tmp_path, passphrase)),
        "LOOP_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": passphrase,
    }
    settings = settings_of(snowflake_server, monkeypatch, **key)
    with reading(settings.warehouse_target) as warehouse:
        assert warehouse.rows("select %s", ["in"]) == [("in",)]
    where = {"DBT_TARGET_PATH": str(tmp_path / "target"), "DBT_LOG_PATH": str(tmp_path / "logs")}
    is_connected, said = snowflake_server.dbt(PROJECT, ["debug"], {**settings.dbt_environment(), **where})
    assert is_connected, said
    assert PASSPHRASE not in said


@pytest.mark.parametrize(("name", "given"), [("wrong", "not-the-passphrase"), ("missing", "")])
def test_a_key_that_does_not_open_is_a_reason_to_skip(
    snowflake_server: SnowflakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, given: str
) -> None:
    key = {
        "LOOP_SNOWFLAKE_PASSWORD": None,
        "LOOP_SNOWFLAKE_PRIVATE_KEY_PATH": str(key_file(tmp_path, PASSPHRASE)),
        "LOOP_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": given,
    }
    target = settings_of(snowflake_server, monkeypatch, **key).warehouse_target
    with pytest.raises(WarehouseUnavailable, match="cannot be reached as builder") as caught, reading(target):
        pass
    assert name == "missing" or given not in str(caught.value)


def test_a_key_file_that_is_not_there_is_named(
    snowflake_server: SnowflakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = {"LOOP_SNOWFLAKE_PASSWORD": None, "LOOP_SNOWFLAKE_PRIVATE_KEY_PATH": str(tmp_path / "none.p8")}
    target = settings_of(snowflake_server, monkeypatch, **key).warehouse_target
    with pytest.raises(WarehouseUnavailable, match=r"cannot be reached as builder: .*none\.p8"), reading(target):
        pass


def test_what_is_not_set_is_named_all_at_once(
    snowflake_server: SnowflakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = {f"LOOP_SNOWFLAKE_{name}": None for name in ("ACCOUNT", "USER", "DATABASE", "WAREHOUSE", "PASSWORD")}
    settings = settings_of(snowflake_server, monkeypatch, **away)
    with pytest.raises(SettingsRefused) as caught:
        _ = settings.warehouse_target
    for name in away:
        assert name in str(caught.value)
    assert "Nothing was read or sent" in str(caught.value)


def test_the_settings_become_the_target(snowflake_server: SnowflakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    target = settings_of(snowflake_server, monkeypatch).warehouse_target
    assert isinstance(target, SnowflakeTarget)
    assert (target.role, target.warehouse, target.port) == ("LOOP_BUILDER", "LOOP_WH", snowflake_server.port)
    assert target.password.get_secret_value() == "builder"
