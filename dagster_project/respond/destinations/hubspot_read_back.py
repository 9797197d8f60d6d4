"""What a HubSpot request has written, in HubSpot's own words, so that the record can be compared with it later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dagster_project.respond.destinations.hubspot_arguments import (
    AddToCampaign,
    AssignTask,
    ContactArguments,
    UpdateTask,
    UpsertCompany,
)

OBJECT_TYPES = {
    "add_to_campaign": "contacts",
    "upsert_contact": "contacts",
    "upsert_company": "companies",
    "assign_task": "tasks",
    "update_task": "tasks",
}


def list_name(campaign: str) -> str:
    """How the membership in a campaign's list is named among a contact's values."""
    return f"member of {campaign}"


def entity_values(arguments: ContactArguments | UpsertCompany, entity_property: str) -> dict[str, str]:
    """The values of a contact or company, its entity's id and its campaign included."""
    joined = {list_name(arguments.campaign): "yes"} if isinstance(arguments, AddToCampaign) else {}
    return {entity_property: arguments.entity_id, **arguments.values(), **joined}


def is_task(arguments: Any) -> bool:
    return isinstance(arguments, AssignTask | UpdateTask)


def changed_at(record: Mapping[str, Any]) -> datetime | None:
    """When HubSpot says that the record was changed last."""
    told = record.get("updatedAt")
    try:
        return datetime.fromisoformat(told).astimezone(UTC) if isinstance(told, str) else None
    except ValueError:
        return None


def values_in(record: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """The record's values under the names that were asked for; HubSpot leaves out or nulls what is empty."""
    properties = record.get("properties")
    held = properties if isinstance(properties, dict) else {}
    return {name: str(held[name]) for name in names if held.get(name) is not None}
