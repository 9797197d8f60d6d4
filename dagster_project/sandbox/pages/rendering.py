"""Turns templates into pages: the filters they use, and headers that forbid the browser to load anything else."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from dagster_project.sandbox.hubspot.object_types import object_type
from dagster_project.sandbox.pages.rich_text import rich_text
from dagster_project.sandbox.slack.mrkdwn import emoji_shown, rendered_mrkdwn

PAGE_SIZE = 100
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def parsed_moment(value: Any) -> datetime | None:
    """A moment in UTC from ISO text, or from milliseconds or seconds since 1970; None for anything else."""
    text = str(value or "")
    try:
        if text.replace(".", "", 1).isdigit():
            number = float(text)
            return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC)
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def shown_moment(value: Any) -> str:
    """`24 Nov 2026, 10:00`; what is no moment stays as it is."""
    moment = parsed_moment(value)
    return str(value or "") if moment is None else f"{moment.day} {moment:%b %Y, %H:%M}"


def shown_day(value: Any) -> str:
    """`24 Nov 2026`."""
    moment = parsed_moment(value)
    return str(value or "") if moment is None else f"{moment.day} {moment:%b %Y}"


def is_past(value: Any) -> bool:
    """Whether the moment is over."""
    moment = parsed_moment(value)
    return moment is not None and moment < datetime.now(UTC)


def shown_money(value: Any) -> str:
    """`1,234.50`; nothing for None."""
    return "" if value is None else f"{Decimal(str(value)):,.2f}"


def shown_quantity(value: Any) -> str:
    """A quantity without superfluous zeros."""
    return "" if value is None else f"{float(value):,.6g}"


def shown_words(value: Any) -> str:
    """`NOT_STARTED` as `Not started`."""
    return str(value or "").replace("_", " ").capitalize()


_TOLD = {
    "associations.create": "Records linked",
    "lists.create": "Campaign made",
    "lists.add": "Member added to a campaign",
    "lists.remove": "Member taken out of a campaign",
    "chat.postMessage": "Message posted",
    "chat.update": "Message changed",
    "send": "Mail received",
    "purchase.purchase": "Purchase order",
    "project.work": "Project",
    "party.party": "Party",
    "product.product": "Product",
}
_DONE = {"create": "made", "write": "changed", "delete": "deleted", "cancel": "cancelled", "archive": "archived"}


def told_effect(effect: Any) -> str:
    """What an effect was, in a person's words."""
    operation, vendor = str(effect["operation"]), effect["vendor"]
    if vendor == "hooks":
        return f"Webhook received by {operation}"
    if operation in _TOLD:
        return _TOLD[operation]
    if operation.startswith("reactions.add:"):
        return f"Reaction {emoji_shown(operation.removeprefix('reactions.add') + ':')}"
    what, _, action = operation.rpartition(".")
    if vendor == "hubspot":
        what = object_type(what).singular.capitalize()
        action = action if action == "archive" else "create" if effect["is_created"] else "write"
    return f"{_TOLD.get(what, what)} {_DONE.get(action, action)}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dagster_project.sandbox", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": shown_moment,
        "day": shown_day,
        "money": shown_money,
        "quantity": shown_quantity,
        "words": shown_words,
        "mrkdwn": rendered_mrkdwn,
        "emoji": emoji_shown,
        "told": told_effect,
        "rich": rich_text,
    }
    environment.tests["past"] = is_past
    style = files("dagster_project.sandbox").joinpath("templates", "style.css").read_text(encoding="utf-8")
    environment.globals["style"] = Markup(style)
    return environment


_ENVIRONMENT = _environment()


def page(template: str, status: int = 200, /, **context: Any) -> HTMLResponse:
    """The page that a template makes of a context."""
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(**context), status, _HEADERS)


def missing(what: str) -> HTMLResponse:
    """The page for a record that does not exist."""
    return page("missing.html", 404, area="", what=what)
