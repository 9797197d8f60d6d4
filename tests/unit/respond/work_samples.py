"""Events, playbooks and claimed work as rendering meets them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dagster_project.contracts.destination import IdempotencyClass
from dagster_project.contracts.event import SignalEvent
from dagster_project.contracts.playbook import Playbook, PlaybookVersion, Step
from dagster_project.contracts.vocabulary import Kind, Severity
from dagster_project.ledger.work import Member, StepResult, WorkItem
from dagster_project.respond.destinations.registry import discover
from dagster_project.respond.enrichment import Enriched
from dagster_project.respond.rendering import RenderContext

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)


def event(entity_id: str = "c1", severity: str = "high", kind: str = "opened", **row: Any) -> SignalEvent:
    return SignalEvent(
        event_id=f"event-{entity_id}",
        build_id="build-1",
        signal="customer_churn_risk",
        entity_id=entity_id,
        episode=1,
        kind=Kind(kind),
        severity=Severity(severity),
        score=0.91,
        observed_at=AT,
        emitted_at=AT,
        row_json=json.dumps({"entity_id": entity_id, "reason": "because", **row}),
    )


def version_of(*steps: Mapping[str, Any], parameters: Mapping[str, Any] | None = None, **parts: Any) -> PlaybookVersion:
    known = {name: {"description": name} for name in parameters or {}}
    content = {"name": "nudge", "description": "x", "steps": list(steps), "parameters": known, **parts}
    return PlaybookVersion(
        signal="customer_churn_risk", playbook=Playbook.model_validate(content), parameters=dict(parameters or {})
    )


def post(name: str = "tell", **changes: Any) -> dict[str, Any]:
    arguments = {"channel": "#c", "text": "{{ event.reason }}"} | changes.pop("with_", {})
    return {"name": name, "role": "chat", "operation": "post_message", "with": arguments, **changes}


def context_of(
    version: PlaybookVersion,
    destination: str = "slack",
    operation: str = "post_message",
    rows: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
) -> RenderContext:
    connector = discover()[destination]
    enriched = Enriched(rows={name: dict(found) for name, found in (rows or {}).items()})
    return RenderContext(version, enriched, connector, connector.operations[operation])


def work(step: Step, *events: SignalEvent, is_approved: bool = False, **results: StepResult) -> WorkItem:
    """One event's action, or a group where the step groups."""
    is_group = step.group_by is not None
    return WorkItem(
        action_id="group-1" if is_group else f"action-{events[0].entity_id}",
        is_group=is_group,
        step=step.name,
        operation=step.operation,
        role=step.role,
        destination="slack",
        idempotency=IdempotencyClass.UNKEYED,
        playbook_version="v1",
        is_approved=is_approved,
        arguments_json=None,
        attempted_at=None,
        event=None if is_group else events[0],
        results=results,
        members=tuple(Member(f"action-{e.entity_id}", e, results) for e in events) if is_group else (),
    )
