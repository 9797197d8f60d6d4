"""The ASGI application: every route behind the same gate, and headers that forbid what pages never need."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dagster_project.console.desk import Desk
from dagster_project.console.exposure import Exposure
from dagster_project.console.gate import Gate, Stopped, Visitor
from dagster_project.console.pages.sign_in import SIGN_IN, open_routes
from dagster_project.console.rendering import address, plain_page, told
from dagster_project.console.routes import ROUTES, Page
from dagster_project.console.visit import BadForm, Fields, Visit, fields_of, storable
from dagster_project.ledger.controls import NothingSelected
from dagster_project.ledger.database import LedgerUnavailable
from dagster_project.ledger.governed import NotAllowed
from dagster_project.ledger.sessions import form_key

FORM_TYPE = "application/x-www-form-urlencoded"
LARGEST_FORM = 512 * 1024
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=()",
}

log = logging.getLogger(__name__)


class SecurityHeaders:
    """Puts the headers on every answer, errors included; pages are kept by nobody."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                extra = SECURITY_HEADERS | ({} if b"cache-control" in given else {"cache-control": "no-store"})
                message["headers"] = [
                    *message["headers"],
                    *((name.encode(), value.encode()) for name, value in extra.items()),
                ]
            await send(message)

        await self._inner(scope, receive, with_headers)


@dataclass(frozen=True)
class Guarded:
    """A page behind the gate: who comes, whether the form is believed, whether the right is there; then the page."""

    page: Page
    desk: Desk
    gate: Gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await _body(request) if self.page.is_deed else b""
            response = await run_in_threadpool(self._answer, request, body)
        except Stopped as stopped:
            response = _stopped(request, stopped)
        await response(scope, receive, send)

    def _answer(self, request: Request, body: bytes) -> Response:
        try:
            if self.page.is_deed:
                self.gate.check_origin(request)
            visitor = self.gate.visitor(request)
        except (LedgerUnavailable, DBAPIError) as error:
            return _ledger_away(error)
        except Stopped as stopped:
            if self.page.is_deed and stopped.is_sign_in_offered:
                self.gate.refuse(request, "unknown", self.page.needs.value, f"{request.url.path}, not signed in")
            raise
        response = self._page(request, visitor, body)
        if visitor.is_new:
            self.gate.give_cookie(request, response, visitor.secret)
        return response

    def _page(self, request: Request, visitor: Visitor, body: bytes) -> Response:
        visit = self._visit(request, visitor)
        try:
            visit = self._visit(request, visitor, fields_of(request.url.query))
            if self.page.is_deed:
                form = fields_of(body.decode("utf-8", "replace"))
                visit = self._visit(request, visitor, visit.query, form)
                self.gate.check_form(request, visitor, visit.given("form_key"))
            visit.council.ask(visit.member, self.page.needs, about=self.page.path)
            response = self.page.handler(visit)
        except Stopped:
            raise
        except NotAllowed as refused:
            return told(visit, "Not allowed", str(refused), 403)
        except (NothingSelected, BadForm) as error:
            return told(visit, "Nothing was changed", str(error), 400)
        except (LedgerUnavailable, DBAPIError, TimeoutError) as error:
            return _ledger_away(error)
        except Exception:
            log.exception("the page %s failed", self.page.path)
            return told(visit, "This page failed", "A defect of the console; its log has the details.", 500)
        if self.page.is_deed:
            self.desk.figures.forget()
        return response

    def _visit(
        self, request: Request, visitor: Visitor, query: Fields | None = None, form: Fields | None = None
    ) -> Visit:
        path = {name: storable(str(value)) for name, value in request.path_params.items()}
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        key = form_key(visitor.secret)
        return Visit(self.desk, visitor.member, key, self.desk.database.now(), query or {}, form or {}, path, here)


async def _body(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip() != FORM_TYPE:
        raise Stopped(415, "The console takes forms only. Nothing was changed.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            raise Stopped(413, "That form is too large; choose fewer at a time. Nothing was changed.")
    return body


def _stopped(request: Request, stopped: Stopped) -> Response:
    if stopped.is_sign_in_offered and request.method in ("GET", "HEAD"):
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(address(SIGN_IN, to=here if here != "/" else ""), 303)
    return plain_page("stopped.html", stopped.status, text=stopped.text, is_sign_in_offered=stopped.is_sign_in_offered)


def _ledger_away(error: Exception) -> Response:
    log.warning("the ledger does not answer: %s", type(error).__name__)
    text = "The ledger does not answer just now. Nothing was changed. Try again; if it lasts, see `loopctl status`."
    return plain_page("stopped.html", 503, text=text, is_sign_in_offered=False)


async def _not_found(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    text = "There is no such page." if status == 404 else "That is no way to call this page."
    return plain_page("stopped.html", status, text=text, is_sign_in_offered=False)


async def _failed(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("A defect of the console; its log has the details. Nothing was changed.", 500)


def build_application(desk: Desk, exposure: Exposure) -> Starlette:
    """Parameters: what pages work with; where the console listens and whom it believes."""
    gate = Gate(desk.database, exposure)
    guarded = [Route(page.path, Guarded(page, desk, gate), methods=[page.method]) for page in ROUTES]
    handlers = {404: _not_found, 405: _not_found, 500: _failed}
    application = Starlette(routes=[*guarded, *open_routes(desk, gate)], exception_handlers=handlers)
    application.add_middleware(SecurityHeaders)
    return application
