"""HubSpot: contacts and companies by batch upsert, campaign lists, and tasks for the people who act."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import ClassVar, cast

from pydantic import Field, SecretStr

from dagster_project.contracts.destination import (
    Connection,
    Destination,
    IdempotencyClass,
    Operation,
    Outcome,
    RateLimit,
    ReasonFor,
    Request,
    SandboxAddress,
    Verdict,
)
from dagster_project.contracts.read_back import ReadBack
from dagster_project.respond.destinations.argument_types import RenderedArguments
from dagster_project.respond.destinations.guarded_destination import GuardedDestination
from dagster_project.respond.destinations.http_transport import HttpTransport
from dagster_project.respond.destinations.hubspot_api import HubSpotApi, Row
from dagster_project.respond.destinations.hubspot_arguments import (
    AddToCampaign,
    AssignTask,
    ContactArguments,
    UpdateTask,
    UpsertCompany,
    UpsertContact,
)
from dagster_project.respond.destinations.hubspot_read_back import (
    OBJECT_TYPES,
    changed_at,
    entity_values,
    list_name,
    values_in,
)
from dagster_project.respond.destinations.outcome_mapping import rejected, retry

ENTITY_PROPERTY = "loop_entity_id"
KEY_PROPERTY = "loop_key"
_BATCH = 100  # inputs that a HubSpot batch call takes
_LABELS = {ENTITY_PROPERTY: "Signal loop: entity", KEY_PROPERTY: "Signal loop: action"}
_TYPE_IDS = {"contacts": "0-1", "companies": "0-2"}


class HubSpotConnection(Connection):
    """How to reach one HubSpot account."""

    base_url: str = Field("https://api.hubapi.com", description="the API's address")
    token: SecretStr = Field(description="the private app's access token")
    api_version: str = Field("2026-03", description='dated API version in the paths; "v3" for the older paths')
    portal_id: str | None = Field(None, description="the account's number, for links to records")
    records_url: str | None = Field(
        None, description="links become {records_url}/contacts/{id} instead of HubSpot's own"
    )


def _operation(
    name: str, arguments: type[RenderedArguments], description: str, rich_text: frozenset[str] = frozenset()
) -> Operation:
    return Operation(name, arguments, IdempotencyClass.UPSERT, _BATCH, rich_text, description)


_BODY = frozenset({"body"})


class HubSpot(GuardedDestination[HubSpotConnection]):
    """The HubSpot connector; every operation is an upsert, so any of them may be sent again."""

    name = "hubspot"
    role = "crm"
    connection_type: ClassVar[type[Connection]] = HubSpotConnection
    operations: ClassVar[Mapping[str, Operation]] = MappingProxyType(
        {
            operation.name: operation
            for operation in (
                _operation("add_to_campaign", AddToCampaign, "upsert a contact and add it to the campaign's list"),
                _operation("upsert_contact", UpsertContact, "upsert a contact"),
                _operation("upsert_company", UpsertCompany, "upsert a company"),
                _operation("assign_task", AssignTask, "make a task for an owner, linked to contact and company", _BODY),
                _operation("update_task", UpdateTask, "set fields of a task", _BODY),
            )
        }
    )
    # HubSpot lets a private app make 190 calls in 10 s (Professional, Enterprise); one delivery makes up to three.
    rate_limit = RateLimit(calls=60, seconds=10.0)
    server_limit = 30.0
    readable = frozenset(OBJECT_TYPES)

    def __init__(self, connection: HubSpotConnection) -> None:
        super().__init__(connection)
        headers = {"Authorization": f"Bearer {connection.token.get_secret_value()}"}
        self._transport = HttpTransport(connection.call_deadline, headers)
        self._api = HubSpotApi(self._transport, connection.base_url, connection.api_version)
        self._ensured: set[tuple[str, str]] = set()
        self._list_ids: dict[str, str] = {}
        self._owner_ids: dict[str, str] = {}

    @classmethod
    def sandbox_connection(cls, sandbox: SandboxAddress) -> HubSpotConnection:
        """The connection to the sandbox's HubSpot."""
        from dagster_project.sandbox import credentials

        return HubSpotConnection(
            base_url=f"{sandbox.http_url}/hubspot",
            token=SecretStr(credentials.HUBSPOT_TOKEN),
            records_url=f"{sandbox.http_url}/crm",
        )

    @classmethod
    def escape(cls, operation: str, text: str) -> str:
        """A value inside a task's body is escaped for HTML."""
        return html.escape(text)

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()

    async def call(self, operation: str, requests: Sequence[Request]) -> Sequence[Outcome]:
        """Delivers one batch."""
        calls: Mapping[str, Callable[[Sequence[Request]], Awaitable[Sequence[Outcome]]]] = {
            "add_to_campaign": self._add_to_campaign,
            "upsert_contact": self._upsert_contacts,
            "upsert_company": self._upsert_companies,
            "assign_task": self._assign_tasks,
            "update_task": self._update_tasks,
        }
        return await calls[operation](requests)

    async def find(self, operation: str, request: Request) -> Outcome | None:
        """A task by its key; what is kept under an entity's own id says nothing about one request."""
        if not isinstance(request.arguments, AssignTask):
            return None
        refusal = await self._ensure("tasks", KEY_PROPERTY)
        ids = refusal or await self._api.ids_by_unique("tasks", KEY_PROPERTY, [request.key])
        if isinstance(ids, Outcome):
            return replace(ids, verdict=Verdict.UNKNOWN)
        if request.key not in ids:
            return retry(ReasonFor.NOT_FOUND, "HubSpot has no task with this key")
        found = ids[request.key]
        url = self._url_of("tasks", found)
        return Outcome(Verdict.DELIVERED, external_id=found, url=url, result={"task_id": found})

    async def read_record(
        self, operation: str, request: Request, external_id: str, result: Mapping[str, str]
    ) -> ReadBack | Outcome | None:
        """The contact, company or task by HubSpot's id, with the campaign's membership where it was joined."""
        expected = dict(self._written(request))
        if isinstance(request.arguments, AssignTask):
            owner = (await self._owners([request.arguments.owner_email])).get(request.arguments.owner_email)
            expected |= {"hubspot_owner_id": owner} if isinstance(owner, str) else {}
        record = await self._api.record(OBJECT_TYPES[operation], external_id, list(expected))
        if record is None or isinstance(record, Outcome):
            return record
        found = values_in(record, expected)
        if isinstance(request.arguments, AddToCampaign):
            lists = await self._api.lists_of(external_id)
            if isinstance(lists, Outcome):
                return lists
            found |= {list_name(request.arguments.campaign): "yes" if result.get("list_id") in lists else "no"}
        return ReadBack(expected, found, changed_at=changed_at(record))

    def written_by(self, operation: str, request: Request) -> frozenset[str]:
        """The properties that this request sets: a later request to the same record may set them anew."""
        return frozenset(self._written(request))

    def _written(self, request: Request) -> Mapping[str, str]:
        arguments = request.arguments
        if isinstance(arguments, AssignTask):
            return {KEY_PROPERTY: request.key, **_task_properties(arguments, None)}
        if isinstance(arguments, UpdateTask):
            return _changed_properties(arguments)
        return entity_values(cast("ContactArguments | UpsertCompany", arguments), ENTITY_PROPERTY)

    async def _add_to_campaign(self, requests: Sequence[Request]) -> Sequence[Outcome]:
        outcomes = await self._upsert_contacts(requests)
        joined = list(outcomes)
        campaigns = [cast(AddToCampaign, request.arguments).campaign for request in requests]
        for campaign in dict.fromkeys(campaigns):
            places = [i for i, name in enumerate(campaigns) if name == campaign and _is_delivered(outcomes[i])]
            members = await self._join_list(campaign, [outcomes[i] for i in places])
            for place, outcome in zip(places, members, strict=True):
                joined[place] = outcome
        return joined

    async def _join_list(self, campaign: str, contacts: Sequence[Outcome]) -> Sequence[Outcome]:
        """Adds contacts that were just upserted to the campaign's list."""
        if not contacts:
            return []
        list_id = await self._list_id(campaign)
        if isinstance(list_id, Outcome):
            return [list_id] * len(contacts)
        ids = list(dict.fromkeys(str(contact.external_id) for contact in contacts))
        missing = await self._api.add_members(list_id, ids)
        if isinstance(missing, Outcome):
            if missing.status == 404:  # deleted since it was looked up: the next attempt looks again
                self._list_ids.pop(campaign, None)
                missing = retry(ReasonFor.NOT_FOUND, f"the HubSpot list {campaign!r} was deleted in the meantime")
            return [missing] * len(contacts)
        absent = retry(
            ReasonFor.NOT_FOUND, "HubSpot does not know the contact yet that it has just made; it joins later"
        )
        return [
            absent if contact.external_id in missing else _with_result(contact, list_id=list_id) for contact in contacts
        ]

    async def _list_id(self, campaign: str) -> str | Outcome:
        if campaign not in self._list_ids:
            found = await self._api.list_id(campaign)
            if isinstance(found, Outcome):
                return found
            self._list_ids[campaign] = found
        return self._list_ids[campaign]

    async def _upsert_contacts(self, requests: Sequence[Request]) -> Sequence[Outcome]:
        arguments = [cast(ContactArguments, request.arguments) for request in requests]
        return await self._upsert_entities(
            "contacts", "contact_id", [(one.entity_id, one.values()) for one in arguments]
        )

    async def _upsert_companies(self, requests: Sequence[Request]) -> Sequence[Outcome]:
        arguments = [cast(UpsertCompany, request.arguments) for request in requests]
        return await self._upsert_entities(
            "companies", "company_id", [(one.entity_id, one.values()) for one in arguments]
        )

    async def _upsert_entities(
        self, object_type: str, id_name: str, records: Sequence[tuple[str, Mapping[str, str]]]
    ) -> Sequence[Outcome]:
        refusal = await self._ensure(object_type, ENTITY_PROPERTY)
        if refusal is not None:
            return [refusal] * len(records)
        rows = await self._api.upsert(object_type, ENTITY_PROPERTY, merged(records))
        return [self._delivered(rows[entity_id], object_type, id_name) for entity_id, _ in records]

    async def _assign_tasks(self, requests: Sequence[Request]) -> Sequence[Outcome]:
        refusal = await self._ensure("tasks", KEY_PROPERTY)
        if refusal is not None:
            return [refusal] * len(requests)
        tasks = [cast(AssignTask, request.arguments) for request in requests]
        owners = await self._owners(task.owner_email for task in tasks)
        contacts = await self._targets("contacts", (task.contact_entity_id for task in tasks))
        companies = await self._targets("companies", (task.company_entity_id for task in tasks))
        refused: dict[str, Outcome] = {}
        wanted: dict[str, Mapping[str, str]] = {}
        for request, task in zip(requests, tasks, strict=True):
            needs = (
                owners.get(task.owner_email),
                contacts.get(task.contact_entity_id),
                companies.get(task.company_entity_id),
            )
            obstacle = next((need for need in needs if isinstance(need, Outcome)), None)
            if obstacle is not None:
                refused[request.key] = obstacle
            else:
                wanted[request.key] = _task_properties(task, cast("str | None", needs[0]))
        made = await self._api.upsert("tasks", KEY_PROPERTY, wanted) if wanted else {}
        rows = {**made, **refused}
        outcomes: Sequence[Outcome] = [self._delivered(rows[request.key], "tasks", "task_id") for request in requests]
        outcomes = await self._link(outcomes, "contacts", [contacts.get(task.contact_entity_id) for task in tasks])
        return await self._link(outcomes, "companies", [companies.get(task.company_entity_id) for task in tasks])

    async def _link(
        self, tasks: Sequence[Outcome], to_type: str, targets: Sequence[str | Outcome | None]
    ) -> Sequence[Outcome]:
        """Links delivered tasks to their records; a link that fails makes the whole request one to repeat."""
        pairs = {
            i: (str(task.external_id), target)
            for i, (task, target) in enumerate(zip(tasks, targets, strict=True))
            if _is_delivered(task) and isinstance(target, str)
        }
        if not pairs:
            return tasks
        failure = await self._api.associate("tasks", to_type, list(dict.fromkeys(pairs.values())))
        if failure is None:
            return tasks
        return [failure if i in pairs else task for i, task in enumerate(tasks)]

    async def _update_tasks(self, requests: Sequence[Request]) -> Sequence[Outcome]:
        changes = [cast(UpdateTask, request.arguments) for request in requests]
        records = [(change.task_id, _changed_properties(change)) for change in changes]
        rows = await self._api.update("tasks", merged(records))
        return [self._delivered(rows[task_id], "tasks", "task_id") for task_id, _ in records]

    async def _owners(self, emails: Iterable[str | None]) -> dict[str | None, str | Outcome]:
        found: dict[str | None, str | Outcome] = {}
        for email in dict.fromkeys(email for email in emails if email):
            owner_id = self._owner_ids.get(email) or await self._api.owner_id(email)
            if isinstance(owner_id, str):
                self._owner_ids[email] = owner_id
            text = f"HubSpot has no owner with the e-mail address {email}; invite the user there or correct the owner"
            found[email] = rejected(ReasonFor.NOT_FOUND, text) if owner_id is None else owner_id
        return found

    async def _targets(self, object_type: str, entity_ids: Iterable[str | None]) -> dict[str | None, str | Outcome]:
        wanted = list(dict.fromkeys(entity_id for entity_id in entity_ids if entity_id))
        if not wanted:
            return {}
        refusal = await self._ensure(object_type, ENTITY_PROPERTY)
        ids = refusal or await self._api.ids_by_unique(object_type, ENTITY_PROPERTY, wanted)
        if isinstance(ids, Outcome):
            return dict.fromkeys(wanted, ids)
        text = f"HubSpot has none of its {object_type} under {ENTITY_PROPERTY}"
        return {one: ids.get(one) or rejected(ReasonFor.NOT_FOUND, f"{text} {one!r}; make it first") for one in wanted}

    async def _ensure(self, object_type: str, name: str) -> Outcome | None:
        if (object_type, name) in self._ensured:
            return None
        refusal = await self._api.ensure_unique_property(object_type, name, _LABELS[name])
        if refusal is None:
            self._ensured.add((object_type, name))
        return refusal

    def _delivered(self, row: Row | Outcome, object_type: str, id_name: str) -> Outcome:
        if isinstance(row, Outcome):
            return row
        return Outcome(
            Verdict.DELIVERED, external_id=row.id, url=self._url_of(object_type, row.id), result={id_name: row.id}
        )

    def _url_of(self, object_type: str, record_id: str) -> str | None:
        if self.connection.records_url is not None:
            return f"{self.connection.records_url}/{object_type}/{record_id}"
        if self.connection.portal_id is None:
            return None
        if object_type == "tasks":
            return f"https://app.hubspot.com/tasks/{self.connection.portal_id}/view/all/task/{record_id}"
        return (
            f"https://app.hubspot.com/contacts/{self.connection.portal_id}/record/{_TYPE_IDS[object_type]}/{record_id}"
        )


