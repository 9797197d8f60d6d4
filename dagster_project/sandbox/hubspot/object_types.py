"""The object types of the sandbox's portal: their ids, their properties and the default associations between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dagster_project.sandbox.hubspot.errors import HubSpotError, error_reply


@dataclass(frozen=True)
class ObjectType:
    """One kind of record; `shown` are the properties that come back unasked."""

    name: str
    singular: str
    type_id: str
    shown: tuple[str, ...]
    required: tuple[str, ...] = ()


CONTACTS = ObjectType("contacts", "CONTACT", "0-1", ("email", "firstname", "lastname"))
COMPANIES = ObjectType("companies", "COMPANY", "0-2", ("domain", "name"))
TICKETS = ObjectType("tickets", "TICKET", "0-5", ("content", "hs_pipeline", "hs_pipeline_stage", "subject"))
TASKS = ObjectType("tasks", "TASK", "0-27", (), required=("hs_timestamp",))

_TYPES = (CONTACTS, COMPANIES, TICKETS, TASKS)
_BY_NAME = {name: kind for kind in _TYPES for name in (kind.name, kind.singular.lower(), kind.type_id)}

# Default association types: https://developers.hubspot.com/docs/api-reference/crm-associations-v4/guide
DEFAULT_ASSOCIATIONS = {
    ("contacts", "companies"): 279,
    ("companies", "contacts"): 280,
    ("tasks", "contacts"): 204,
    ("contacts", "tasks"): 203,
    ("tasks", "companies"): 192,
    ("companies", "tasks"): 191,
    ("tickets", "contacts"): 16,
    ("contacts", "tickets"): 15,
    ("tickets", "companies"): 339,
    ("companies", "tickets"): 340,
    ("tasks", "tickets"): 230,
    ("tickets", "tasks"): 229,
}


def object_type(name: str) -> ObjectType:
    """The type by its plural, singular or id. Raises HubSpotError (400) for another one, as HubSpot does."""
    try:
        return _BY_NAME[name]
    except KeyError:
        message = f"Unable to infer object type from: {name}"
        raise HubSpotError(error_reply(400, "VALIDATION_ERROR", message)) from None


def _text(name: str, label: str, *, unique: bool = False, kind: str = "string") -> dict[str, Any]:
    field = {"string": "text", "number": "number", "datetime": "date", "bool": "booleancheckbox"}[kind]
    return {"name": name, "label": label, "type": kind, "fieldType": field, "hasUniqueValue": unique}


def _choice(name: str, label: str, *values: str) -> dict[str, Any]:
    options = [
        {"label": value.replace("_", " ").capitalize(), "value": value, "displayOrder": place, "hidden": False}
        for place, value in enumerate(values)
    ]
    return {
        "name": name,
        "label": label,
        "type": "enumeration",
        "fieldType": "select",
        "hasUniqueValue": False,
        "options": options,
    }


# What the portal's administrator has added for the loop: the keys by which records are upserted.
_LOOP_KEYS = (
    _text("loop_key", "Loop key", unique=True),
    _text("loop_entity_id", "Loop entity id", unique=True),
)
_EVERYWHERE = (
    _text("hs_object_id", "Record ID", kind="number"),
    _text("createdate", "Create date", kind="datetime"),
    _text("lastmodifieddate", "Last modified", kind="datetime"),
    _text("hs_createdate", "Create date", kind="datetime"),
    _text("hs_lastmodifieddate", "Last modified", kind="datetime"),
    _text("hubspot_owner_id", "Owner"),
)

_LIFECYCLE = _choice(
    "lifecyclestage",
    "Lifecycle stage",
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
)
_OWN = {
    "contacts": (
        _text("email", "Email", unique=True),
        _text("firstname", "First name"),
        _text("lastname", "Last name"),
        _text("phone", "Phone"),
        _text("mobilephone", "Mobile phone"),
        _text("company", "Company"),
        _text("jobtitle", "Job title"),
        _text("city", "City"),
        _text("country", "Country"),
        _text("website", "Website"),
        _LIFECYCLE,
    ),
    "companies": (
        _text("name", "Name"),
        _text("domain", "Domain"),
        _text("industry", "Industry"),
        _text("phone", "Phone"),
        _text("city", "City"),
        _text("country", "Country"),
        _text("description", "Description"),
        _text("annualrevenue", "Annual revenue", kind="number"),
        _text("numberofemployees", "Number of employees", kind="number"),
        _LIFECYCLE,
    ),
    "tasks": (
        _text("hs_timestamp", "Due date", kind="datetime"),
        _text("hs_task_subject", "Title"),
        _text("hs_task_body", "Notes"),
        _choice("hs_task_status", "Status", "NOT_STARTED", "IN_PROGRESS", "WAITING", "COMPLETED", "DEFERRED"),
        _choice("hs_task_priority", "Priority", "NONE", "LOW", "MEDIUM", "HIGH"),
        _choice("hs_task_type", "Type", "TODO", "CALL", "EMAIL"),
        _text("hs_task_reminders", "Reminder"),
    ),
    "tickets": (
        _text("subject", "Ticket name"),
        _text("content", "Description"),
        _text("hs_pipeline", "Pipeline"),
        _text("hs_pipeline_stage", "Status"),
        _choice("hs_ticket_priority", "Priority", "LOW", "MEDIUM", "HIGH", "URGENT"),
    ),
}


def built_in_properties(kind: ObjectType) -> tuple[dict[str, Any], ...]:
    """The definitions that every new portal of the sandbox starts with."""
    return (*_EVERYWHERE, *_OWN[kind.name], *_LOOP_KEYS)


def all_types() -> tuple[ObjectType, ...]:
    """Every type of the portal."""
    return _TYPES
