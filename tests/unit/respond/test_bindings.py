"""Which destination answers for a role, and that no secret is seen on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from unit.contracts.prepared_project import prepared_project, settings_of

from dagster_project.contracts.destination import IdempotencyClass
from dagster_project.respond.bindings import BindingRefused, bind_roles, is_all_sandbox, operations_of, roles_used
from dagster_project.respond.destinations.registry import discover
from dagster_project.settings import Settings

SECRET = "sesame-open-7f3a"
OWN = {
    "hubspot": {"token": SECRET},
    "tryton": {"url": "https://erp.example", "database": "prod", "username": "loop", "password": SECRET},
    "slack": {"token": SECRET},
    "email": {"host": "mail.example", "sender": "loop@example.com", "password": SECRET},
    "webhook": {"url": "https://hook.example", "secret": SECRET},
}


def bound(**destinations: Mapping[str, Any]) -> Settings:
    return settings_of(Path("state"), destinations=destinations)


def test_everything_is_the_sandbox_until_settings_say_otherwise() -> None:
    bindings = bind_roles(bound())
    assert set(bindings) == {"crm", "erp", "chat", "mail", "hook"}
    assert all(binding.is_sandbox for binding in bindings.values())
    assert is_all_sandbox(prepared_project().catalog, bindings)


def test_a_connection_of_its_own_binds_that_role_alone() -> None:
    bindings = bind_roles(bound(hubspot=OWN["hubspot"]))
    assert {role for role, binding in bindings.items() if not binding.is_sandbox} == {"crm"}
    token = bindings["crm"].connection.model_dump()["token"]
    assert isinstance(token, SecretStr)
    assert token.get_secret_value() == SECRET
    assert SECRET not in repr(bindings)


def test_one_real_destination_that_a_playbook_uses_is_not_all_sandbox() -> None:
    catalog = prepared_project().catalog
    assert roles_used(catalog) == {"crm", "erp", "chat", "mail"}
    assert not is_all_sandbox(catalog, bind_roles(bound(slack=OWN["slack"])))
    assert is_all_sandbox(catalog.model_copy(update={"signals": {}}), bind_roles(bound(slack=OWN["slack"])))


def test_an_enrichment_counts_as_use_of_its_role() -> None:
    catalog = prepared_project().catalog
    stock = catalog.signals["product_low_stock"]
    playbook = stock.version.playbook
    without_erp = playbook.model_copy(update={"steps": tuple(s for s in playbook.steps if s.role == "chat")})
    version = stock.version.model_copy(update={"playbook": without_erp})
    only = catalog.model_copy(update={"signals": {"x": stock.model_copy(update={"version": version})}})
    assert roles_used(only) == {"chat", "erp"}


@pytest.mark.parametrize("name", sorted(discover()))
def test_a_wrong_key_is_refused_by_name_and_no_value_is_shown(name: str) -> None:
    role = discover()[name].role
    with pytest.raises(BindingRefused) as caught:
        bind_roles(
            bound(**{name: {"tokn": SECRET, "call_deadline": SECRET}}).model_copy(update={"bindings": {role: name}})
        )
    told = str(caught.value)
    assert f"LOOP_DESTINATIONS__{name.upper()}__*" in told
    assert "tokn" in told
    assert "call_deadline" in told
    assert "Nothing was sent" in told
    assert SECRET not in told
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", sorted(discover()))
@pytest.mark.parametrize("value", [[SECRET], {"a": SECRET}])
def test_a_value_of_the_wrong_kind_is_refused_without_being_shown(name: str, value: Any) -> None:
    connector = discover()[name]
    given = dict.fromkeys(connector.connection_type.model_fields, value)
    with pytest.raises(BindingRefused) as caught:
        bind_roles(bound(**{name: given}).model_copy(update={"bindings": {connector.role: name}}))
    assert SECRET not in str(caught.value)


def test_a_destination_that_there_is_not_is_refused_and_not_taken_for_the_sandbox() -> None:
    with pytest.raises(
        BindingRefused, match=r"LOOP_DESTINATIONS__HUBSPT__.*no destination 'hubspt'.*hubspot"
    ) as caught:
        bind_roles(bound(hubspt={"token": SECRET}))
    assert SECRET not in str(caught.value)


def test_a_role_bound_to_nothing_is_refused() -> None:
    with pytest.raises(BindingRefused, match=r"LOOP_BINDINGS: the role 'chat' is bound to 'teams'.*slack"):
        bind_roles(settings_of(Path("state"), bindings={"chat": "teams"}))


def test_each_step_is_bound_to_its_operation() -> None:
    version = prepared_project().catalog.signals["customer_churn_risk"].version
    operations = operations_of(version, bind_roles(bound()))
    assert set(operations) == {step.name for step in version.playbook.steps}
    assert (operations["alert_team"].destination, operations["alert_team"].idempotency) == (
        "slack",
        IdempotencyClass.UNKEYED,
    )


def test_a_step_whose_role_is_not_bound_is_refused() -> None:
    version = prepared_project().catalog.signals["customer_churn_risk"].version
    bindings = {role: binding for role, binding in bind_roles(bound()).items() if role != "chat"}
    with pytest.raises(BindingRefused, match="needs the role 'chat', which LOOP_BINDINGS does not bind"):
        operations_of(version, bindings)


# --- settings


def settings_with_secrets(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, fields in OWN.items():
        for key, value in fields.items():
            monkeypatch.setenv(f"LOOP_DESTINATIONS__{name.upper()}__{key.upper()}", value)
    monkeypatch.setenv("LOOP_POSTGRES_PASSWORD", SECRET)
    monkeypatch.setenv("LOOP_LEDGER_URL", f"postgresql://loop:{SECRET}@db/ledger")
    return Settings(_env_file=None)


def test_no_secret_is_seen_in_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_with_secrets(monkeypatch)
    assert settings.destinations["hubspot"]["token"] == SECRET  # they are there
    assert SECRET in settings.ledger_address
    for shown in (
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        json.dumps(settings.model_dump(), default=str),
    ):
        assert SECRET not in shown
    assert SECRET not in repr(settings.model_copy(update={"warehouse": "postgres"}).warehouse_target)


@pytest.mark.parametrize(
    "variable",
    ["LOOP_DESTINATIONS__HUBSPOT", "LOOP_BINDINGS__CRM__X", "LOOP_POSTGRES_PORT", "LOOP_WAREHOUSE", "LOOP_DBT_THREADS"],
)
def test_no_value_is_shown_by_settings_that_are_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, SECRET)
    with pytest.raises(ValidationError) as caught:
        Settings(_env_file=None)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)


@pytest.mark.parametrize("variable", ["LOOP_DESTINATIONS", "LOOP_BINDINGS"])
def test_no_value_is_shown_by_settings_that_cannot_be_parsed(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, SECRET)
    with pytest.raises(Exception, match=variable.removeprefix("LOOP_").lower()) as caught:
        Settings(_env_file=None)
    assert SECRET not in str(caught.value)


def test_paths_follow_the_state_folder() -> None:
    settings = settings_of(Path("elsewhere"))
    whole = Path("elsewhere").absolute()  # one folder has one name, however it is written
    assert settings.duckdb_file == whole / "warehouse.duckdb"
    assert settings.ledger_address == f"sqlite:///{whole}/ledger.sqlite"
    assert settings.dbt_environment()["LOOP_DUCKDB_PATH"] == str(whole / "warehouse.duckdb")


def test_a_warehouse_that_the_dagster_side_cannot_read_says_so() -> None:
    with pytest.raises(ValueError, match=r"LOOP_WAREHOUSE=snowflake: .* use duckdb or postgres"):
        _ = settings_of(Path("state"), warehouse="snowflake").warehouse_target
