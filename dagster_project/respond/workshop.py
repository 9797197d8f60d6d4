"""What a run has at hand while it works, so that its parts need no more than one thing handed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from dagster_project.contracts.catalog import CatalogModel
from dagster_project.contracts.destination import Destination
from dagster_project.contracts.warehouse import WarehouseTarget
from dagster_project.ledger.database import Database
from dagster_project.ledger.destination_state import CircuitPolicy
from dagster_project.ledger.gates import Claim
from dagster_project.ledger.retry_policy import RetryPolicy
from dagster_project.respond.enrichment import LookedUp


@dataclass(frozen=True)
class DeliveryPolicy:
    retry: RetryPolicy
    circuit: CircuitPolicy
    lease_within: timedelta
    in_flight_calls: int
    random: Random


@dataclass(frozen=True)
class Workshop:
    """What a run has at hand while it works: the ledger, its claim, opened destinations, and what it has looked up."""

    database: Database
    claim: Claim
    target: WarehouseTarget
    models: Mapping[str, CatalogModel]
    destinations: Mapping[str, Destination]  # by role
    looked_up: LookedUp
    policy: DeliveryPolicy
    say: Callable[[str], None]
