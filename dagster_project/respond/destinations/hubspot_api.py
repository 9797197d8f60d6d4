"""HubSpot's CRM calls that the connector needs, each of which gives what was asked for or the outcome of its failure.

Paths and bodies follow HubSpot's API reference of version 2026-03; under the version "v3" the older paths are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from dagster_project.contracts.destination import Outcome, ReasonFor, Verdict
from dagster_project.respond.destinations.http_transport import HttpTransport
from dagster_project.respond.destinations.outcome_mapping import (
    MISADDRESSED,
    Meaning,
    before_the_effect,
    judged,
    malformed,
    rejected,
    retry,
    unknown,
)

# HubSpot's error page: 423 is a lock of two seconds during heavy writing, 477 an account that is being moved; both say
# that nothing was done and that the caller should wait. 502, 503 and 504 are called harmless to repeat there too, but
# not undone: they stay unknown, and an upsert is sent again anyway.
STATUS_OVERRIDES: Mapping[int, Meaning] = {
    423: Meaning(Verdict.RETRY, ReasonFor.RATE_LIMITED, "destination"),
    477: Meaning(Verdict.RETRY, ReasonFor.UNREACHABLE, "destination"),
}
# A batch upsert names no record of HubSpot's, so only its path can be unknown: a wrong address or API version.
_WRITES: Mapping[int, Meaning] = {**STATUS_OVERRIDES, 404: MISADDRESSED}
# A whole batch is refused for one bad row under these.
_ONE_BAD_ROW = frozenset({400, 409, 413, 422})
CONTACTS_TYPE_ID = "0-1"
_GROUPS = {"contacts": "contactinformation", "companies": "companyinformation", "tasks": "task"}


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a batch answer."""

    id: str
    properties: Mapping[str, Any]


