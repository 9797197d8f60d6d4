"""Looks for what is wrong and tells people, over every channel that is given and each independently of the other."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Row

from dagster_project.contracts.destination import Destination, Operation, Outcome, ReasonFor, Request, Verdict
from dagster_project.ledger.gates import blocked_destinations
from dagster_project.ledger.incidents import (
    DEAD,
    Changes,
    Condition,
    due_messages,
    intend,
    left_open,
    observe,
    settle_message,
)
from dagster_project.ledger.log_lines import about
from dagster_project.ledger.retry_policy import RetryPolicy
from dagster_project.respond.action_run import Surroundings
from dagster_project.respond.bindings import Binding
from dagster_project.verify.alerting import (
    CHAT,
    CHECKED_BY_DAGSTER,
    FROM_LEDGER,
    MAIL,
    AlertChannels,
    check_conditions,
    composed,
    escaped_for,
    ledger_conditions,
)

OPERATIONS = {CHAT: "post_message", MAIL: "send_email"}
AT_ONCE = 50  # messages a pass and channel; a flood is told over several passes
CLOCK_MARGIN = timedelta(seconds=30)
log = logging.getLogger(__name__)


@dataclass
class AlertReport:
    """What one pass found and told."""

    changes: Changes = field(default_factory=Changes)
    states: dict[str, int] = field(default_factory=dict)  # messages by the state they are in now

    def count(self, state: str) -> None:
        self.states[state] = self.states.get(state, 0) + 1


def channels_of(around: Surroundings) -> AlertChannels:
    """Where the settings say that alerts go."""
    chosen = around.settings
    return AlertChannels(chosen.alert_channel, chosen.alert_email, chosen.runbook)


def watch(around: Surroundings, failed_checks: Iterable[tuple[str, str]] | None = None) -> AlertReport:
    """One pass: opens and ends incidents, then sends what is due.

    Parameters: the surroundings; the checks that failed when they ran last, as asset and check, or None where nobody
    looked at checks.
    """
    conditions = ledger_conditions(around.database, around.catalog)
    kinds = FROM_LEDGER
    if failed_checks is not None:
        conditions += check_conditions(failed_checks)
        kinds |= CHECKED_BY_DAGSTER
    return tell(around, conditions, kinds)


def tell(around: Surroundings, conditions: Sequence[Condition], kinds: frozenset[str]) -> AlertReport:
    """Records what is wrong of these kinds and sends what is due, that of earlier passes too."""
    channels = channels_of(around)

    def compose(incident: Any, phase: str) -> Mapping[str, Mapping[str, Any]]:
        return composed(incident, phase, channels)

    report = AlertReport(observe(around.database, conditions, kinds, compose))
    for incident in report.changes.opened:
        log.warning(
            "incident opened: %s %s: %s",
            incident.kind,
            incident.subject,
            incident.summary,
            extra=about(incident=incident.incident_id, kind=incident.kind, subject=incident.subject),
        )
    for incident in report.changes.resolved:
        log.info("incident over: %s %s", incident.kind, incident.subject)
    asyncio.run(_send_all(around, channels.roles, report))
    return report


async def _send_all(around: Surroundings, roles: Sequence[str], report: AlertReport) -> None:
    """Every channel on its own: what one does not take, or how long it takes, keeps no other waiting."""
    bound = [around.bindings[role] for role in roles if role in around.bindings]
    results = await asyncio.gather(*(_send(around, one, report) for one in bound), return_exceptions=True)
    for failure in results:
        if isinstance(failure, BaseException):
            log.error("alerts over one channel failed: %r", failure)


async def _send(around: Surroundings, binding: Binding, report: AlertReport) -> None:
    with around.database.reading() as connection:
        blocked = blocked_destinations(connection, around.database.now())
    if binding.connector.name in blocked:
        return  # its messages wait; the other channel's do not
    destination = binding.open()
    try:
        channel = _Channel(around, binding, destination, report)
        await channel.ask_about_left_open()
        for message in due_messages(around.database, [binding.role], AT_ONCE):
            if not await channel.send(message):
                return  # it takes nothing now
    finally:
        await destination.close()


@dataclass
class _Channel:
    """One opened destination that alerts go to."""

    around: Surroundings
    binding: Binding
    destination: Destination
    report: AlertReport

    def __post_init__(self) -> None:
        chosen = self.around.settings
        self.policy = RetryPolicy(chosen.max_attempts, chosen.retry_base_seconds, chosen.retry_cap_seconds)
        self.operation: Operation = self.destination.operations[OPERATIONS[self.binding.role]]

    async def send(self, message: Row[Any]) -> bool:
        """Sends one message; False where the destination as a whole takes nothing now."""
        if not intend(self.around.database, message):
            return True
        try:
            request = self._request(message)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            outcome = Outcome(Verdict.REJECTED, ReasonFor.INVALID_REQUEST.value, wrong[:500])
        else:
            outcome = await self._delivered(request)
        self._settle(message, outcome)
        return outcome.scope == "action"

    async def _delivered(self, request: Request) -> Outcome:
        try:
            (outcome,) = await self.destination.deliver(self.operation.name, [request])
        except Exception as error:  # noqa: BLE001 - a defect of the connector must not keep other alerts from going
            return Outcome(Verdict.UNKNOWN, ReasonFor.CONNECTOR_FAILED.value, type(error).__name__)
        return outcome

    async def ask_about_left_open(self) -> None:
        """Asks about messages that a run which is gone may have sent; what cannot be told is not sent again."""
        limits = self.binding.connection.call_deadline + self.binding.connector.server_limit
        for message in left_open(self.around.database, timedelta(seconds=limits) + CLOCK_MARGIN):
            if message.role != self.binding.role:
                continue
            request = replace(self._request(message), attempted_at=message.begun_at)
            outcome = await self.destination.reconcile(self.operation.name, request)
            unknown = Outcome(Verdict.UNKNOWN, ReasonFor.REPLY_LOST.value, "nobody knows whether it was sent")
            self._settle(message, outcome or unknown, is_final=outcome is None)

    def _request(self, message: Row[Any]) -> Request:
        rich = sorted(self.operation.rich_text)
        arguments = escaped_for(self.destination.escape, self.operation.name, rich, json.loads(message.arguments_json))
        return Request(message.message_id, self.operation.arguments.model_validate(arguments))

    def _settle(self, message: Row[Any], outcome: Outcome, is_final: bool = False) -> None:
        state = settle_message(self.around.database, message, outcome, self.policy, Random(), is_final)
        self.report.count(state)
        if state == DEAD:
            log.error("an alert could not be sent over %s: %s %s", self.binding.role, outcome.reason, outcome.detail)
