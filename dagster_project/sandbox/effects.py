"""Remembers every lasting change a call made, with the idempotency key it carried, so that a test can count effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dagster_project.sandbox.store import Store, now_text


@dataclass(frozen=True, slots=True)
class Effect:
    """One lasting change that one call made.

    `is_created` tells a new record from a change of an existing one: an upsert sent twice is one created effect and
    one that is not. `entity` is the business id that the record carries, where it carries one.
    """

    vendor: str
    operation: str
    record: str
    idempotency_key: str | None = None
    entity: str | None = None
    is_created: bool = True
    url: str | None = None
    at: str = ""


def record_effect(store: Store, effect: Effect) -> None:
    """Writes one effect; belongs inside the same `change` as the effect itself."""
    store.run(
        "insert into effects (vendor, operation, idempotency_key, entity, record, is_created, url, at)"
        " values (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            effect.vendor,
            effect.operation,
            effect.idempotency_key,
            effect.entity,
            effect.record,
            int(effect.is_created),
            effect.url,
            effect.at or now_text(),
        ),
    )


def read_effects(store: Store, vendor: str | None = None, after: int = 0) -> list[dict[str, Any]]:
    """Effects in the order they happened, as JSON-ready rows with their running `id`; those beyond `after` only."""
    rows = store.rows(
        "select * from effects where (:vendor is null or vendor = :vendor) and id > :after order by id",
        {"vendor": vendor, "after": after},
    )
    return [{**dict(row), "is_created": bool(row["is_created"])} for row in rows]


def count_effects(store: Store) -> dict[str, Any]:
    """Totals by vendor and operation, and every key that created more than one record."""
    totals = store.rows(
        "select vendor, operation, count(*) as calls, sum(is_created) as created from effects"
        " group by 1, 2 order by 1, 2"
    )
    repeated = store.rows(
        "select vendor, operation, idempotency_key, count(*) as created from effects"
        " where is_created and idempotency_key is not null group by 1, 2, 3 having count(*) > 1 order by 1, 2, 3"
    )
    return {
        "total": sum(row["calls"] for row in totals),
        "created": sum(row["created"] for row in totals),
        "by_operation": [dict(row) for row in totals],
        "created_more_than_once": [dict(row) for row in repeated],
    }
