"""Turns templates into pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dagster_project.console.visit import Visit
from dagster_project.console.wording import moment, reason_in_words, value_in_words
from dagster_project.contracts.durations import span

LOCAL_ADDRESS = re.compile(r"/(?![/\\])[^\s\\]*")


def linked(text: str, links: Mapping[str, str]) -> Markup:
    """The text with each of some words in it made a link. Parameters: the text; word -> address."""
    if not links:
        return escape(text)
    words = re.compile("|".join(re.escape(word) for word in sorted(links, key=len, reverse=True)))
    parts, end = [], 0
    for match in words.finditer(text):
        parts.append(escape(text[end : match.start()]))
        address = links[match.group()]
        parts.append(Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, match.group()))
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])


def address(path: str, **fields: str | int | None) -> str:
    """A path with a query of the fields that say something."""
    query = urlencode({name: value for name, value in fields.items() if value not in (None, "")})
    return f"{path}?{query}" if query else path


def web_address(url: str | None) -> str:
    """An address that a page may link to: http or https, else nothing."""
    return url if url is not None and url.startswith(("http://", "https://")) else ""


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dagster_project.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": moment,
        "span": span,
        "because": reason_in_words,
        "linked": linked,
        "web": web_address,
        "segment": lambda text: quote(str(text), safe=""),
        "count": lambda number: f"{number:,}",
        "value": value_in_words,
    }
    environment.globals["address"] = address
    return environment


_ENVIRONMENT = _environment()
STYLE = files("dagster_project.console").joinpath("templates", "style.css").read_text(encoding="utf-8")
ICON = files("dagster_project.console").joinpath("templates", "icon.svg").read_text(encoding="utf-8")


def page(visit: Visit, template: str, status: int = 200, /, **context: Any) -> HTMLResponse:
    """The page that a template makes of a context, for one visit."""
    around = {"visit": visit, "member": visit.member, "form_key": visit.form_key, "done": visit.asked("done")}
    around["catalog_refusal"] = visit.desk.catalogs.current().refusal
    return HTMLResponse(_ENVIRONMENT.get_template(template).render({**around, **context}), status)


def plain_page(template: str, status: int = 200, /, **context: Any) -> HTMLResponse:
    """A page for somebody who is not signed in."""
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(**context), status)


def told(visit: Visit, title: str, text: str, status: int) -> HTMLResponse:
    """A page that says one thing: what was refused, what is not there, and that nothing was changed."""
    return page(visit, "told.html", status, area="", title=title, text=text)


def local_address(wanted: str, default: str = "/") -> str:
    """An address on this console; anything that leads elsewhere is not followed."""
    return wanted if LOCAL_ADDRESS.fullmatch(wanted) else default


def back_to(wanted: str, default: str, done: str) -> Response:
    """After a deed: to the page it was begun from, with a word on what was done."""
    here = re.sub(r"([?&])done=[^&]*&?", r"\1", local_address(wanted, default)).rstrip("?&")
    sign = "&" if "?" in here else "?"
    return RedirectResponse(f"{here}{sign}{urlencode({'done': done})}", 303)
