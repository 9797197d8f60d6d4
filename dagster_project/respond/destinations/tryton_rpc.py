"""Tryton's JSON-RPC: a session that signs in when needed, and what its answers, errors inside a 200 included, say.

Facts from trytond 8.2 (`protocols/dispatcher.py`, `protocols/jsonrpc.py`, `exceptions.py`): an error inside a 200 was
raised within the call's transaction, which is rolled back; a session ends after idle minutes with 401 or 403.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from dagster_project.contracts.destination import Outcome, ReasonFor, Verdict
from dagster_project.respond.destinations.http_transport import HttpTransport
from dagster_project.respond.destinations.outcome_mapping import (
    MISADDRESSED,
    Meaning,
    before_the_effect,
    judged,
    malformed,
    outcome_of,
    rejected,
    retry,
    unknown,
)
from dagster_project.respond.destinations.secret_scrubbing import SecretScrubber

# 404 is an unknown database, and 403 for a signed-in user a method that the server does not offer.
STATUS_OVERRIDES: Mapping[int, Meaning] = {
    404: MISADDRESSED,
    423: Meaning(Verdict.RETRY, ReasonFor.CONFLICT),
}
# How Tryton's modules word a broken unique constraint in English, which every call asks for. The call was rolled back.
# Numbers that Tryton draws from a sequence collide too when two calls draw at once, so the same call may succeed later.
_NOT_UNIQUE = "must be unique"
# How Tryton words a missing right to a model, a field or a button. It is the user's, and all calls alike meet it.
_NO_RIGHT = ("You are not allowed to access ", "Calling button ")
_SHORTEST_SHARE = 0.05  # of the time that calls share; with less of it left no further call is begun


class CallRefused(Exception):
    """Carries the outcome of a call that gave no result up to the operation it was part of."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Patience:
    """The time that several calls share, so that together they take no longer than one call may."""

    seconds: float
    ends_at: float  # on the monotonic clock

    @classmethod
    def of(cls, seconds: float) -> Patience:
        """Patience that lasts `seconds` from now."""
        return cls(seconds, time.monotonic() + seconds)

    def left(self) -> float:
        """Seconds left; raises CallRefused when too few are left to begin another call."""
        seconds = self.ends_at - time.monotonic()
        if seconds < self.seconds * _SHORTEST_SHARE:
            text = "the calls before took as long as one call may take; this one was not begun"
            raise CallRefused(retry(ReasonFor.TIMED_OUT, text))
        return seconds


@dataclass(frozen=True, slots=True)
class _Session:
    headers: Mapping[str, str]
    context: Mapping[str, Any]


class TrytonRpc:
    """Calls one database of one Tryton server as one user."""

    def __init__(self, transport: HttpTransport, url: str, sign_in: tuple[str, str], scrubber: SecretScrubber) -> None:
        self._transport = transport
        self._url = url
        self._user, self._password = sign_in
        self._scrubber = scrubber
        self._session: _Session | None = None
        self._refused: Outcome | None = None  # of the sign-in: trytond locks a user out after a few wrong passwords
        self._signing_in = asyncio.Lock()

    async def company(self, patience: Patience) -> int:
        """The user's company. Raises CallRefused where the user has none."""
        session = await self._signed_in(patience)
        company = session.context.get("company")
        if not isinstance(company, int):
            text = f"the Tryton user {self._user} has no company; set one in the user's preferences"
            raise CallRefused(retry(ReasonFor.MISCONFIGURED, text, scope="destination"))
        return company

    async def search(
        self, patience: Patience, model: str, domain: Sequence[Any], limit: int | None = None
    ) -> list[int]:
        """The ids of the records in the domain, lowest first. A failure is one before the effect."""
        found = await self._read_only(patience, f"model.{model}.search", domain, 0, limit, [["id", "ASC"]])
        return sorted(one for one in found if isinstance(one, int)) if isinstance(found, list) else _no_list(model)

    async def read(
        self, patience: Patience, model: str, ids: Sequence[int], names: Sequence[str]
    ) -> list[dict[str, Any]]:
        """The named fields of the records. A failure is one before the effect."""
        if not ids:
            return []
        found = await self._read_only(patience, f"model.{model}.read", list(ids), list(names))
        rows = found if isinstance(found, list) else _no_list(model)
        return rows if all(isinstance(row, dict) for row in rows) else _no_list(model)

    async def create(self, patience: Patience, model: str, values: Mapping[str, Any]) -> int:
        """Creates one record and gives its id. Raises CallRefused; `unknown` where it may have been created."""
        created = await self.call(patience, f"model.{model}.create", [dict(values)])
        if not isinstance(created, list) or not created or not isinstance(created[0], int):
            raise CallRefused(malformed(200, f"it does not give the id of the new {model}"))
        return created[0]

    async def call(self, patience: Patience, method: str, *params: Any) -> Any:
        """Calls a model's method, the user's context last. Raises CallRefused for everything but a result.

        A session that has ended is renewed once: a call refused for its session was not carried out.
        """
        session = await self._signed_in(patience)
        answer = await self._post(patience, method, params, session)
        if isinstance(answer, Outcome) and answer.status in (401, 403):
            self._session = None if self._session is session else self._session
            session = await self._signed_in(patience)
            answer = await self._post(patience, method, params, session)
        if isinstance(answer, Outcome):
            raise CallRefused(answer)
        return answer

    async def _read_only(self, patience: Patience, method: str, *params: Any) -> Any:
        try:
            return await self.call(patience, method, *params)
        except CallRefused as refused:
            raise CallRefused(before_the_effect(refused.outcome)) from None

    async def _post(self, patience: Patience, method: str, params: Sequence[Any], session: _Session) -> Any:
        return await self._send(patience, method, [*params, dict(session.context)], session.headers)

    async def _send(self, patience: Patience, method: str, params: list[Any], headers: Mapping[str, str]) -> Any:
        """The result of one call, or the outcome it comes to."""
        # The answer may be compressed: trytond 8.2 marks long ones as gzip even for a client that does not accept it.
        body = {"id": 0, "method": method, "params": params}
        answer = await self._transport.call("POST", self._url, headers=headers, deadline=patience.left(), json=body)
        reply = judged(answer, datetime.now(UTC), STATUS_OVERRIDES)
        if isinstance(reply, Outcome):
            return reply
        if not isinstance(reply, dict) or not ("result" in reply or "error" in reply):
            return malformed(200, "it is not a JSON-RPC answer")
        return outcome_of_error(reply["error"]) if "error" in reply else reply["result"]

    async def _signed_in(self, patience: Patience) -> _Session:
        async with self._signing_in:
            if self._session is None:
                self._session = await self._sign_in(patience)
            return self._session

    async def _sign_in(self, patience: Patience) -> _Session:
        if self._refused is not None:
            raise CallRefused(self._refused)
        login = await self._send(patience, "common.db.login", [self._user, {"password": self._password}], {})
        if isinstance(login, Outcome):
            self._refused = login if login.reason == ReasonFor.UNAUTHORIZED else None
            raise CallRefused(before_the_effect(login))
        if not isinstance(login, list) or len(login) < 2:
            raise CallRefused(before_the_effect(malformed(200, "it is not a session")))
        user_id, token = login[0], str(login[1])
        credentials = base64.b64encode(f"{self._user}:{user_id}:{token}".encode()).decode()
        for secret in (token, credentials):
            self._scrubber.learn(secret)
        headers = {"Authorization": f"Session {credentials}"}
        context = await self._send(patience, "model.res.user.get_preferences", [True, {}], headers)
        if isinstance(context, Outcome):
            raise CallRefused(before_the_effect(context))
        preferences = context if isinstance(context, dict) else {}
        return _Session(headers, {**preferences, "language": "en"})


