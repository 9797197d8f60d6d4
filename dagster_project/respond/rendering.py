"""Turns a claimed action or group into the request it will send, or into the reason why it cannot be sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

from jinja2 import StrictUndefined, Undefined
from pydantic import ValidationError

from dagster_project.contracts.conditions import as_number, holds
from dagster_project.contracts.destination import Destination, Operation, ReasonFor
from dagster_project.contracts.event import SignalEvent
from dagster_project.contracts.playbook import PlaybookVersion, RouteRule, Step
from dagster_project.ledger.intents import Rendering
from dagster_project.ledger.work import StepResult, WorkItem
from dagster_project.respond.enrichment import Enriched, key_of
from dagster_project.respond.templating import Escape, RenderFailed, render_arguments

NOT_RENDERED = "not_rendered"
NEEDS_APPROVAL = "needs_approval"


@dataclass(frozen=True)
class RenderContext:
    version: PlaybookVersion
    enriched: Enriched
    destination: type[Destination] | Destination
    operation: Operation


def render(item: WorkItem, step: Step, context: RenderContext) -> Rendering:
    """The rendering of one action or group; never raises for what the data or the playbook says."""
    members = tuple(member.action_id for member in item.members)
    try:
        scope = scope_of(item, context)
        raw = render_arguments(step.arguments, scope, partial(_escape_of, context))
        arguments = context.operation.arguments.model_validate(raw)
    except RenderFailed as error:
        return Rendering(item.action_id, reason=NOT_RENDERED, detail=str(error)[:500], member_ids=members)
    except ValidationError as error:
        return Rendering(
            item.action_id, reason=ReasonFor.INVALID_REQUEST.value, detail=_told(error), member_ids=members
        )
    holding = "" if item.is_approved else hold_reason(step, scope)
    return Rendering(
        item.action_id,
        arguments_json=arguments.model_dump_json(),
        reason=NEEDS_APPROVAL if holding else "",
        detail=holding,
        is_held=bool(holding),
        member_ids=members,
    )


def hold_reason(step: Step, scope: Mapping[str, Any]) -> str:
    """Why a person has to approve this; empty where nobody has to."""
    known = _without_missing_rows(scope)
    met = next((conditions for conditions in step.hold_when if holds(conditions, known)), None)
    if met is None:
        return ""
    asked = "; ".join(f"{path} {json.dumps(_plain(matcher))}" for path, matcher in met.items())
    return f"held for approval by the playbook: {asked}"


def _without_missing_rows(scope: Mapping[str, Any]) -> dict[str, Any]:
    """A row that was not found is an error in a template and simply missing in a condition."""
    return {name: None if isinstance(value, Undefined) else value for name, value in scope.items()}


def _plain(matcher: Any) -> Any:
    return matcher.model_dump(mode="json", exclude_none=True) if hasattr(matcher, "model_dump") else matcher


def _told(error: ValidationError) -> str:
    wrong = (
        f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False, include_url=False)
    )
    return "; ".join(wrong)[:500]


def _escape_of(context: RenderContext, field: str) -> Escape:
    if field in context.operation.rich_text:
        return _escape_with(context.destination.escape, context.operation.name)
    return str


@lru_cache(maxsize=64)
def _escape_with(escape: Callable[[str, str], str], operation: str) -> Escape:
    """One object for each operation: compiled templates are cached by the escaping that they were compiled with."""
    return partial(escape, operation)


def scope_of(item: WorkItem, context: RenderContext) -> dict[str, Any]:
    """What templates and `hold_when` see. A group's scope is its most severe member's, with `group` and `members`.

    A member that left its group before the group was sealed is a group of one.
    """
    scopes = [_event_scope(event, results, context) for event, results in item.cases()]
    step = context.version.playbook.step(item.step)
    if step is None or step.group_by is None:
        return scopes[0]
    parts = ["row", *context.version.playbook.enrich]
    totals = {part: _sums([scope[part] for scope in scopes if isinstance(scope[part], Mapping)]) for part in parts}
    return {**scopes[0], "members": scopes, "group": {"count": len(scopes), **totals.pop("row"), **totals}}


def _sums(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """For every numeric column its sum over the members: `group.order_value`, `group.open_in_erp.quantity`."""
    totals: dict[str, Any] = {}
    for row in rows:
        for column, value in row.items():
            if (number := as_number(value)) is not None:
                totals[column] = totals.get(column, Decimal(0)) + (
                    value if isinstance(value, int) else Decimal(str(number))
                )
    return totals


def _event_scope(event: SignalEvent, results: Mapping[str, StepResult], context: RenderContext) -> dict[str, Any]:
    playbook = context.version.playbook
    scope: dict[str, Any] = {**event.scope(), "parameters": context.version.parameters}
    for name, enrichment in playbook.enrich.items():
        row = context.enriched.row_for(name, enrichment, event)
        origin = enrichment.model or enrichment.ledger or f"{enrichment.role}.{enrichment.lookup}"
        hint = f"{name}: {origin} has no row for {enrichment.by} = {key_of(enrichment, event)}"
        scope[name] = row if row is not None else StrictUndefined(hint=hint)
    scope["route"] = {name: choose_route(rules, scope) for name, rules in playbook.routes.items()}
    scope["steps"] = {name: result.as_scope() for name, result in results.items()}
    return scope


def choose_route(rules: Sequence[RouteRule], scope: Mapping[str, Any]) -> Any:
    """The first rule that holds decides; the last one always does. Its text is a value: where it is put in, it is
    escaped as the row's own values are."""
    chosen = next(rule.use for rule in rules if holds(rule.when, _without_missing_rows(scope)))
    return render_arguments(chosen, scope, lambda _field: str, "route")
