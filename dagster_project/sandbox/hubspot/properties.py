"""The properties API, and the checks that property values go through before a record is written."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster_project.sandbox.calls import Call, Reply, json_reply
from dagster_project.sandbox.hubspot.errors import HubSpotError, error_reply, invalid, invalid_properties, not_found
from dagster_project.sandbox.hubspot.object_types import ObjectType, all_types, built_in_properties, object_type
from dagster_project.sandbox.store import Store, now_text

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_TYPES = {"string", "number", "date", "datetime", "enumeration", "bool"}
_WRITABLE_BY_NOBODY = {"hs_object_id", "createdate", "lastmodifieddate", "hs_createdate", "hs_lastmodifieddate"}


@dataclass(frozen=True)
class PropertyRules:
    """What one property accepts."""

    name: str
    kind: str
    is_unique: bool
    options: frozenset[str]


class PropertyCatalog:
    """The property definitions of the portal, read once and kept in step with the file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rules: dict[str, dict[str, PropertyRules]] = {}
        self.seed()

    def seed(self) -> None:
        """Gives an empty portal its built-in properties."""
        with self._store.change():
            for kind in all_types():
                for definition in built_in_properties(kind):
                    self._insert(kind, {"groupName": f"{kind.singular.lower()}information", **definition})
        self._rules.clear()

    def _insert(self, kind: ObjectType, definition: dict[str, Any]) -> None:
        self._store.run(
            "insert or ignore into hubspot_properties values (?, ?, ?, ?)",
            (kind.name, definition["name"], int(definition["hasUniqueValue"]), json.dumps(definition)),
        )

    def rules(self, kind: ObjectType) -> dict[str, PropertyRules]:
        """The rules of a type's properties by name."""
        if kind.name not in self._rules:
            self._rules[kind.name] = {
                definition["name"]: PropertyRules(
                    definition["name"],
                    definition["type"],
                    bool(definition["hasUniqueValue"]),
                    frozenset(option["value"] for option in definition.get("options", ())),
                )
                for definition in self.definitions(kind)
            }
        return self._rules[kind.name]

    def definitions(self, kind: ObjectType) -> list[dict[str, Any]]:
        """The definitions as the API shows them."""
        rows = self._store.rows(
            "select definition from hubspot_properties where object_type = ? order by name", (kind.name,)
        )
        return [json.loads(row["definition"]) for row in rows]

    def create(self, kind: ObjectType, definition: dict[str, Any]) -> None:
        """Adds a definition."""
        self._insert(kind, definition)
        self._rules.pop(kind.name, None)

    def require_unique(self, kind: ObjectType, name: str) -> None:
        """Refuses an idProperty that is unknown or not unique, in HubSpot's words."""
        rules = self.rules(kind).get(name)
        if rules is None:
            raise invalid(f'Property "{name}" does not exist for object type {kind.type_id}')
        if not rules.is_unique:
            raise invalid(f"Unable to perform update/upsert by non-unique {kind.type_id} property {name}")


def _problem(rules: PropertyRules | None, name: str, value: str, store: Store) -> tuple[str, str] | None:
    if rules is None:
        return "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'
    if name in _WRITABLE_BY_NOBODY:
        return "READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.'
    if value == "":
        return None
    if rules.options and value not in rules.options:
        return "INVALID_OPTION", f"{value} was not one of the allowed options: {sorted(rules.options)}"
    if rules.kind == "number" and not _is_number(value):
        return "INVALID_DOUBLE", f"{value} was not a valid number."
    if rules.kind in ("date", "datetime") and not _is_moment(value):
        return "INVALID_DATE", f"{value} was not a valid long."
    if name == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
        return "INVALID_EMAIL", f"Email address {value} is invalid"
    if name == "hubspot_owner_id" and store.one("select 1 from hubspot_owners where id = ?", (value,)) is None:
        return "INVALID_OWNER_ID", f"Owner {value} does not exist"
    return None


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _is_moment(value: str) -> bool:
    if value.lstrip("-").isdigit():  # milliseconds since 1970
        return True
    try:
        datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True


def checked_values(
    store: Store, catalog: PropertyCatalog, kind: ObjectType, values: Any, *, is_new: bool
) -> dict[str, str]:
    """The values as HubSpot keeps them: text, all known and valid.

    Raises HubSpotError (400) that lists every problem.
    """
    if not isinstance(values, dict):
        raise invalid("Invalid input JSON: properties must be an object")
    texts = {name: _as_text(value) for name, value in values.items()}
    rules = catalog.rules(kind)
    problems = []
    for name, value in texts.items():
        found = _problem(rules.get(name), name, value, store)
        if found is not None:
            problems.append({"message": found[1], "error": found[0], "name": name})
    if problems:
        raise invalid_properties(problems)
    missing = [name for name in kind.required if is_new and not texts.get(name)]
    if missing:
        listed = ", ".join(missing)
        raise invalid(f"Error creating {kind.singular}. Some required properties were not set.: [{listed}]")
    return texts


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def list_properties(call: Call, catalog: PropertyCatalog, type_name: str) -> Reply:
    """GET /crm/v3/properties/{type}"""
    del call
    return json_reply(200, {"results": catalog.definitions(object_type(type_name))})


def read_property(call: Call, catalog: PropertyCatalog, type_name: str, name: str) -> Reply:
    """GET /crm/v3/properties/{type}/{name}"""
    del call
    kind = object_type(type_name)
    found = next((definition for definition in catalog.definitions(kind) if definition["name"] == name), None)
    if found is None:
        raise not_found(
            f'Property "{name}" does not exist', subCategory="PropertyValidationError.PROPERTY_DOESNT_EXIST"
        )
    return json_reply(200, found)


def create_property(call: Call, catalog: PropertyCatalog, type_name: str) -> Reply:
    """POST /crm/v3/properties/{type}"""
    kind, asked = object_type(type_name), call.json()
    for needed in ("name", "label", "type", "fieldType", "groupName"):
        if not isinstance(asked, dict) or not isinstance(asked.get(needed), str):
            raise invalid(f"Invalid input JSON: required field {needed} was not set")
    if not _NAME.fullmatch(asked["name"]) or asked["type"] not in _TYPES:
        raise invalid(f"Invalid property definition: name {asked['name']}, type {asked['type']}")
    if asked["name"] in catalog.rules(kind):
        message = f"A property named '{asked['name']}' already exists."
        raise HubSpotError(error_reply(409, "OBJECT_ALREADY_EXISTS", message))
    moment = now_text()
    definition = {"hasUniqueValue": False, "options": [], **asked, "createdAt": moment, "updatedAt": moment}
    catalog.create(kind, definition)
    return json_reply(201, definition)
