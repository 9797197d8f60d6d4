"""Whether work that was planned or rendered under an earlier configuration still fits the connectors of today.

What does not fit is told and stops alone: an exception of another kind would stop its whole run, and every later one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import ValidationError

from dagster_project.contracts.destination import Destination, Operation, OperationArguments, ReasonFor, Request
from dagster_project.ledger.work import WorkItem


class DoesNotFit(Exception):
    """What the work names is not there any more, or does not take it; the message says what, and what to do."""

    def __init__(self, told: str, reason: ReasonFor = ReasonFor.MISCONFIGURED) -> None:
        super().__init__(told)
        self.reason = reason


def operation_for(destinations: Mapping[str, Destination], item: WorkItem) -> tuple[Destination, Operation]:
    """The destination and the operation that the work was planned for.

    Parameters: the opened destinations by role. Raises DoesNotFit where one of both is not there any more,
    or another destination answers for the role.
    """
    destination = destinations.get(item.role)
    if destination is None:
        raise DoesNotFit(f"no destination is bound to the role {item.role!r} any more: bind it again in LOOP_BINDINGS")
    if destination.name != item.destination:  # pauses, circuits and the promise of the ledger's row are the old one's
        raise DoesNotFit(
            f"it was planned for {item.destination}, and the role {item.role!r} is bound to {destination.name} now: "
            f"bind it to {item.destination} again in LOOP_BINDINGS"
        )
    operation = destination.operations.get(item.operation)
    if operation is None:
        raise DoesNotFit(
            f"{destination.name} has no operation {item.operation!r} any more: go back to a connector that has it"
        )
    return destination, operation


def load_arguments(operation: Operation, arguments_json: str) -> OperationArguments:
    """The stored request as the connector takes it. Raises ValidationError where the connector has changed since."""
    return operation.arguments.model_validate_json(arguments_json)


def stored_request(
    operation: Operation, action_id: str, arguments_json: str, attempted_at: datetime | None = None
) -> Request:
    """The stored request as the connector takes it. Raises DoesNotFit where it does not take it any more."""
    try:
        return Request(action_id, load_arguments(operation, arguments_json), attempted_at)
    except ValidationError as error:
        raise DoesNotFit(
            f"the stored request does not fit {operation.name} any more, {error.error_count()} errors: go back to a "
            "connector that takes it",
            ReasonFor.INVALID_REQUEST,
        ) from None
