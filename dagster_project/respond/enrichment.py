"""Looks up what the events alone do not say: rows of dbt models, and what a destination has on record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagster_project.contracts.catalog import CatalogModel
from dagster_project.contracts.conditions import resolve_path
from dagster_project.contracts.destination import Destination
from dagster_project.contracts.event import SignalEvent
from dagster_project.contracts.playbook import Enrichment, Playbook, PlaybookVersion
from dagster_project.contracts.warehouse import WarehouseTarget
from dagster_project.detect.warehouse_reading import reading, rows_by_key
from dagster_project.respond.fitting import DoesNotFit

# (signal, step, entity ids) -> for each entity with earlier work: what `Enrichment` promises of the ledger
EarlierWork = Callable[[str, str, Sequence[str]], Mapping[str, Mapping[str, Any]]]


@dataclass
class Enriched:
    """What was looked up for one playbook version, by enrichment name and key value."""

    rows: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    asked: dict[str, set[str]] = field(default_factory=dict)
    failure: Exception | None = None  # why some of it could not be looked up

    def row_for(self, name: str, enrichment: Enrichment, event: SignalEvent) -> Mapping[str, Any] | None:
        key = key_of(enrichment, event)
        return None if key is None else self.rows.get(name, {}).get(key)


@dataclass
class LookedUp:
    """What a run has looked up; apart by playbook version, for two of them may call different things by one name."""

    by_version: dict[str, Enriched] = field(default_factory=dict)

    def under(self, version: PlaybookVersion) -> Enriched:
        return self.by_version.setdefault(version.content_hash(), Enriched())

    def row_counts(self) -> dict[str, int]:
        """How many rows were found, by enrichment name."""
        counts: Counter[str] = Counter()
        for enriched in self.by_version.values():
            counts.update({name: len(rows) for name, rows in enriched.rows.items()})
        return dict(counts)


def key_of(enrichment: Enrichment, event: SignalEvent) -> str | None:
    value = resolve_path(enrichment.by, event.scope())
    return None if value is None else str(value)


def keys_wanted(playbook: Playbook, events: Sequence[SignalEvent], enriched: Enriched) -> dict[str, list[str]]:
    """For each enrichment, the keys of these events that were not looked up yet."""
    wanted = {}
    for name, enrichment in playbook.enrich.items():
        keys = {key for event in events if (key := key_of(enrichment, event)) is not None}
        if new := sorted(keys - enriched.asked.get(name, set())):
            wanted[name] = new
    return wanted


async def enrich(
    playbook: Playbook,
    events: Sequence[SignalEvent],
    enriched: Enriched,
    target: WarehouseTarget,
    models: Mapping[str, CatalogModel],
    destinations: Mapping[str, Destination],
    earlier: EarlierWork,
) -> None:
    """Adds to `enriched` what these events still lack.

    Parameters: the playbook; the events; what is known already, which grows; the warehouse; the models that enrichment
    may read; the opened destinations by role; how to ask the ledger (signal, step, entity ids).
    Raises WarehouseUnavailable or LookupFailed, and DoesNotFit where a source is not there any more; nothing was sent
    then.
    """
    wanted = keys_wanted(playbook, events, enriched)
    for name in wanted:
        _check(name, playbook.enrich[name], models, destinations)
    from_models = {name: keys for name, keys in wanted.items() if playbook.enrich[name].model is not None}
    if from_models:
        _read_models(playbook, from_models, enriched, target, models)
    for name, keys in wanted.items():
        enrichment = playbook.enrich[name]
        if enrichment.role is not None and enrichment.lookup is not None:
            found = await destinations[enrichment.role].look_up(enrichment.lookup, keys)
            _keep(enriched, name, keys, found)
        elif enrichment.ledger is not None:
            _keep(enriched, name, keys, earlier(events[0].signal, enrichment.ledger, keys))


def _check(
    name: str, enrichment: Enrichment, models: Mapping[str, CatalogModel], destinations: Mapping[str, Destination]
) -> None:
    """A playbook is checked when it is loaded; one that work was planned with long ago may name what is gone since."""
    asks = f"which the playbook it was planned with looks up as {name!r}"
    if enrichment.model is not None:
        model = models.get(enrichment.model)
        if model is None or enrichment.key not in model.columns:
            what = f"dbt model {enrichment.model!r}" if model is None else f"column {enrichment.model}.{enrichment.key}"
            raise DoesNotFit(f"the {what}, {asks}, is not there any more: bring it back and prepare the project")
    if enrichment.role is not None:
        destination = destinations.get(enrichment.role)
        if destination is None or enrichment.lookup not in destination.lookups:
            what = f"{enrichment.role}.{enrichment.lookup}"
            raise DoesNotFit(
                f"{what}, {asks}, is not there any more: bind the role in LOOP_BINDINGS to a destination that has it"
            )


def _read_models(
    playbook: Playbook,
    wanted: Mapping[str, Sequence[str]],
    enriched: Enriched,
    target: WarehouseTarget,
    models: Mapping[str, CatalogModel],
) -> None:
    with reading(target) as warehouse:
        for name, keys in wanted.items():
            enrichment = playbook.enrich[name]
            model = models[enrichment.model or ""]
            found = rows_by_key(warehouse, model.relation, enrichment.key or "", list(model.columns), keys)
            if enrichment.is_optional:
                found = {key: found.get(key, dict.fromkeys(model.columns)) for key in keys}
            _keep(enriched, name, keys, found)


def _keep(enriched: Enriched, name: str, keys: Sequence[str], found: Mapping[str, Mapping[str, Any]]) -> None:
    enriched.rows.setdefault(name, {}).update(found)
    enriched.asked.setdefault(name, set()).update(keys)
