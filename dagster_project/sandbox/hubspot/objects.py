"""Records of the CRM: written one by one or in batches, found by id or by a unique property."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from dagster_project.sandbox.hubspot.errors import HubSpotError, error_reply, invalid_properties
from dagster_project.sandbox.hubspot.object_types import ObjectType
from dagster_project.sandbox.hubspot.properties import PropertyCatalog, checked_values
from dagster_project.sandbox.store import now_text
from dagster_project.sandbox.world import World


@dataclass(frozen=True)
class Record:
    """One stored record."""

    id: int
    kind: ObjectType
    properties: dict[str, str]
    created_at: str
    updated_at: str

    @property
    def page(self) -> str:
        """The path of the page that shows it."""
        return f"/crm/{self.kind.name}/{self.id}"


class Records:
    """Reads and writes records of all types."""

    def __init__(self, world: World, catalog: PropertyCatalog) -> None:
        self._world = world
        self._store = world.store
        self.catalog = catalog

    def by_id(self, kind: ObjectType, record_id: str) -> Record | None:
        """The record with this id, or None."""
        if not record_id.isdigit() or len(record_id) > 18:
            return None
        row = self._store.one(
            "select * from hubspot_objects where id = ? and object_type = ? and not is_archived",
            (int(record_id), kind.name),
        )
        return None if row is None else record_of(kind, row)

    def by_unique(self, kind: ObjectType, name: str, value: str) -> Record | None:
        """The record whose unique property has this value, or None."""
        found = self._store.value(
            "select object_id from hubspot_unique_values where object_type = ? and property = ? and value = ?",
            (kind.name, name, folded(name, value)),
        )
        return None if found is None else self.by_id(kind, str(found))

    def find(self, kind: ObjectType, record_id: str, id_property: str | None) -> Record | None:
        """The record by its id or a unique property. Raises HubSpotError (400) for a property that is not unique."""
        if id_property is None or id_property == "hs_object_id":
            return self.by_id(kind, record_id)
        self.catalog.require_unique(kind, id_property)
        return self.by_unique(kind, id_property, record_id)

    def create(self, kind: ObjectType, values: Any, *, operation: str, trace: str | None = None) -> Record:
        """Writes a new record. Raises HubSpotError for invalid values (400) or an address that exists (409)."""
        texts = checked_values(self._store, self.catalog, kind, values, is_new=True)
        self._refuse_taken(kind, texts, None)
        moment = now_text()
        kept = {name: value for name, value in texts.items() if value != ""}
        cursor = self._store.run(
            "insert into hubspot_objects (object_type, properties, created_at, updated_at) values (?, ?, ?, ?)",
            (kind.name, json.dumps(kept, ensure_ascii=False), moment, moment),
        )
        record = Record(int(cursor.lastrowid or 0), kind, kept, moment, moment)
        self._index(record, {}, kept)
        self._note(record, operation, texts, trace, is_created=True)
        return record

    def update(self, record: Record, values: Any, *, operation: str, trace: str | None = None) -> Record:
        """Changes the given properties and leaves the others. Raises as `create` does."""
        texts = checked_values(self._store, self.catalog, record.kind, values, is_new=False)
        self._refuse_taken(record.kind, texts, record.id)
        merged = {name: value for name, value in (record.properties | texts).items() if value != ""}
        moment = now_text()
        self._store.run(
            "update hubspot_objects set properties = ?, updated_at = ? where id = ?",
            (json.dumps(merged, ensure_ascii=False), moment, record.id),
        )
        self._index(record, record.properties, merged)
        changed = Record(record.id, record.kind, merged, record.created_at, moment)
        self._note(changed, operation, texts, trace, is_created=False)
        return changed

    def archive(self, record: Record) -> None:
        """Moves a record to the recycling bin."""
        self._store.run("update hubspot_objects set is_archived = 1 where id = ?", (record.id,))
        self._index(record, record.properties, {})
        self._store.run("delete from hubspot_members where record_id = ?", (record.id,))
        self._store.run("delete from hubspot_associations where from_id = ? or to_id = ?", (record.id, record.id))
        self._note(record, "archive", {}, None, is_created=False)

    def _refuse_taken(self, kind: ObjectType, texts: dict[str, str], own_id: int | None) -> None:
        rules = self.catalog.rules(kind)
        for name, value in texts.items():
            if not rules[name].is_unique or value == "":
                continue
            other = self.by_unique(kind, name, value)
            if other is None or other.id == own_id:
                continue
            if name == "email":
                message = f"Contact already exists. Existing ID: {other.id}"
                raise HubSpotError(error_reply(409, "CONFLICT", message))
            message = f'Cannot set PropertyValueCoordinates; {other.id} already has that value for property "{name}".'
            raise invalid_properties([{"message": message, "error": "CONFLICTING_UNIQUE_VALUE", "name": name}])

    def _index(self, record: Record, before: dict[str, str], after: dict[str, str]) -> None:
        for name, rules in self.catalog.rules(record.kind).items():
            if not rules.is_unique or before.get(name) == after.get(name):
                continue
            if name in before:
                self._store.run(
                    "delete from hubspot_unique_values where object_type = ? and property = ? and value = ?",
                    (record.kind.name, name, folded(name, before[name])),
                )
            if name in after:
                self._store.run(
                    "insert into hubspot_unique_values values (?, ?, ?, ?)",
                    (record.kind.name, name, folded(name, after[name]), record.id),
                )

    def _note(
        self, record: Record, operation: str, texts: dict[str, str], trace: str | None, *, is_created: bool
    ) -> None:
        self._world.effect(
            "hubspot",
            f"{record.kind.name}.{operation}",
            f"{record.kind.name}/{record.id}",
            key=trace or texts.get("loop_key") or None,
            entity=record.properties.get("loop_entity_id"),
            is_created=is_created,
            path=record.page,
        )

    def shown(self, record: Record, asked: list[str] | None = None) -> dict[str, Any]:
        """The record as the API shows it: the asked properties beside those that always come."""
        stamped = stamped_properties(record)
        names = record.properties if asked is None else {*record.kind.shown, *asked}
        properties = {name: record.properties.get(name) for name in names if name not in stamped}
        return {
            "id": str(record.id),
            "properties": properties | stamped,
            "createdAt": record.created_at,
            "updatedAt": record.updated_at,
            "archived": False,
            "url": self._world.http_url + record.page,
        }


def record_of(kind: ObjectType, row: sqlite3.Row) -> Record:
    """A record from its row."""
    return Record(row["id"], kind, json.loads(row["properties"]), row["created_at"], row["updated_at"])


def stamped_properties(record: Record) -> dict[str, str]:
    """The properties that HubSpot itself writes."""
    prefix = "hs_" if record.kind.name in ("tasks", "companies", "tickets") else ""
    created = "createdate" if record.kind.name in ("companies", "tickets") else f"{prefix}createdate"
    return {
        created: record.created_at,
        f"{prefix}lastmodifieddate": record.updated_at,
        "hs_object_id": str(record.id),
    }


def folded(name: str, value: str) -> str:
    """A unique value as it is compared: e-mail addresses without regard to case."""
    return value.lower() if name == "email" else value
