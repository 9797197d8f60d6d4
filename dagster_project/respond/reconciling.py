"""Asks destinations about held actions whose outcome nobody knows: did it happen after all?"""

from __future__ import annotations

from dagster_project.contracts.destination import Request, Verdict
from dagster_project.crash_points import reach
from dagster_project.ledger.unknown_outcomes import record_answer, unknown_work
from dagster_project.respond.delivery import Workshop
from dagster_project.respond.rendering import load_arguments

AT_MOST = 50  # per run; each is at least one call


async def reconcile_unknown(workshop: Workshop) -> dict[str, int]:
    """Asks about each held unknown outcome of the signal; returns how many came to which answer.

    An answer of `delivered` settles the action, one that proves it was not done lets it wait for its turn again, and
    anything else leaves it held for a person.
    """
    counts: dict[str, int] = {}
    for item in unknown_work(workshop.database, workshop.claim.signal, AT_MOST).items:
        destination = workshop.destinations[item.role]
        operation = destination.operations[item.operation]
        arguments = load_arguments(operation, item.arguments_json or "")
        request = Request(item.action_id, arguments, attempted_at=item.attempted_at)
        outcome = await destination.reconcile(item.operation, request)
        reach("answer_found")
        record_answer(workshop.database, item.action_id, outcome)
        name = outcome.verdict.value if outcome is not None else Verdict.UNKNOWN.value
        counts[name] = counts.get(name, 0) + 1
    return counts
