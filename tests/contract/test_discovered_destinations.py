"""What discovery finds keeps the contract that can be checked without a call, and has its place in this suite."""

from __future__ import annotations

import subprocess
import sys

import pytest
from vendor_kits import HTTP_KITS, MAIL_KITS, OVER_HTTP, SECRETS, connection_to

from dagster_project.contracts.destination import (
    Connection,
    Destination,
    IdempotencyClass,
    LookupFailed,
    OperationArguments,
    SandboxAddress,
)
from dagster_project.respond.destinations.registry import discover

SANDBOX = SandboxAddress("http://127.0.0.1:8650", "127.0.0.1", 8651)
FOUND = sorted(discover().items())
each_destination = pytest.mark.parametrize("destination", [kind for _, kind in FOUND], ids=[name for name, _ in FOUND])


def test_every_destination_and_operation_has_its_place_in_the_suite() -> None:
    assert set(HTTP_KITS) | MAIL_KITS == set(discover())
    assert not set(HTTP_KITS) & MAIL_KITS
    over_http = {(name, one) for name, kind in discover().items() if name in HTTP_KITS for one in kind.operations}
    assert over_http == set(OVER_HTTP)


@each_destination
def test_declarations(destination: type[Destination]) -> None:
    assert destination.role in {"crm", "erp", "chat", "mail", "hook"}
    assert destination.server_limit > 0
    assert destination.rate_limit.calls > 0 and destination.rate_limit.seconds > 0
    for name, operation in destination.operations.items():
        assert operation.name == name
        assert operation.description
        assert operation.batch_size >= 1
        assert operation.idempotency in IdempotencyClass
        assert issubclass(operation.arguments, OperationArguments)
        assert operation.rich_text <= set(operation.arguments.model_fields)


@each_destination
def test_every_argument_and_setting_is_described(destination: type[Destination]) -> None:
    for operation in destination.operations.values():
        for name, argument in operation.arguments.model_fields.items():
            assert argument.description, f"{operation.name}.{name}"
    for name, setting in destination.connection_type.model_fields.items():
        assert setting.description or name in Connection.model_fields, name


@each_destination
def test_the_sandbox_connection_opens_and_prints_no_secret(destination: type[Destination]) -> None:
    connection = destination.sandbox_connection(SANDBOX)
    opened = destination.open(connection)
    secrets = [str(value) for value in _revealed(connection)]
    assert secrets
    assert not [secret for secret in secrets if secret in f"{opened!r}{opened}{connection!r}{connection}"]


def _revealed(connection: Connection) -> list[object]:
    values = [getattr(connection, name) for name in type(connection).model_fields]
    return [value.get_secret_value() for value in values if hasattr(value, "get_secret_value")]


@each_destination
def test_a_connection_of_another_destination_is_refused(destination: type[Destination]) -> None:
    with pytest.raises(TypeError, match=destination.name):
        destination.open(Connection())


@pytest.mark.parametrize("name", sorted(SECRETS.keys() & HTTP_KITS.keys()))
def test_a_connection_prints_no_secret(name: str) -> None:
    connection = connection_to(name, "http://127.0.0.1:1", 1.0)
    assert not [secret for secret in SECRETS[name] if secret in f"{connection!r}{connection}{connection.model_dump()}"]


@each_destination
def test_an_unknown_lookup_says_so(destination: type[Destination]) -> None:
    import asyncio

    opened = destination.open(destination.sandbox_connection(SANDBOX))
    with pytest.raises(LookupFailed, match="nonsense"):
        asyncio.run(opened.look_up("nonsense", ["x"]))


def test_discovery_imports_no_vendor_sdk() -> None:
    program = (
        "import sys; from dagster_project.respond.destinations.registry import discover; assert discover();"
        "heavy = {'aiohttp', 'slack_sdk', 'standardwebhooks', 'requests', 'dagster', 'sqlalchemy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
