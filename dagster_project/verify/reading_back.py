"""Draws a sample, reads each record back from its destination, and files what came of it."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Row

from dagster_project.contracts.destination import Destination, LookupFailed, Operation, Request
from dagster_project.contracts.read_back import ReadBack, ReadsBack, as_json
from dagster_project.ledger.erasure import ERASED_JSON
from dagster_project.ledger.gates import blocked_destinations
from dagster_project.ledger.samples import Drawn, Sample, Verdict, candidates, drawn, file_sample, last_written_at
from dagster_project.respond.action_run import Surroundings
from dagster_project.respond.bindings import Binding
from dagster_project.respond.fitting import load_arguments
from dagster_project.verify.sampling import draw, is_in_time, ledger_findings, record_verdict

CADENCES: Mapping[str, tuple[timedelta, int]] = {  # how far back, and how many records
    "daily": (timedelta(days=1), 50),
    "weekly": (timedelta(days=7), 200),
}


class Unreadable(Exception):
    """A record that cannot be read back, and why."""


@dataclass(frozen=True)
class SampleReport:
    sample_id: str
    seed: int
    delivered: int  # how many could have been drawn
    verdicts: tuple[tuple[Row[Any], Verdict], ...]

    def count(self, verdict: str) -> int:
        return sum(one.verdict == verdict for _, one in self.verdicts)


def take_sample(
    around: Surroundings, cadence: str, back: timedelta, wanted: int, seed: int | None = None
) -> SampleReport:
    """Draws and files one sample.

    Parameters: what it is called; how far back deliveries are drawn from; how many records in all, one of each signal,
    step and destination at least; the seed of an earlier sample, to draw it again.
    """
    chosen = secrets.randbits(62) if seed is None else seed
    until = around.database.now()
    with around.database.reading() as connection:
        found = candidates(connection, until - back, until)
        picked, strata = draw(found, wanted, chosen)
        rows = drawn(connection, [one.action_id for one in picked])
        written = {row.action.action_id: last_written_at(connection, row.action) for row in rows}
        blocked = blocked_destinations(connection, until)
    verdicts = asyncio.run(_read_all(around, rows, written, blocked))
    sample = Sample(secrets.token_hex(8), cadence, chosen, until - back, until, strata)
    filed = tuple(zip((row.action for row in rows), verdicts, strict=True))
    file_sample(around.database, sample, filed)
    return SampleReport(sample.sample_id, chosen, len(found), filed)


async def _read_all(
    around: Surroundings, rows: Sequence[Drawn], written: Mapping[str, datetime], blocked: set[str]
) -> list[Verdict]:
    async with _opened(around.bindings) as destinations:
        return [await _verdict(around, destinations, row, written[row.action.action_id], blocked) for row in rows]


@asynccontextmanager
async def _opened(bindings: Mapping[str, Binding]) -> AsyncIterator[dict[str, Destination]]:
    destinations = {binding.connector.name: binding.open() for binding in bindings.values()}
    try:
        yield destinations
    finally:
        for destination in destinations.values():
            await destination.close()


async def _verdict(
    around: Surroundings,
    destinations: Mapping[str, Destination],
    row: Drawn,
    last_written: datetime,
    blocked: set[str],
) -> Verdict:
    action = row.action
    against = ledger_findings(row)
    read = None
    try:
        read, overwritten = await _read(destinations, row, blocked)
    except Unreadable as error:
        verdict = "unreadable"
        findings: tuple[str, ...] = (str(error),)
    else:
        verdict, findings = record_verdict(read, overwritten, last_written)
    if against:
        verdict = "mismatch"
    signal = around.catalog.signals.get(action.signal)
    promised = signal.spec.act_within.as_timedelta() if signal is not None else None
    kept = None if read is None else as_json(read)
    return Verdict(action.action_id, verdict, (*against, *findings), is_in_time(row, promised), kept)


async def _read(
    destinations: Mapping[str, Destination], row: Drawn, blocked: set[str]
) -> tuple[ReadBack | None, frozenset[str]]:
    """The record, and the names in it that later requests of the loop wrote. Raises Unreadable."""
    action = row.action
    destination = destinations.get(action.destination)
    if destination is None:
        raise Unreadable(f"{action.destination} is not bound any more")
    if not isinstance(destination, ReadsBack) or action.operation not in destination.readable:
        raise Unreadable(f"{action.destination} cannot be asked about {action.operation}")
    if action.destination in blocked:
        raise Unreadable(f"{action.destination} is paused or takes nothing now")
    if action.external_id is None:
        raise Unreadable("the delivery gave no id")
    operations = destination.operations
    request = _request(operations, action.action_id, action.operation, row.arguments_json)
    result = _result(action.result_json)
    try:
        found = await destination.read_back(action.operation, request, action.external_id, result)
    except LookupFailed as error:
        raise Unreadable(str(error)) from error
    overwritten: frozenset[str] = frozenset()
    for action_id, operation, arguments_json in row.later:
        later = _request(operations, action_id, operation, arguments_json)
        overwritten |= destination.written_by(operation, later)
    return found, overwritten


def _request(
    operations: Mapping[str, Operation], action_id: str, operation: str, arguments_json: str | None
) -> Request:
    if arguments_json is None:
        raise Unreadable("the request is not in the ledger")
    if arguments_json == ERASED_JSON:
        raise Unreadable("the request was erased with the entity's personal data")
    try:
        return Request(action_id, load_arguments(operations[operation], arguments_json))
    except (KeyError, ValidationError) as error:
        raise Unreadable(f"the stored request does not fit {operation} any more") from error


def _result(text: str | None) -> dict[str, str]:
    return {str(name): str(value) for name, value in json.loads(text or "{}").items()}