class HubSpotApi:
    """Calls one HubSpot account."""

    def __init__(self, transport: HttpTransport, base_url: str, api_version: str) -> None:
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        self._version = api_version

    async def ensure_unique_property(self, object_type: str, name: str, label: str) -> Outcome | None:
        """Makes the property that carries our key, unless it is there. None when it is there and unique."""
        url = self._url("properties", object_type)
        found = await self._ask("GET", f"{url}/{name}")
        if _is_absent(found):
            definition = {
                "name": name,
                "label": label,
                "groupName": _GROUPS[object_type],
                "type": "string",
                "fieldType": "text",
                "hasUniqueValue": True,
            }
            found = await self._ask("POST", url, json=definition)
            if isinstance(found, Outcome) and found.status == 409:  # made by another process in the meantime
                found = await self._ask("GET", f"{url}/{name}")
        if isinstance(found, Outcome):
            return before_the_effect(found)
        if not isinstance(found, dict) or found.get("hasUniqueValue") is not True:
            text = f"the {object_type} property {name} in HubSpot is not unique; delete it there, it is then made anew"
            return retry(ReasonFor.MISCONFIGURED, text, scope="destination")
        return None

    async def upsert(
        self, object_type: str, unique: str, inputs: Mapping[str, Mapping[str, str]]
    ) -> dict[str, Row | Outcome]:
        """Creates or updates records by the value of their unique property; each value gets its row or its outcome."""
        body = [
            {"idProperty": unique, "id": value, "properties": {**properties, unique: value}}
            for value, properties in inputs.items()
        ]
        url = f"{self._url('objects', object_type)}/batch/upsert"
        answer = await self._ask("POST", url, meanings=_WRITES, json={"inputs": body})
        if isinstance(answer, Outcome):
            if answer.status in _ONE_BAD_ROW and len(inputs) > 1:
                return await self._upsert_halves(object_type, unique, inputs)
            return dict.fromkeys(inputs, answer)
        return rows_by_key(answer, list(inputs), lambda row: str(row.properties.get(unique)))

    async def _upsert_halves(
        self, object_type: str, unique: str, inputs: Mapping[str, Mapping[str, str]]
    ) -> dict[str, Row | Outcome]:
        """Finds the bad row by halving, so that it alone is refused and its neighbours are written."""
        keys = list(inputs)
        found: dict[str, Row | Outcome] = {}
        for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
            stop = next(
                (one for one in found.values() if isinstance(one, Outcome) and one.scope == "destination"), None
            )
            if stop is not None:  # HubSpot as a whole declines now: asking on would only be declined again
                found.update(dict.fromkeys(half, before_the_effect(stop)))
                continue
            found.update(await self.upsert(object_type, unique, {key: inputs[key] for key in half}))
        return found

    async def update(self, object_type: str, inputs: Mapping[str, Mapping[str, str]]) -> dict[str, Row | Outcome]:
        """Sets properties of existing records by HubSpot's id; each id gets its row or its outcome."""
        body = [{"id": record_id, "properties": dict(properties)} for record_id, properties in inputs.items()]
        answer = await self._ask("POST", f"{self._url('objects', object_type)}/batch/update", json={"inputs": body})
        if isinstance(answer, Outcome):
            if answer.status in {*_ONE_BAD_ROW, 404} and len(inputs) > 1:
                return {one: (await self.update(object_type, {one: inputs[one]}))[one] for one in inputs}
            return dict.fromkeys(inputs, answer)
        return rows_by_key(answer, list(inputs), lambda row: row.id)

    async def ids_by_unique(self, object_type: str, unique: str, values: Sequence[str]) -> dict[str, str] | Outcome:
        """HubSpot's ids of the records with these values of their unique property; absent ones are left out."""
        body = {"idProperty": unique, "properties": [unique], "inputs": [{"id": value} for value in values]}
        answer = await self._ask("POST", f"{self._url('objects', object_type)}/batch/read", json=body)
        rows = _listed(answer, "results")
        if isinstance(rows, Outcome):
            return before_the_effect(rows)
        return {str(row.properties.get(unique)): row.id for row in _rows_of(answer)}

    async def record(self, object_type: str, record_id: str, names: Sequence[str]) -> dict[str, Any] | Outcome | None:
        """One record by HubSpot's id, with the named properties; None where there is none (any more)."""
        url = self._url("objects", object_type, quote(record_id, safe=""))
        found = await self._ask("GET", url, params={"properties": ",".join(names)})
        if _is_absent(found):
            return None
        if isinstance(found, Outcome):
            return found
        return found if isinstance(found, dict) else malformed(200, "it is no record")

    async def lists_of(self, contact_id: str) -> set[str] | Outcome:
        """The ids of the lists that a contact is a member of."""
        url = self._url("lists", "records", CONTACTS_TYPE_ID, quote(contact_id, safe=""), "memberships")
        answer = await self._ask("GET", url)
        rows = _listed(answer, "results")
        return rows if isinstance(rows, Outcome) else {str(row.get("listId")) for row in rows if isinstance(row, dict)}

    async def list_id(self, name: str) -> str | Outcome:
        """The id of the static contact list of that name, which is made when there is none."""
        by_name = f"{self._url('lists')}/object-type-id/{CONTACTS_TYPE_ID}/name/{quote(name, safe='')}"
        found = await self._ask("GET", by_name)
        if _is_absent(found):
            wanted = {"name": name, "objectTypeId": CONTACTS_TYPE_ID, "processingType": "MANUAL"}
            found = await self._ask("POST", self._url("lists"), json=wanted)
            if isinstance(found, Outcome) and found.status in (400, 409):
                # The name is taken: by another process meanwhile, or it has a character that a path does not carry.
                taken_by = await self._list_named(name)
                found = found if taken_by is None else taken_by
        if isinstance(found, Outcome):
            return before_the_effect(found)
        return _static_list_id(found, name)

    async def _list_named(self, name: str) -> Any:
        """The list of exactly that name, by search; None when there is none."""
        wanted = {"query": name, "objectTypeId": CONTACTS_TYPE_ID, "count": 100}
        answer = await self._ask("POST", f"{self._url('lists')}/search", json=wanted)
        lists = _listed(answer, "lists")
        if isinstance(lists, Outcome):
            return lists
        named = [one for one in lists if isinstance(one, dict) and one.get("name") == name]
        return named[0] if named else None

    async def add_members(self, list_id: str, record_ids: Sequence[str]) -> set[str] | Outcome:
        """Adds contacts to a list; the ids that HubSpot says it does not know."""
        answer = await self._ask("PUT", f"{self._url('lists')}/{list_id}/memberships/add", json=list(record_ids))
        if isinstance(answer, Outcome):
            return answer
        if not isinstance(answer, dict):
            return malformed(200, "it does not say which contacts joined the list")
        return {str(missing) for missing in _items(answer, "recordIdsMissing")}

    async def associate(self, from_type: str, to_type: str, pairs: Sequence[tuple[str, str]]) -> Outcome | None:
        """Links records by the default association, which is harmless to repeat. None when all are linked."""
        version = "v4" if self._version == "v3" else self._version
        body = {"inputs": [{"from": {"id": source}, "to": {"id": target}} for source, target in pairs]}
        path = self._path("associations", version)
        answer = await self._ask("POST", f"{path}/{from_type}/{to_type}/batch/associate/default", json=body)
        results = _listed(answer, "results")
        if isinstance(results, Outcome):
            return results
        errors = _items(answer, "errors")
        return _row_error(errors[0]) if errors else None

    async def owner_id(self, email: str) -> str | Outcome | None:
        """The id of the owner with that e-mail address, None when HubSpot has none."""
        answer = await self._ask("GET", self._url("owners"), params={"email": email, "limit": "100"})
        owners = _listed(answer, "results")
        if isinstance(owners, Outcome):
            return before_the_effect(owners)
        for owner in owners:
            if isinstance(owner, dict) and str(owner.get("email", "")).lower() == email.lower():
                return str(owner.get("id"))
        return None

    async def _ask(
        self, method: str, url: str, *, meanings: Mapping[int, Meaning] = STATUS_OVERRIDES, **body: Any
    ) -> Any:
        return judged(await self._transport.call(method, url, **body), datetime.now(UTC), meanings)

    def _url(self, family: str, *rest: str) -> str:
        return "/".join((self._path(family, self._version), *rest))

    def _path(self, family: str, version: str) -> str:
        ordered = (version, family) if version.startswith("v") else (family, version)
        return "/".join((self._base_url, "crm", *ordered))