def merged(records: Sequence[tuple[str, Mapping[str, str]]]) -> dict[str, Mapping[str, str]]:
    """One input per record, since HubSpot refuses a batch that names one twice; later values win."""
    inputs: dict[str, Mapping[str, str]] = {}
    for key, properties in records:
        inputs[key] = {**inputs.get(key, {}), **properties}
    return inputs


def _task_properties(task: AssignTask, owner_id: str | None) -> dict[str, str]:
    owner = {} if owner_id is None else {"hubspot_owner_id": owner_id}
    return {
        "hs_task_subject": task.subject,
        "hs_task_body": task.body,
        "hs_task_priority": task.priority,
        "hs_task_status": "NOT_STARTED",
        "hs_task_type": "TODO",
        "hs_timestamp": _moment(task.due_at),
        **owner,
    }


def _changed_properties(change: UpdateTask) -> dict[str, str]:
    values = {
        "hs_task_priority": change.priority,
        "hs_task_status": change.status,
        "hs_timestamp": None if change.due_at is None else _moment(change.due_at),
        "hs_task_subject": change.subject,
        "hs_task_body": change.body,
    }
    return {name: value for name, value in values.items() if value is not None}


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def _is_delivered(outcome: Outcome) -> bool:
    return outcome.verdict is Verdict.DELIVERED


def _with_result(outcome: Outcome, **more: str) -> Outcome:
    return Outcome(outcome.verdict, external_id=outcome.external_id, url=outcome.url, result={**outcome.result, **more})


DESTINATION: type[Destination] = HubSpot
