"""What pruning left behind: totals for whoever counts, deeds for whoever asks what was done for an entity before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from dagster_project.ledger.schema import pruned_deeds, pruned_totals

EVENT, ACTION, GROUP, ATTEMPT, SAMPLED_RECORD = "event", "action", "group", "attempt", "sampled_record"
Total = tuple[str, str, str, str, str]  # unit, kind, step, state, reason


def dialect_insert(connection: Connection, table: Table) -> Any:
    """The database's own insert, which knows what to do about a row that is there already."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def add_totals(connection: Connection, signal: str, counted: Counter[Total]) -> None:
    """Adds to the totals of a signal, inside the transaction that takes the rows away."""
    rows = [
        {"signal": signal, "unit": unit, "kind": kind, "step": step, "state": state, "reason": reason, "n": n}
        for (unit, kind, step, state, reason), n in sorted(counted.items())
    ]
    if rows:
        statement = dialect_insert(connection, pruned_totals)
        key = [column.name for column in pruned_totals.primary_key]
        added = {"n": pruned_totals.c.n + statement.excluded.n}
        connection.execute(statement.on_conflict_do_update(index_elements=key, set_=added), rows)


def add_deeds(connection: Connection, signal: str, delivered: Iterable[Row[Any]]) -> None:
    """Carries on what these delivered actions did for their entities; the newest by build is the last one."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in sorted(delivered, key=lambda one: (one.build_no, one.action_id)):
        deed = found.setdefault((row.entity_id, row.step, row.kind), {"delivered": 0})
        deed["delivered"] += 1
        last_settled_at = max(row.settled_at, deed.get("last_settled_at", row.settled_at))
        deed |= {
            "last_build_no": row.build_no,
            "last_external_id": row.external_id,
            "last_settled_at": last_settled_at,
        }
    for (entity_id, step, kind), deed in found.items():
        _merge_deed(connection, {"signal": signal, "entity_id": entity_id, "step": step, "kind": kind}, deed)


def _merge_deed(connection: Connection, key: Mapping[str, str], deed: Mapping[str, Any]) -> None:
    where = [pruned_deeds.c[name] == value for name, value in key.items()]
    before = connection.execute(select(pruned_deeds).where(*where)).first()
    if before is None:
        connection.execute(pruned_deeds.insert(), {**key, **deed})
        return
    newest = deed if deed["last_build_no"] >= before.last_build_no else before._asdict()
    merged = {
        "delivered": before.delivered + deed["delivered"],
        "last_build_no": newest["last_build_no"],
        "last_external_id": newest["last_external_id"],
        "last_settled_at": max(before.last_settled_at, deed["last_settled_at"]),
    }
    connection.execute(pruned_deeds.update().where(*where).values(**merged))


def totals(connection: Connection, signal: str, unit: str, *by: str) -> dict[tuple[str, ...], int]:
    """How many rows of one unit are gone, by these columns of the totals."""
    columns = [pruned_totals.c[name] for name in by]
    query = select(*columns, func.sum(pruned_totals.c.n).label("n")).group_by(*columns)
    query = query.where(pruned_totals.c.signal == signal, pruned_totals.c.unit == unit)
    return {tuple(row[:-1]): int(row.n) for row in connection.execute(query)}


def entities_acted_since(connection: Connection, signal: str, kind: str, ids: Sequence[str], at: datetime) -> set[str]:
    """Those of these entities for whom a pruned action of this kind was delivered after a moment."""
    recent = (
        pruned_deeds.c.signal == signal,
        pruned_deeds.c.entity_id.in_(ids),
        pruned_deeds.c.kind == kind,
        pruned_deeds.c.last_settled_at > at,
    )
    return set(connection.execute(select(pruned_deeds.c.entity_id).where(*recent)).scalars())


def deeds(connection: Connection, signal: str, step: str, ids: Sequence[str]) -> Sequence[Row[Any]]:
    """What pruned actions of one step did for these entities, in the order of their last builds."""
    of_step = (pruned_deeds.c.signal == signal, pruned_deeds.c.step == step, pruned_deeds.c.entity_id.in_(ids))
    return connection.execute(select(pruned_deeds).where(*of_step).order_by(pruned_deeds.c.last_build_no)).all()


def deeds_of(connection: Connection, entity_id: str) -> Sequence[Row[Any]]:
    """All that pruned actions did for one entity, of any signal."""
    query = select(pruned_deeds).where(pruned_deeds.c.entity_id == entity_id)
    return connection.execute(query.order_by(pruned_deeds.c.last_settled_at)).all()
