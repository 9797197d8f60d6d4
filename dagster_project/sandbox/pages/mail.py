"""The mail box and the webhook sink as a person looks into them."""

from __future__ import annotations

import json
from email import message_from_bytes, policy
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dagster_project.sandbox.pages.crm import offset_of
from dagster_project.sandbox.pages.rendering import PAGE_SIZE, missing, page
from dagster_project.sandbox.pages.rich_text import rich_text
from dagster_project.sandbox.world import World


def readable_body(raw: bytes) -> tuple[str, bool]:
    """The part of a mail that a person reads, and whether it is HTML; the plain text where there are both."""
    message = message_from_bytes(raw, policy=policy.default)
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return "", False
    try:
        content = str(part.get_content())
    except (LookupError, UnicodeDecodeError):  # a charset that does not exist, or bytes that are not of it
        payload = part.get_payload(decode=True)
        content = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else str(payload)
    return content, part.get_content_type() == "text/html"


def preview(raw: bytes) -> str:
    """The first words of a mail."""
    body, is_html = readable_body(raw)
    return (rich_text(body).striptags() if is_html else body)[:140]


def shown_json(body: bytes) -> str:
    """A JSON body indented, anything else as text."""
    text = body.decode("utf-8", "replace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


class Mail:
    """The pages of mails and of webhooks."""

    def __init__(self, world: World) -> None:
        self._store = world.store

    def routes(self) -> list[Route]:
        """Their routes."""
        return [
            Route("/mail", self.inbox),
            Route("/mail/{mail_id:int}", self.mail),
            Route("/hooks", self.hooks),
            Route("/hooks/{name}", self.hooks),
            Route("/hooks/{name}/{hook_id:int}", self.hook),
        ]

    async def inbox(self, request: Request) -> Response:
        """All mails, the newest first."""
        offset = offset_of(request)
        rows = self._store.rows("select * from mails order by id desc limit ? offset ?", (PAGE_SIZE + 1, offset))
        mails = [(row, ", ".join(json.loads(row["recipients"])), preview(row["raw"])) for row in rows[:PAGE_SIZE]]
        following = offset + PAGE_SIZE if len(rows) > PAGE_SIZE else None
        return page("mail_inbox.html", area="mail", mails=mails, following=following)

    async def mail(self, request: Request) -> Response:
        """One mail."""
        mail_id = request.path_params["mail_id"]
        row = self._store.one("select * from mails where id = ?", (mail_id,))
        if row is None:
            return missing(f"mail {mail_id}")
        body, is_html = readable_body(row["raw"])
        to = ", ".join(json.loads(row["recipients"]))
        return page("mail_message.html", area="mail", mail=row, to=to, body=body, is_html=is_html)

    async def hooks(self, request: Request) -> Response:
        """What the webhook sinks received, the newest first, repeated ids marked."""
        name, offset = request.path_params.get("name"), offset_of(request)
        rows = self._store.rows(
            "select h.id, h.name, h.webhook_id, h.received_at, length(h.body) as size,"
            " (select count(*) from hooks e where e.name = h.name and e.webhook_id = h.webhook_id) as times"
            " from hooks h where (:name is null or h.name = :name) order by h.id desc limit :limit offset :offset",
            {"name": name, "limit": PAGE_SIZE + 1, "offset": offset},
        )
        following = offset + PAGE_SIZE if len(rows) > PAGE_SIZE else None
        return page("hooks.html", area="hooks", name=name, deliveries=rows[:PAGE_SIZE], following=following)

    async def hook(self, request: Request) -> Response:
        """One delivery with its headers and body."""
        row = self._store.one(
            "select * from hooks where name = ? and id = ?",
            (request.path_params["name"], request.path_params["hook_id"]),
        )
        if row is None:
            return missing(f"delivery {request.path_params['hook_id']}")
        headers: dict[str, Any] = json.loads(row["headers"])
        return page("hook.html", area="hooks", delivery=row, headers=headers, body=shown_json(row["body"]))
