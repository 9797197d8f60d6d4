"""Asset checks on what was done about a signal: in time, no dead letters, nobody kept waiting, every count adds up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dagster import AssetCheckResult, AssetChecksDefinition, AssetCheckSeverity, AssetKey, MetadataValue, asset_check
from sqlalchemy import ColumnElement, Connection, Row, func, select

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import IN_QUEUE, actions
from dagster_project.verify.conservation import prove
from dagster_project.verify.sla import held_time, judge, read_timings

GetDatabase = Callable[[], Database]
NAMED = 20  # rows that a failing check names


def build_action_checks(signal: CatalogSignal, key: AssetKey, database: GetDatabase) -> list[AssetChecksDefinition]:
    """The checks on `actions/<signal>`.

    Parameters: the signal; the asset that stands for its actions; how to get at the ledger when a check runs.
    """
    return [
        _act_within(signal, key, database),
        _dead_letters(signal, key, database),
        _held_within(signal, key, database),
        _conservation(signal, key, database),
    ]


def _act_within(signal: CatalogSignal, key: AssetKey, database: GetDatabase) -> AssetChecksDefinition:
    @asset_check(asset=key, name="act_within", description="Opened events are acted on within the promised time.")
    def act_within() -> AssetCheckResult:
        ledger = database()
        with ledger.reading() as connection:
            now = ledger.now()
            verdict = judge(read_timings(connection, signal.name, now), signal.spec)
            oldest, late = verdict.oldest_open, verdict.late[:NAMED]
            held = held_time(connection, [*late, *([oldest] if oldest else [])], now)
        return AssetCheckResult(
            passed=verdict.is_kept,
            metadata={
                "share_in_time": verdict.share_in_time,
                "events": verdict.measured,
                "oldest_waiting_seconds": oldest.total.total_seconds() if oldest else 0.0,
                "oldest_waiting_without_held_seconds": (
                    (oldest.total - held[oldest.event_id]).total_seconds() if oldest else 0.0
                ),
                "p50_seconds": verdict.p50 or 0.0,
                "p95_seconds": verdict.p95 or 0.0,
                "late": MetadataValue.json(
                    [f"{t.entity_id}: {_told(t.total)}, of it {_told(held[t.event_id])} held" for t in late]
                ),
            },
        )

    return act_within


def _told(span: timedelta) -> str:
    return str(timedelta(seconds=int(span.total_seconds())))


def _dead_letters(signal: CatalogSignal, key: AssetKey, database: GetDatabase) -> AssetChecksDefinition:
    @asset_check(asset=key, name="no_dead_letters", description="Nothing is out of attempts, rejected or unrenderable.")
    def no_dead_letters() -> AssetCheckResult:
        with database().reading() as connection:
            dead = _unfinished(connection, signal.name, "dead")
        return AssetCheckResult(passed=not dead.count, metadata={"dead": dead.count, "rows": _named(dead.rows)})

    return no_dead_letters


def _held_within(signal: CatalogSignal, key: AssetKey, database: GetDatabase) -> AssetChecksDefinition:
    @asset_check(asset=key, name="held_within", description="Held work does not wait too long for a person.")
    def held_within() -> AssetCheckResult:
        ledger = database()
        before = ledger.now() - signal.spec.held_within.as_timedelta()
        with ledger.reading() as connection:
            held = _unfinished(connection, signal.name, "held")
            late = _unfinished(connection, signal.name, "held", actions.c.planned_at < before)
        return AssetCheckResult(
            passed=not late.count,
            severity=AssetCheckSeverity.WARN,
            metadata={"held": held.count, "too_long": late.count, "rows": _named(late.rows)},
        )

    return held_within


def _conservation(signal: CatalogSignal, key: AssetKey, database: GetDatabase) -> AssetChecksDefinition:
    @asset_check(asset=key, name="conservation", description="Every count adds up, from the rows up.")
    def conservation() -> AssetCheckResult:
        with database().reading() as connection:
            proofs = prove(connection, signal.name)
        return AssetCheckResult(
            passed=all(proof.holds for proof in proofs),
            metadata={
                "laws": MetadataValue.json(
                    {proof.law: f"{proof.checked} checked, {proof.broken} broken" for proof in proofs}
                ),
                "broken": MetadataValue.json([example for proof in proofs for example in proof.examples]),
            },
        )

    return conservation


@dataclass(frozen=True)
class Unfinished:
    count: int
    rows: Sequence[Row[Any]]  # the first of them


def _unfinished(connection: Connection, signal: str, state: str, *where: ColumnElement[bool]) -> Unfinished:
    """How much of a signal is in a state that people have to look at, and which rows a check names."""
    query = select(actions).where(IN_QUEUE, actions.c.state == state, actions.c.signal == signal, *where)
    count = connection.execute(query.with_only_columns(func.count())).scalar_one()
    first = query.order_by(actions.c.reason, actions.c.destination, actions.c.planned_at).limit(NAMED)
    return Unfinished(count, connection.execute(first).all())


def _named(rows: Sequence[Row[Any]]) -> MetadataValue:
    return MetadataValue.json([f"{r.entity_id or r.action_id} {r.step}: {r.reason} {r.detail}" for r in rows])
