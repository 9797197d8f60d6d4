"""Prepares what is to be sent before any intent of it is written: a fault found here has touched nobody.

What was planned under an earlier configuration may not fit today's any more. It is settled as dead, alone, and says
why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dagster_project.contracts.destination import Destination, Operation, Request
from dagster_project.contracts.playbook import PlaybookVersion, Step
from dagster_project.ledger.intents import Rendering
from dagster_project.ledger.work import ReadyWork, WorkItem
from dagster_project.respond.enrichment import Enriched
from dagster_project.respond.fitting import DoesNotFit, operation_for, stored_request
from dagster_project.respond.looking_up import look_up
from dagster_project.respond.rendering import RenderContext, render
from dagster_project.respond.workshop import Workshop


@dataclass(frozen=True)
class Sendable:
    """One action or group with all that its call needs."""

    role: str
    destination: Destination
    operation: Operation
    step: Step
    request: Request


@dataclass(frozen=True)
class Prepared:
    renderings: list[Rendering]  # what the ledger has to store or to settle
    sendable: Mapping[str, Sendable]  # by action id, in the order of the work


async def look_up_missing(workshop: Workshop, work: ReadyWork) -> None:
    """Enriches what the run's first look-up did not cover."""
    for version_id, items in _unrendered(work):
        await look_up(workshop, work.versions[version_id], [event for item in items for event, _ in item.cases()])


def _unrendered(work: ReadyWork) -> Iterator[tuple[str, list[WorkItem]]]:
    """What has no stored request yet, by playbook version."""
    unrendered = [item for item in work.items if item.arguments_json is None]
    for version_id in sorted({item.playbook_version for item in unrendered}):
        yield version_id, [item for item in unrendered if item.playbook_version == version_id]


def prepare(workshop: Workshop, work: ReadyWork) -> Prepared:
    """Renders what was not rendered yet and loads what is stored; what could not be looked up now is left out."""
    renderings: list[Rendering] = []
    sendable: dict[str, Sendable] = {}
    known = {version_id: workshop.looked_up.under(version) for version_id, version in work.versions.items()}
    for item in work.items:
        enriched = known[item.playbook_version]
        failure = enriched.failure if item.arguments_json is None else None
        if failure is not None and not isinstance(failure, DoesNotFit):
            continue
        try:
            if failure is not None:
                raise failure
            rendering, ready = _prepare_one(workshop, item, work.versions[item.playbook_version], enriched)
        except DoesNotFit as misfit:
            rendering, ready = _dead(item, misfit), None
        renderings += [rendering] if rendering is not None else []
        sendable |= {item.action_id: ready} if ready is not None else {}
    return Prepared(renderings, sendable)


def _prepare_one(
    workshop: Workshop, item: WorkItem, version: PlaybookVersion, enriched: Enriched
) -> tuple[Rendering | None, Sendable | None]:
    """What the ledger is to store or settle, and what is to be sent. Raises DoesNotFit."""
    destination, operation = operation_for(workshop.destinations, item)
    step = _step(version, item)
    rendering = None
    arguments_json = item.arguments_json
    if arguments_json is None:
        rendering = render(item, step, RenderContext(version, enriched, destination, operation))
        arguments_json = rendering.arguments_json
        if arguments_json is None or rendering.is_held:
            return rendering, None
    request = stored_request(operation, item.action_id, arguments_json)
    return rendering, Sendable(item.role, destination, operation, step, request)


def _step(version: PlaybookVersion, item: WorkItem) -> Step:
    step = version.playbook.step(item.step)
    if step is None:
        raise LookupError(
            f"action {item.action_id}: playbook version {item.playbook_version} has no step {item.step!r}"
        )
    return step


def _dead(item: WorkItem, misfit: DoesNotFit) -> Rendering:
    detail = f"nothing was sent: {misfit}, then `loopctl replay`; or `loopctl discard`"
    return Rendering(item.action_id, reason=misfit.reason.value, detail=detail[:500])
