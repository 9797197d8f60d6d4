"""Asset checks on what was done about a signal: in time, no dead letters, nobody kept waiting, every count adds up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from dagster import AssetCheckResult, AssetChecksDefinition, AssetCheckSeverity, AssetKey, MetadataValue, asset_check
from sqlalchemy import Row, select

from dagster_project.contracts.catalog import CatalogSignal
from dagster_project.ledger.database import Database
from dagster_project.ledger.schema import actions
from dagster_project.verify.conservation import prove
from dagster_project.verify.sla import judge, read_timings

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
            verdict = judge(read_timings(connection, signal.name, ledger.now()), signal.spec)
        oldest = verdict.oldest_open
        return AssetCheckResult(
            passed=verdict.is_kept,
            metadata={
                "share_in_time": verdict.share_in_time,
                "events": verdict.measured,
                "oldest_waiting_seconds": oldest.total.total_seconds() if oldest else 0.0,
                "oldest_waiting_without_held_seconds": oldest.unheld.total_seconds() if oldest else 0.0,
                "p50_seconds": verdict.p50 or 0.0,
                "p95_seconds": verdict.p95 or 0.0,
                "late": MetadataValue.json(
                    [f"{t.entity_id}: {_told(t.total)}, of it {_told(t.held)} held" for t in verdict.late[:NAMED]]
                ),
            },
        )

    return act_within


def _told(span: timedelta) -> str:
    return str(timedelta(seconds=int(span.total_seconds())))


def _dead_letters(signal: CatalogSignal, key: AssetKey, database: GetDatabase) -> AssetChecksDefinition:
    @asset_check(asset=key, name="no_dead_letters", description="Nothing is out of attempts, rejected or unrenderable.")
    def no_dead_letters() -> AssetCheckResult:
        rows = _rows(database(), signal.name, "dead")
        return AssetCheckResult(passed=not rows, metadata={"dead": len(rows), "rows": _named(rows)})

    return no_dead_letters


def _held_within(signal: CatalogSignal, key: AssetKey, database: GetDatabase) -> AssetChecksDefinition:
    @asset_check(asset=key, name="held_within", description="Held work does not wait too long for a person.")
    def held_within() -> AssetCheckResult:
        ledger = database()
        limit = ledger.now() - signal.spec.held_within.as_timedelta()
        rows = _rows(ledger, signal.name, "held")
        late = [row for row in rows if row.planned_at < limit]
        return AssetCheckResult(
            passed=not late,
            severity=AssetCheckSeverity.WARN,
            metadata={"held": len(rows), "too_long": len(late), "rows": _named(late)},
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


def _rows(database: Database, signal: str, state: str) -> Sequence[Row[Any]]:
    with database.reading() as connection:
        query = select(actions).where(
            actions.c.signal == signal, actions.c.state == state, actions.c.group_id.is_(None)
        )
        return connection.execute(query.order_by(actions.c.planned_at)).all()


def _named(rows: Sequence[Row[Any]]) -> MetadataValue:
    return MetadataValue.json([f"{r.entity_id or r.action_id} {r.step}: {r.reason} {r.detail}" for r in rows[:NAMED]])