def outcome_of_error(error: Any) -> Outcome:
    """What an `error` member says: Tryton's exception name and its arguments, or a text and a traceback."""
    kind, said = _parts_of(error)
    if kind == "UserError" and said.startswith(_NO_RIGHT):
        text = f"the Tryton user lacks a right: {said}"
        return outcome_of(Meaning(Verdict.RETRY, ReasonFor.UNAUTHORIZED, "destination"), text, 200)
    if kind == "UserError" and _NOT_UNIQUE in said:
        return retry(ReasonFor.CONFLICT, f"another call came first: {said}")
    if kind == "UserError":
        return rejected(ReasonFor.REFUSED, f"Tryton refused it: {said}", status=200)
    if kind == "UserWarning":
        return rejected(ReasonFor.REFUSED, f"Tryton wants a person to confirm a warning first: {said}", status=200)
    if kind == "ConcurrencyException":
        return retry(ReasonFor.CONFLICT, f"someone else changed the record meanwhile: {said}")
    if kind == "RateLimitException":
        return retry(ReasonFor.RATE_LIMITED, "Tryton limits the rate of calls", scope="destination")
    if kind == "LoginException":
        return outcome_of(Meaning(Verdict.RETRY, ReasonFor.UNAUTHORIZED, "destination"), "Tryton asks to sign in", 200)
    return unknown(ReasonFor.SERVER_ERROR, f"Tryton failed: {said}", status=200)


def _parts_of(error: Any) -> tuple[str, str]:
    """The exception's name, empty where there is none, and what it says without a traceback."""
    if not isinstance(error, list) or not error:
        return "", str(error)
    kind = str(error[0])
    arguments = error[1] if len(error) > 1 else ""
    if kind in ("UserError", "UserWarning") and isinstance(arguments, list):
        texts = arguments if kind == "UserError" else arguments[1:]
        return kind, " - ".join(text for text in texts[:2] if isinstance(text, str) and text)
    return kind, str(arguments) if kind.endswith("Exception") else kind


def encoded_decimal(value: Decimal) -> dict[str, str]:
    """A decimal as Tryton's JSON carries it."""
    return {"__class__": "Decimal", "decimal": str(value)}


def decoded_number(value: Any) -> Decimal:
    """A number out of Tryton's JSON; 0 for what is none."""
    raw = value.get("decimal") if isinstance(value, dict) else value
    try:
        return Decimal(str(raw))
    except InvalidOperation:
        return Decimal(0)


def id_in(row: Mapping[str, Any], name: str = "id") -> int:
    """The id that a row read from Tryton has under a name. Raises CallRefused where it has none."""
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise CallRefused(before_the_effect(malformed(200, f"a row has no {name}")))
    return value


def _no_list(model: str) -> NoReturn:
    raise CallRefused(before_the_effect(malformed(200, f"it does not list records of {model}")))
