"""Binds roles to destinations by the settings: a role without a connection of its own is answered by the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from dagster_project.contracts.catalog import Catalog
from dagster_project.contracts.destination import Connection, Destination, IdempotencyClass
from dagster_project.contracts.playbook import PlaybookVersion
from dagster_project.ledger.planning import BoundOperation
from dagster_project.respond.destinations.registry import discover
from dagster_project.settings import Settings


class BindingRefused(Exception):
    """A role cannot be bound as the settings say; nothing is sent."""


@dataclass(frozen=True)
class Binding:
    role: str
    connector: type[Destination]
    connection: Connection
    is_sandbox: bool

    def open(self) -> Destination:
        return self.connector.open(self.connection)


def bind_roles(settings: Settings) -> dict[str, Binding]:
    """Every role of the settings, bound. Raises BindingRefused, naming the setting, never its value."""
    connectors = discover()
    unknown = sorted(set(settings.destinations) - set(connectors))
    if unknown:
        raise BindingRefused(
            f"LOOP_DESTINATIONS__{unknown[0].upper()}__*: there is no destination {unknown[0]!r}; there are: "
            f"{', '.join(sorted(connectors))}. Nothing was sent."
        )
    return {role: _bind(role, name, connectors, settings) for role, name in settings.bindings.items()}


def _bind(role: str, name: str, connectors: Mapping[str, type[Destination]], settings: Settings) -> Binding:
    connector = connectors.get(name)
    if connector is None:
        raise BindingRefused(
            f"LOOP_BINDINGS: the role {role!r} is bound to {name!r}, which is no destination; there are: "
            f"{', '.join(sorted(connectors))}"
        )
    given = settings.destinations.get(name)
    if not given:
        return Binding(role, connector, connector.sandbox_connection(settings.sandbox), is_sandbox=True)
    try:
        connection = connector.connection_type.model_validate(given)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise BindingRefused(f"LOOP_DESTINATIONS__{name.upper()}__*: {wrong}. Nothing was sent.") from None
    return Binding(role, connector, connection, is_sandbox=False)


def operations_of(version: PlaybookVersion, bindings: Mapping[str, Binding]) -> dict[str, BoundOperation]:
    """For each step of a playbook, what it is bound to; a connection may decide an operation's class."""
    bound = {}
    for step in version.playbook.steps:
        if step.role not in bindings:
            raise BindingRefused(f"step {step.name!r} needs the role {step.role!r}, which LOOP_BINDINGS does not bind")
        operation = bindings[step.role].open().operations[step.operation]
        bound[step.name] = BoundOperation(bindings[step.role].connector.name, operation.idempotency)
    return bound


# Clocks of the ledger's server and of the runs' hosts may differ by so much.
CLOCK_MARGIN_SECONDS = 30.0


def longest_server_limit(bindings: Mapping[str, Binding]) -> float:
    """Seconds to wait out before a find-then-create destination is asked again after an unknown outcome."""
    return max((b.connector.server_limit for b in bindings.values() if _finds_then_creates(b.connector)), default=0.0)


def check_lease(lease_seconds: float, bindings: Mapping[str, Binding]) -> None:
    """Holds the condition under which find-then-create has one effect: our deadlines and the server's limit end within
    the lease. Raises BindingRefused where the settings break it.
    """
    for binding in bindings.values():
        if not _finds_then_creates(binding.connector):
            continue
        # finding and creating share one deadline, settling has a second one
        needed = 2 * binding.connection.call_deadline + binding.connector.server_limit + CLOCK_MARGIN_SECONDS
        if needed >= lease_seconds:
            raise BindingRefused(
                f"LOOP_LEASE_SECONDS={lease_seconds:.0f} is too short for {binding.connector.name}: its calls may take "
                f"effect up to {needed:.0f} s after they began, and another run could make the record again. Nothing "
                "was sent. Lengthen the lease or shorten the destination's call_deadline."
            )


def _finds_then_creates(connector: type[Destination]) -> bool:
    return any(o.idempotency is IdempotencyClass.FIND_THEN_CREATE for o in connector.operations.values())


def roles_used(catalog: Catalog) -> set[str]:
    return {
        role
        for signal in catalog.signals.values()
        for role in (
            *(step.role for step in signal.version.playbook.steps),
            *(e.role for e in signal.version.playbook.enrich.values() if e.role),
        )
    }


def is_all_sandbox(catalog: Catalog, bindings: Mapping[str, Binding]) -> bool:
    """Whether nothing that any playbook does can leave this machine's sandbox."""
    return all(bindings[role].is_sandbox for role in roles_used(catalog) if role in bindings)
