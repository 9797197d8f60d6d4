"""The CRM as its users see it: campaigns with their members, tasks by owner, contacts, companies, tickets."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dagster_project.sandbox.hubspot.object_types import CONTACTS, ObjectType, all_types, object_type
from dagster_project.sandbox.pages.rendering import PAGE_SIZE, missing, page
from dagster_project.sandbox.store import Store
from dagster_project.sandbox.world import World

_TASK_ORDER = (
    "json_extract(o.properties, '$.hs_task_status') = 'COMPLETED', json_extract(o.properties, '$.hs_timestamp'), o.id"
)
_SHOWN_ELSEWHERE = frozenset({"hubspot_owner_id", "hs_task_body", "content", "hs_timestamp"})


@dataclass(frozen=True)
class Card:
    """One record with what a list row needs: its title and its properties."""

    id: int
    kind: str
    title: str
    properties: dict[str, str]
    created_at: str
    updated_at: str
    owner: str

    @property
    def address(self) -> str:
        """The path of its page."""
        return f"/crm/{self.kind}/{self.id}"


def titled(kind: str, properties: dict[str, str], record_id: int) -> str:
    """What a person calls the record."""
    if kind == "contacts":
        name = " ".join(properties.get(part, "") for part in ("firstname", "lastname")).strip()
        return name or properties.get("email") or properties.get("loop_entity_id") or f"Contact {record_id}"
    names = {"companies": "name", "tasks": "hs_task_subject", "tickets": "subject"}
    singular = object_type(kind).singular.capitalize()
    return properties.get(names[kind]) or properties.get("loop_entity_id") or f"{singular} {record_id}"


class Crm:
    """The CRM's pages."""

    def __init__(self, world: World) -> None:
        self._store: Store = world.store

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/crm", self.campaigns),
            Route("/crm/lists/{list_id:int}", self.campaign),
            Route("/crm/tasks", self.tasks),
            Route("/crm/{kind}", self.records),
            Route("/crm/{kind}/{record_id:int}", self.record),
        ]

    def _card(self, row: sqlite3.Row) -> Card:
        properties = json.loads(row["properties"])
        owner = self._store.one(
            "select first_name, last_name, email from hubspot_owners where id = ?",
            (properties.get("hubspot_owner_id"),),
        )
        name = "" if owner is None else f"{owner['first_name']} {owner['last_name']}".strip() or owner["email"]
        title = titled(row["object_type"], properties, row["id"])
        return Card(row["id"], row["object_type"], title, properties, row["created_at"], row["updated_at"], name)

    def _cards(self, sql: str, parameters: list[Any]) -> list[Card]:
        return [self._card(row) for row in self._store.rows(sql, parameters)]

    def _linked(self, card: Card) -> dict[str, list[Card]]:
        linked = {}
        for kind in all_types():
            cards = self._cards(
                "select o.* from hubspot_associations a join hubspot_objects o on o.id = a.to_id"
                " where a.from_type = ? and a.from_id = ? and a.to_type = ? and not o.is_archived"
                " order by o.id limit ?",
                [card.kind, card.id, kind.name, PAGE_SIZE],
            )
            if cards:
                linked[kind.name] = cards
        return linked

    async def campaigns(self, _request: Request) -> Response:
        """All lists with their sizes."""
        rows = self._store.rows(
            "select l.*, count(m.record_id) as members, max(m.added_at) as last_added_at from hubspot_lists l"
            " left join hubspot_members m on m.list_id = l.id group by l.id order by l.name"
        )
        return page("crm_campaigns.html", area="crm", part="campaigns", campaigns=rows)

    async def campaign(self, request: Request) -> Response:
        """One list with its members, the newest first."""
        list_id, offset = request.path_params["list_id"], offset_of(request)
        campaign = self._store.one("select * from hubspot_lists where id = ?", (list_id,))
        if campaign is None:
            return missing(f"campaign {list_id}")
        rows = self._store.rows(
            "select o.*, m.added_at from hubspot_members m join hubspot_objects o on o.id = m.record_id"
            " where m.list_id = ? order by m.added_at desc, o.id limit ? offset ?",
            (list_id, PAGE_SIZE + 1, offset),
        )
        members = [(self._card(row), row["added_at"]) for row in rows[:PAGE_SIZE]]
        total = self._store.value("select count(*) from hubspot_members where list_id = ?", (list_id,))
        following = offset + PAGE_SIZE if len(rows) > PAGE_SIZE else None
        return page(
            "crm_campaign.html",
            area="crm",
            part="campaigns",
            campaign=campaign,
            members=members,
            total=total,
            following=following,
        )

    async def tasks(self, request: Request) -> Response:
        """Tasks by owner, the earliest due first, done ones last."""
        offset = offset_of(request)
        cards = self._cards(
            "select o.* from hubspot_objects o left join hubspot_owners w"
            " on w.id = json_extract(o.properties, '$.hubspot_owner_id')"
            " where o.object_type = 'tasks' and not o.is_archived"
            f" order by w.email is null, w.email, {_TASK_ORDER} limit ? offset ?",
            [PAGE_SIZE + 1, offset],
        )
        groups: dict[str, list[tuple[Card, dict[str, list[Card]]]]] = {}
        for card in cards[:PAGE_SIZE]:
            groups.setdefault(card.owner or "Nobody", []).append((card, self._linked(card)))
        following = offset + PAGE_SIZE if len(cards) > PAGE_SIZE else None
        return page("crm_tasks.html", area="crm", part="tasks", groups=groups, following=following)

    async def records(self, request: Request) -> Response:
        """All records of a type, the newest first."""
        kind = _kind(request.path_params["kind"])
        if kind is None:
            return missing(f"kind of record {request.path_params['kind']}")
        offset = offset_of(request)
        cards = self._cards(
            "select o.* from hubspot_objects o where object_type = ? and not is_archived"
            " order by id desc limit ? offset ?",
            [kind.name, PAGE_SIZE + 1, offset],
        )
        following = offset + PAGE_SIZE if len(cards) > PAGE_SIZE else None
        return page(
            "crm_records.html", area="crm", part=kind.name, kind=kind.name, cards=cards[:PAGE_SIZE], following=following
        )

    async def record(self, request: Request) -> Response:
        """One record with its properties, its links and the campaigns it is in."""
        kind, record_id = _kind(request.path_params["kind"]), request.path_params["record_id"]
        row = None
        if kind is not None:
            sql = "select * from hubspot_objects where object_type = ? and id = ? and not is_archived"
            row = self._store.one(sql, (kind.name, record_id))
        if kind is None or row is None:
            return missing(f"{request.path_params['kind']} {record_id}")
        card = self._card(row)
        campaigns = self._store.rows(
            "select l.id, l.name, m.added_at from hubspot_members m join hubspot_lists l on l.id = m.list_id"
            " where m.record_id = ? order by l.name",
            (record_id,),
        )
        labels = self._labels(kind)
        shown = [
            (labels.get(name, name), value)
            for name, value in sorted(card.properties.items())
            if name not in _SHOWN_ELSEWHERE
        ]
        return page(
            "crm_record.html",
            area="crm",
            part=kind.name,
            card=card,
            properties=shown,
            linked=self._linked(card),
            campaigns=campaigns if kind is CONTACTS or campaigns else [],
        )

    def _labels(self, kind: ObjectType) -> dict[str, str]:
        rows = self._store.rows("select name, definition from hubspot_properties where object_type = ?", (kind.name,))
        return {row["name"]: json.loads(row["definition"])["label"] for row in rows}


def _kind(name: str) -> ObjectType | None:
    return next((kind for kind in all_types() if kind.name == name), None)


def offset_of(request: Request) -> int:
    """How many rows the page passes over; 0 for anything that is no number."""
    asked = request.query_params.get("offset", "0")
    return int(asked) if asked.isdigit() and len(asked) < 10 else 0
