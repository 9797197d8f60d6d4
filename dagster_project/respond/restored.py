"""Asks destinations, by the key, about work that a restored ledger holds: was it done after the backup?

What is found is settled, what provably was not done goes on, an upsert goes out again, for it makes one effect however
often it is sent. Everything else waits for a person.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import datetime

from dagster_project.contracts.destination import Outcome, Verdict
from dagster_project.contracts.playbook import PlaybookVersion
from dagster_project.ledger.restored_work import (
    PROVED_NOT_DONE,
    SENT_AGAIN,
    ask_later,
    end_where_nothing_is_to_follow,
    is_about_to_be_done,
    leave_to_a_person,
    may_be_sent_again,
    record_found,
    restored_work,
)
from dagster_project.ledger.restoring import gap_began_at
from dagster_project.ledger.work import WorkItem
from dagster_project.respond.asking import ask
from dagster_project.respond.fitting import DoesNotFit, operation_for
from dagster_project.respond.looking_up import look_up
from dagster_project.respond.rendering import RenderContext, render
from dagster_project.respond.workshop import Workshop

_RESULT_OF = re.compile(r"\bsteps\.(\w+)")
AT_MOST = 1000  # per run; each is at least one call

NOTHING_TO_FOLLOW = "nothing to follow"
FOUND, NOT_DONE, AGAIN, FOR_A_PERSON, LATER = (
    "found done",
    "not done",
    "sent again",
    "for a person",
    "asked again later",
)


async def reconcile_restored(workshop: Workshop, until: datetime) -> dict[str, int]:
    """Asks about each held action and group of the signal; returns how many came to which answer.

    Parameters: the workshop; when no further question begins, for one may take its whole deadline.
    """
    with workshop.database.reading() as connection:
        since = gap_began_at(connection)
    counts: Counter[str] = Counter()
    seen: set[str] = set()
    while since is not None and len(seen) < AT_MOST and workshop.database.now() < until:
        work = restored_work(workshop.database, workshop.claim.signal, AT_MOST - len(seen), sorted(seen))
        missing = {item.action_id: missing_results(work.versions[item.playbook_version], item) for item in work.items}
        known = [item for item in work.items if item.arguments_json is not None or not missing[item.action_id]]
        for item in known:
            if workshop.database.now() >= until:
                workshop.say("further questions about the restored ledger's work are left to the next run")
                break
            seen.add(item.action_id)
            counts[await _ask(workshop, item, work.versions[item.playbook_version], since)] += 1
        if not known:  # the rest needs what was not found
            counts.update(_until_found(workshop, item, missing[item.action_id]) for item in work.items)
            break
    return dict(counts)


async def _ask(workshop: Workshop, item: WorkItem, version: PlaybookVersion, since: datetime) -> str:
    try:
        arguments_json = item.arguments_json or await _rendered(workshop, item, version)
        if arguments_json is None:
            return _later(workshop, item)
        attempted_at = min(since, item.attempted_at) if item.attempted_at is not None else since
        outcome = await ask(workshop.destinations, item, arguments_json, attempted_at)
    except DoesNotFit as error:
        workshop.say(f"action {item.action_id}, {item.step}: it cannot be asked about: {error}; it waits for a person")
        return _for_a_person(workshop, item)
    if outcome is None and may_be_sent_again(item.idempotency):
        record_found(workshop.database, item.action_id, Outcome(Verdict.RETRY, SENT_AGAIN))
        return AGAIN
    if outcome is None:
        return _for_a_person(workshop, item)
    if outcome.verdict is Verdict.DELIVERED:
        record_found(workshop.database, item.action_id, outcome)
        return FOUND
    if outcome.verdict is Verdict.RETRY:
        record_found(workshop.database, item.action_id, replace(outcome, reason=PROVED_NOT_DONE))
        return NOT_DONE
    return _later(workshop, item)


async def _rendered(workshop: Workshop, item: WorkItem, version: PlaybookVersion) -> str | None:
    """The request as it would have been sent, to ask with; it is stored only if it goes out. Raises DoesNotFit."""
    destination, operation = operation_for(workshop.destinations, item)
    step = version.playbook.step(item.step)
    if step is None:
        return None
    failure = await look_up(workshop, version, [event for event, _ in item.cases()])
    if isinstance(failure, DoesNotFit):
        raise failure
    if failure is not None:
        return None
    context = RenderContext(version, workshop.looked_up.under(version), destination, operation)
    return render(item, step, context).arguments_json


def missing_results(version: PlaybookVersion, item: WorkItem) -> set[str]:
    """Earlier steps whose results the request names and that are not known yet; without them it would be another."""
    step = version.playbook.step(item.step)
    named: set[str] = set() if step is None else set(_RESULT_OF.findall(json.dumps(step.arguments, default=str)))
    return {name for name in named if any(name not in results for _, results in item.cases())}


def _until_found(workshop: Workshop, item: WorkItem, missing: set[str]) -> str:
    """A later run asks: the next one where what is missing is about to be done, else after a while. What follows a
    step that this episode never had was not done either, and never will be."""
    if end_where_nothing_is_to_follow(workshop.database, item.action_id):
        return NOTHING_TO_FOLLOW
    if not is_about_to_be_done(workshop.database, item, missing):
        ask_later(workshop.database, item.action_id)
    return LATER


def _later(workshop: Workshop, item: WorkItem) -> str:
    ask_later(workshop.database, item.action_id)
    return LATER


def _for_a_person(workshop: Workshop, item: WorkItem) -> str:
    leave_to_a_person(workshop.database, item.action_id)
    return FOR_A_PERSON
