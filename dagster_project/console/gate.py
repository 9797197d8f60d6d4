"""Finds out who comes before any page is made: by session, by a trusted proxy's word, or unasked on this machine."""

from __future__ import annotations

import hmac
import time
from collections import deque
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from dagster_project.console.exposure import FORWARDING_HEADERS, Exposure, host_name, is_loopback
from dagster_project.contracts.roles import Member, Role
from dagster_project.ledger.access import is_sign_in_required, member_of
from dagster_project.ledger.database import Database
from dagster_project.ledger.governed import note_refusal
from dagster_project.ledger.sessions import LOOPBACK, SESSION_WITHIN, begin_session, form_key, session_of

COOKIE = "loop_console"
TOKEN, PROXY = "token", "proxy"
TRIES, TRIES_WITHIN = 10, 60.0  # refused attempts of one address, seconds


class Stopped(Exception):
    """The call goes no further. `is_sign_in_offered` where signing in would help."""

    def __init__(self, status: int, text: str, is_sign_in_offered: bool = False) -> None:
        super().__init__(text)
        self.status, self.text, self.is_sign_in_offered = status, text, is_sign_in_offered


@dataclass(frozen=True)
class Visitor:
    member: Member
    secret: str  # of the session
    is_new: bool  # the cookie has yet to be given


@dataclass
class Throttle:
    """Counts refused attempts by address, so that guessing, and filling the audit trail, come to an end."""

    _tries: dict[str, deque[float]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def is_over(self, address: str, at: float) -> bool:
        with self._lock:
            return len(self._recent(address, at)) >= TRIES

    def note(self, address: str, at: float) -> None:
        with self._lock:
            self._recent(address, at).append(at)

    def _recent(self, address: str, at: float) -> deque[float]:
        for known in [known for known, times in self._tries.items() if times and times[-1] < at - TRIES_WITHIN]:
            del self._tries[known]
        times = self._tries.setdefault(address, deque())
        while times and times[0] < at - TRIES_WITHIN:
            times.popleft()
        return times


class Gate:
    """Parameters: the ledger, which knows people and sessions; where the console listens and whom it believes."""

    def __init__(self, database: Database, exposure: Exposure) -> None:
        self._database, self.exposure = database, exposure
        self.throttle = Throttle()

    def visitor(self, request: Request) -> Visitor:
        """Who comes. Raises Stopped where that is not known, or must not be taken at its word."""
        with self._database.reading() as connection:
            is_required = is_sign_in_required(connection)
        if (named := self.named_by_proxy(request)) is not None:
            return self._from_proxy(request, named)
        if not is_required and self.exposure.is_loopback:
            return self._unasked(request)
        secret = request.cookies.get(COOKIE, "")
        session = session_of(self._database, secret) if secret else None
        if session is None or session.way_in != TOKEN or (member := self._member(session.person)) is None:
            raise Stopped(401, "You are not signed in, or your session is over.", is_sign_in_offered=True)
        return Visitor(member, secret, is_new=False)

    def named_by_proxy(self, request: Request) -> str | None:
        """The name in the proxy's header, if the call comes from the proxy itself."""
        if not self.exposure.believes(address_of(request)):
            return None
        return request.headers.get(self.exposure.proxy_header)

    def _from_proxy(self, request: Request, name: str) -> Visitor:
        member = self._member(name)
        if member is None:
            self.refuse(request, name or "nobody", "sign_in", f"the proxy named {name!r}, who has no role here")
            raise Stopped(403, f"{name or 'nobody'} has no role here. Ask an admin: loopctl access person set.")
        return self._with_session(request, member, PROXY)

    def _unasked(self, request: Request) -> Visitor:
        """On this machine, where nobody has to sign in; a page of another host's name, or a proxy in front, is none."""
        if any(name in request.headers for name in FORWARDING_HEADERS):
            raise Stopped(
                403, "Somebody has put a proxy before a console that asks nobody who they are. Make an admin."
            )
        if not is_loopback(host_name(request.headers.get("host", ""))):
            raise Stopped(
                403, "This console asks nobody who they are, so it answers under 127.0.0.1 and localhost only."
            )
        member = Member(self.exposure.unasked_name, frozenset({Role.ADMIN}), is_unasked=True)
        return self._with_session(request, member, LOOPBACK)

    def _with_session(self, request: Request, member: Member, way_in: str) -> Visitor:
        secret = request.cookies.get(COOKIE, "")
        session = session_of(self._database, secret) if secret else None
        if session is not None and session.way_in == way_in and session.person == member.name:
            return Visitor(member, secret, is_new=False)
        return Visitor(member, begin_session(self._database, member.name, way_in), is_new=True)

    def _member(self, name: str) -> Member | None:
        with self._database.reading() as connection:
            return member_of(connection, name)

    def check_origin(self, request: Request) -> None:
        """Raises Stopped for a form that another site's page has sent."""
        origin = request.headers.get("origin")
        is_foreign = origin is not None and urlsplit(origin).netloc.lower() != self._own_host(request).lower()
        if is_foreign or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            self.refuse(request, "unknown", "forged_form", f"{request.url.path} from another site ({origin})")
            raise Stopped(403, "That form came from another site. Nothing was changed.")

    def check_form(self, request: Request, visitor: Visitor, key: str) -> None:
        """Raises Stopped for a form that this console did not make for this session."""
        if not hmac.compare_digest(key.encode(), form_key(visitor.secret).encode()):
            self.refuse(request, visitor.member.name, "forged_form", request.url.path)
            raise Stopped(403, "That form is not from this session. Open the page anew. Nothing was changed.")

    def _own_host(self, request: Request) -> str:
        forwarded = request.headers.get("x-forwarded-host") if self._is_from_proxy(request) else None
        return forwarded or request.headers.get("host", "")

    def is_secure(self, request: Request) -> bool:
        """Whether the browser's way to here is encrypted, so that the cookie is to keep to such ways."""
        is_told = self._is_from_proxy(request) and request.headers.get("x-forwarded-proto") == "https"
        return request.url.scheme == "https" or is_told

    def _is_from_proxy(self, request: Request) -> bool:
        return self.exposure.believes(address_of(request))

    def check_tries(self, request: Request) -> None:
        """Raises Stopped where there were too many refused attempts from one address."""
        if self.throttle.is_over(address_of(request), time.monotonic()):
            raise Stopped(429, "Too many refused attempts from your address; wait a minute.")

    def refuse(self, request: Request, actor: str, what: str, detail: str) -> None:
        """Puts a refused attempt into the audit trail. Raises Stopped where there were too many from one address."""
        self.check_tries(request)
        sender = address_of(request)
        self.throttle.note(sender, time.monotonic())
        note_refusal(self._database, actor, what, f"{detail}; from {sender}")

    def give_cookie(self, request: Request, response: Response, secret: str) -> None:
        """Gives the browser its session."""
        seconds = int(SESSION_WITHIN.total_seconds())
        is_secure = self.is_secure(request)
        response.set_cookie(COOKIE, secret, seconds, path="/", secure=is_secure, httponly=True, samesite="lax")


def address_of(request: Request) -> str:
    return request.client.host if request.client else "unknown"
