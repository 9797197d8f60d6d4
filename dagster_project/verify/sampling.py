"""Decides which delivered actions are looked at again, and what a record that was read back proves."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from dagster_project.contracts.playbook import PlaybookVersion
from dagster_project.contracts.read_back import ReadBack
from dagster_project.contracts.vocabulary import Kind
from dagster_project.ledger.samples import Candidate, Drawn

UNKEYED = "unkeyed"


def allot(counts: Mapping[str, int], wanted: int) -> dict[str, int]:
    """How many to draw from each stratum: one from each, then in proportion to its size; never more than it has.

    Parameters: the size of each stratum; how many in all. There are more than `wanted` where there are more strata.
    """
    drawn = {name: min(1, size) for name, size in counts.items()}
    left = min(wanted, sum(counts.values())) - sum(drawn.values())
    rest = {name: size - drawn[name] for name, size in counts.items()}
    total = sum(rest.values())
    if left <= 0 or total == 0:
        return drawn
    shares = {name: left * size / total for name, size in rest.items()}
    for name, share in shares.items():
        drawn[name] += int(share)
    missing = left - sum(int(share) for share in shares.values())
    largest = sorted(shares, key=lambda name: (-(shares[name] - int(shares[name])), name))
    for name in largest[:missing]:
        drawn[name] += 1
    return drawn


def draw(candidates: Sequence[Candidate], wanted: int, seed: int) -> tuple[list[Candidate], dict[str, tuple[int, int]]]:
    """A stratified random sample, and for each stratum how many there were and were drawn.

    The order that the seed gives every id decides, so that the same seed over the same actions draws the same ones.
    """
    strata: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        strata.setdefault(candidate.stratum, []).append(candidate)
    allotted = allot({name: len(some) for name, some in strata.items()}, wanted)
    drawn: list[Candidate] = []
    for name, some in sorted(strata.items()):
        drawn += heapq.nsmallest(allotted[name], some, key=lambda one: _place(seed, one.action_id))
    return drawn, {name: (len(some), allotted[name]) for name, some in strata.items()}


def _place(seed: int, action_id: str) -> str:
    return hashlib.sha256(f"{seed}|{action_id}".encode()).hexdigest()


def ledger_findings(drawn: Drawn) -> list[str]:
    """What the ledger itself says against a delivered action: its snapshot, its playbook, its attempts."""
    action = drawn.action
    findings = []
    for entity_id, row_json in drawn.row_jsons:
        snapshot = json.loads(row_json)
        if "erased" not in snapshot and str(snapshot.get("entity_id", entity_id)) != entity_id:
            findings.append("wrong entity: the row snapshot is another entity's")
    if not drawn.row_jsons:
        findings.append("the event that it answers is not in the ledger")
    findings += _playbook_findings(action, drawn.playbook_json)
    if drawn.deliveries > 1 and action.idempotency == UNKEYED and not drawn.was_replayed:
        findings.append(f"more than once: {drawn.deliveries} attempts were delivered")
    return findings


def _playbook_findings(action: Any, playbook_json: str | None) -> list[str]:
    if playbook_json is None:
        return ["its playbook version is not in the ledger"]
    version = _version(playbook_json)
    if version.content_hash() != action.playbook_version:
        return ["its playbook version is not what its hash says: the stored playbook was changed"]
    step = version.playbook.step(action.step)
    if step is None:
        return ["its playbook version does not have the step"]
    if step.operation != action.operation:
        return [f"its playbook version says {step.operation}, done was {action.operation}"]
    return []


@lru_cache(maxsize=256)
def _version(playbook_json: str) -> PlaybookVersion:
    return PlaybookVersion.model_validate(json.loads(playbook_json))


def is_in_time(drawn: Drawn, act_within: timedelta | None) -> bool | None:
    """Whether a required step of an opened event kept the promise; None where none was made."""
    action = drawn.action
    if act_within is None or action.kind != Kind.OPENED.value or not action.is_required:
        return None
    if drawn.captured_at is None or action.settled_at is None:
        return None
    return bool(action.settled_at - drawn.captured_at <= act_within)


def record_verdict(
    read: ReadBack | None, overwritten: frozenset[str], last_written_at: datetime
) -> tuple[str, tuple[str, ...]]:
    """The verdict on a record and what differs, by name only: values may be personal.

    Parameters: the record; the names that later requests of the loop wrote anew; when the loop last wrote to it.
    """
    if read is None:
        return "gone", ("the destination has no such record any more",)
    findings = []
    if read.carriers is not None and read.carriers > 1:
        findings.append(f"more than once: {read.carriers} records carry the key")
    differing = sorted(
        name
        for name, wanted in read.expected.items()
        if name not in overwritten and not is_same(wanted, read.found.get(name, ""))
    )
    added = sorted(name for name in read.found if name not in read.expected)
    told = [f"differs: {name}" for name in differing] + [f"was added: {name}" for name in added]
    if findings:
        return "mismatch", (*findings, *told)
    if not told:
        return "match", ()
    if read.changed_at is not None and read.changed_at > last_written_at:
        return "changed", (*told, f"changed at {read.changed_at:%Y-%m-%d %H:%M:%S} UTC, after the loop's last write")
    return "mismatch", tuple(told)


def is_same(wanted: str, found: str) -> bool:
    """Whether two values say the same: moments and numbers are compared as such, addresses without regard to case."""
    if wanted.strip() == found.strip():
        return True
    if "@" in wanted and wanted.strip().lower() == found.strip().lower():
        return True
    moments = (_moment(wanted), _moment(found))
    if None not in moments:
        return moments[0] == moments[1]
    numbers = (_number(wanted), _number(found))
    return None not in numbers and numbers[0] == numbers[1]


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
