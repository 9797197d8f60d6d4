"""The routes that need no session: signing in and out, the style sheet, and whether the console is there at all."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from dagster_project.console.desk import Desk
from dagster_project.console.gate import COOKIE, TOKEN, Gate, Stopped
from dagster_project.console.rendering import ICON, STYLE, local_address, plain_page
from dagster_project.ledger.access import prove
from dagster_project.ledger.sessions import begin_session, end_session, form_key

SIGN_IN = "/sign-in"
LARGEST_FORM = 8 * 1024
KEPT = {"cache-control": "public, max-age=300"}


def open_routes(desk: Desk, gate: Gate) -> list[Route]:
    """The routes that anybody may call."""

    def sign_in_page(request: Request) -> Response:
        return _sign_in_page(request.query_params.get("to", ""))

    async def sign_in(request: Request) -> Response:
        return await _with_form(request, lambda fields: _sign_in(desk, gate, request, fields))

    async def sign_out(request: Request) -> Response:
        return await _with_form(request, lambda fields: _sign_out(desk, gate, request, fields))

    def health(_request: Request) -> Response:
        with desk.database.reading():
            return PlainTextResponse("ok\n")

    def style(_request: Request) -> Response:
        return Response(STYLE, media_type="text/css", headers=KEPT)

    def icon(_request: Request) -> Response:
        return Response(ICON, media_type="image/svg+xml", headers=KEPT)

    return [
        Route(SIGN_IN, sign_in_page, methods=["GET"]),
        Route(SIGN_IN, sign_in, methods=["POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
        Route("/healthz", health, methods=["GET"]),
        Route("/style.css", style, methods=["GET"]),
        Route("/icon.svg", icon, methods=["GET"]),
    ]


async def _with_form(request: Request, answer: Callable[[dict[str, str]], Response]) -> Response:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            return _sign_in_page("", 413, "That form is too large.")
    fields = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    try:
        return await run_in_threadpool(answer, fields)
    except Stopped as stopped:
        return _sign_in_page("", stopped.status, stopped.text)


def _sign_in_page(to: str, status: int = 200, text: str = "") -> Response:
    return plain_page("sign_in.html", status, to=local_address(to), text=text)


def _sign_in(desk: Desk, gate: Gate, request: Request, fields: dict[str, str]) -> Response:
    gate.check_origin(request)
    gate.check_tries(request)
    proven = prove(desk.database, fields.get("token", ""))
    if proven is None:
        gate.refuse(request, "unknown", "sign_in", "a token that is unknown, expired or revoked")
        return _sign_in_page(fields.get("to", ""), 401, "That token is unknown, expired or revoked.")
    secret = begin_session(desk.database, proven.member.name, TOKEN, proven.token_id)
    response = RedirectResponse(local_address(fields.get("to", "")), 303)
    gate.give_cookie(request, response, secret)
    return response


def _sign_out(desk: Desk, gate: Gate, request: Request, fields: dict[str, str]) -> Response:
    gate.check_origin(request)
    secret = request.cookies.get(COOKIE, "")
    response = RedirectResponse(SIGN_IN, 303)
    if secret and fields.get("form_key") == form_key(secret):
        end_session(desk.database, secret)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return response