def rows_by_key(answer: Any, keys: Sequence[str], key_of: Any) -> dict[str, Row | Outcome]:
    """Gives every key of a batch its row, its error, or `missing_from_reply`; positions in the answer mean nothing."""
    results = _listed(answer, "results")
    if isinstance(results, Outcome):
        return dict.fromkeys(keys, results)
    found: dict[str, Row | Outcome] = {}
    for error in _items(answer, "errors"):
        for named in _named_in(error):
            found[named] = _row_error(error)
    found.update({key_of(row): row for row in _rows_of(answer)})
    absent = unknown(
        ReasonFor.MISSING_FROM_REPLY, "HubSpot's batch answer has neither a result nor an error for this row"
    )
    return {key: found.get(key, absent) for key in keys}


def _rows_of(answer: Any) -> list[Row]:
    rows = [row for row in _items(answer, "results") if isinstance(row, dict) and _is_id(row.get("id"))]
    return [Row(str(row["id"]), row["properties"] if isinstance(row.get("properties"), dict) else {}) for row in rows]


def _is_id(value: Any) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""


def _listed(answer: Any, name: str) -> list[Any] | Outcome:
    """The list that an answer must have under a name, or the outcome of the answer that has none."""
    if isinstance(answer, Outcome):
        return answer
    value = answer.get(name) if isinstance(answer, dict) else None
    return value if isinstance(value, list) else malformed(200, f"it has no {name}")


def _items(answer: Any, name: str) -> list[Any]:
    value = answer.get(name) if isinstance(answer, dict) else None
    return value if isinstance(value, list) else []


def _named_in(error: Any) -> set[str]:
    """The row keys that a batch error names: HubSpot puts them into lists under `context`, or into `id`."""
    if not isinstance(error, dict):
        return set()
    context = error.get("context")
    lists = [value for value in context.values() if isinstance(value, list)] if isinstance(context, dict) else []
    named = {str(one) for values in lists for one in values}
    return named | ({str(error["id"])} if "id" in error else set())


def _row_error(error: Any) -> Outcome:
    """The outcome of a row that HubSpot refused inside an answer that succeeded (207)."""
    category = str(error.get("category", "")) if isinstance(error, dict) else ""
    message = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    if category == "RATE_LIMITS":
        return retry(ReasonFor.RATE_LIMITED, message, scope="destination")
    reasons = {"OBJECT_NOT_FOUND": ReasonFor.NOT_FOUND, "CONFLICT": ReasonFor.CONFLICT}
    return rejected(reasons.get(category, ReasonFor.INVALID_REQUEST), message, status=207)


def _is_absent(found: Any) -> bool:
    return isinstance(found, Outcome) and found.status == 404


def _static_list_id(found: Any, name: str) -> str | Outcome:
    listed = found.get("list", found) if isinstance(found, dict) else {}
    if not isinstance(listed, dict) or "listId" not in listed:
        return before_the_effect(malformed(200, "it does not describe a list"))
    if listed.get("processingType") == "DYNAMIC":
        text = f"the HubSpot list {name!r} is dynamic, so nobody can be added to it; name a static list as the campaign"
        return rejected(ReasonFor.REFUSED, text)
    return str(listed["listId"])
