"""Asks destinations about held actions whose outcome nobody knows: did it happen after all?"""

from __future__ import annotations

from datetime import datetime

from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.crash_points import reach
from dagster_project.ledger.unknown_outcomes import record_answer, unknown_work
from dagster_project.ledger.work import WorkItem
from dagster_project.respond.asking import ask
from dagster_project.respond.fitting import DoesNotFit
from dagster_project.respond.workshop import Workshop

AT_MOST = 50  # per run; each is at least one call


async def reconcile_unknown(workshop: Workshop, until: datetime) -> dict[str, int]:
    """Asks about each held unknown outcome of the signal; returns how many came to which answer.

    An answer of `delivered` settles the action, one that proves it was not done lets it wait for its turn again, and
    anything else leaves it held for a person; so does one that cannot be asked about any more, with the cause told.
    Parameters: the workshop; when no further question begins, for one may take its whole deadline.
    """
    counts: dict[str, int] = {}
    items = unknown_work(workshop.database, workshop.claim.signal, AT_MOST).items
    for asked, item in enumerate(items):
        if workshop.database.now() >= until:
            workshop.say(f"{len(items) - asked} questions about unknown outcomes are left to the next run")
            break
        outcome, told = await _answer(workshop, item)
        reach("answer_found")
        record_answer(workshop.database, item.action_id, outcome, told)
        name = outcome.verdict.value if outcome is not None else Verdict.UNKNOWN.value
        counts[name] = counts.get(name, 0) + 1
    return counts


async def _answer(workshop: Workshop, item: WorkItem) -> tuple[Outcome | None, str]:
    """What the destination knows, or nothing and why it cannot be asked."""
    try:
        return await ask(workshop.destinations, item, item.arguments_json or "", item.attempted_at), ""
    except DoesNotFit as error:
        told = f"it cannot be asked about: {error}"
        workshop.say(f"action {item.action_id}, {item.step}: {told}; it waits for a person")
        return None, told
