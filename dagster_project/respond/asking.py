"""Asks a destination whether an earlier attempt took effect; a question that fails fails alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from dagster_project.contracts.destination import Destination, Outcome, ReasonFor, Verdict
from dagster_project.ledger.work import WorkItem
from dagster_project.respond.calling import place_of
from dagster_project.respond.fitting import operation_for, stored_request
from dagster_project.respond.workshop import Workshop

SHARE_OF_LEASE = 1 / 6  # that a run's questions may take, for its own work waits for them under that lease


def ask_until(workshop: Workshop) -> datetime:
    """When a run that begins to ask now begins no further question; what is left is asked by the next run."""
    return workshop.database.now() + workshop.policy.lease_within * SHARE_OF_LEASE


async def ask(
    destinations: Mapping[str, Destination], item: WorkItem, arguments_json: str, attempted_at: datetime | None
) -> Outcome | None:
    """What the destination knows of the item's key; None where it has no means to tell.

    Parameters: the opened destinations by role; the action or group; its request, stored or as it would be sent; when
    the attempt began that is asked about.
    Raises DoesNotFit where it cannot be asked: the role, the operation or the request's arguments are of another time.
    """
    destination, operation = operation_for(destinations, item)
    request = stored_request(operation, item.action_id, arguments_json, attempted_at)
    try:
        return await destination.reconcile(operation.name, request)
    except Exception as error:  # noqa: BLE001 - whatever a connector raises is a fault of its own, not of the row
        return Outcome(Verdict.UNKNOWN, ReasonFor.CONNECTOR_FAILED.value, place_of(error))
