"""What a playbook may say to each HubSpot operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, Field, model_validator

from dagster_project.respond.destinations.argument_types import (
    OptionalMoment,
    OptionalText,
    RenderedArguments,
    Required,
    none_if_blank,
    upper_case,
)

Priority = Literal["LOW", "MEDIUM", "HIGH"]
Status = Literal["NOT_STARTED", "IN_PROGRESS", "WAITING", "DEFERRED", "COMPLETED"]


class ContactArguments(RenderedArguments):
    """A person, known by the entity's id."""

    entity_id: Required = Field(description="the entity's id in the warehouse; unique in HubSpot as loop_entity_id")
    email: OptionalText = Field(None, description="e-mail address; HubSpot keeps it unique among contacts")
    first_name: OptionalText = Field(None, description="given name")
    last_name: OptionalText = Field(None, description="family name")
    phone: OptionalText = Field(None, description="telephone number, in any form")

    def values(self) -> dict[str, str]:
        """HubSpot's property names with the values that are given; what is not given stays as it is in HubSpot."""
        named = {
            "email": self.email,
            "firstname": self.first_name,
            "lastname": self.last_name,
            "phone": self.phone,
        }
        return {name: value for name, value in named.items() if value is not None}


class AddToCampaign(ContactArguments):
    """A person who joins a campaign's list."""

    campaign: Required = Field(description="name of the campaign's static list; made when there is none")


class UpsertContact(ContactArguments):
    """A person whose record is to be up to date."""

    properties: Mapping[str, str] = Field(
        default_factory=dict, description="further HubSpot properties by their internal names"
    )

    def values(self) -> dict[str, str]:
        """The named fields, then the further properties, which win."""
        return {**super().values(), **self.properties}


class UpsertCompany(RenderedArguments):
    """A company whose record is to be up to date."""

    entity_id: Required = Field(description="the entity's id in the warehouse; unique in HubSpot as loop_entity_id")
    name: OptionalText = Field(None, description="the company's name")
    domain: OptionalText = Field(None, description="web domain, such as example.com")
    lifecycle_stage: OptionalText = Field(None, description="HubSpot's internal stage name, such as customer")
    properties: Mapping[str, str] = Field(
        default_factory=dict, description="further HubSpot properties by their internal names"
    )

    def values(self) -> dict[str, str]:
        """HubSpot's property names with the values that are given; the further properties win."""
        named = {"name": self.name, "domain": self.domain, "lifecyclestage": self.lifecycle_stage}
        return {**{name: value for name, value in named.items() if value is not None}, **self.properties}


class AssignTask(RenderedArguments):
    """A task for a person in HubSpot, about a contact or a company or both."""

    subject: Required = Field(description="the task's title, plain text")
    body: str = Field("", description="the task's text, HTML; values from templates are escaped")
    owner_email: OptionalText = Field(None, description="the HubSpot user who gets the task; nobody when left out")
    due_at: AwareDatetime = Field(description="when it is due, ISO 8601 with a time zone")
    priority: Annotated[Priority, BeforeValidator(upper_case)] = Field("MEDIUM", description="LOW, MEDIUM or HIGH")
    contact_entity_id: OptionalText = Field(None, description="the contact it is about, by loop_entity_id")
    company_entity_id: OptionalText = Field(None, description="the company it is about, by loop_entity_id")


class UpdateTask(RenderedArguments):
    """New values of an existing task's fields; fields left out keep theirs."""

    task_id: Required = Field(description="HubSpot's id of the task, as assign_task gave it")
    priority: Annotated[Priority | None, BeforeValidator(none_if_blank), BeforeValidator(upper_case)] = Field(
        None, description="LOW, MEDIUM or HIGH"
    )
    status: Annotated[Status | None, BeforeValidator(none_if_blank), BeforeValidator(upper_case)] = Field(
        None, description="NOT_STARTED, IN_PROGRESS, WAITING, DEFERRED or COMPLETED"
    )
    due_at: OptionalMoment = Field(None, description="when it is due, ISO 8601 with a time zone")
    subject: OptionalText = Field(None, description="the task's title, plain text")
    body: OptionalText = Field(None, description="the task's text, HTML; values from templates are escaped")

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not any((self.priority, self.status, self.due_at, self.subject, self.body)):
            raise ValueError("give at least one of priority, status, due_at, subject, body")
        return self
