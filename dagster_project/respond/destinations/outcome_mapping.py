"""Decides what a reply, or the lack of one, says about a call, so that every vendor over HTTP is judged by one table.

The one question is whether the effect may exist. `retry` is claimed only where the protocol says that the request was
not carried out; `rejected` only where it never will be; everything else is `unknown`. The statuses follow RFC 9110
(section numbers below) and RFC 6585; 521 to 526 follow Cloudflare's published meanings, which HubSpot's pages name too.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Literal

from dagster_project.contracts.destination import Outcome, ReasonFor, Verdict

LONGEST_RETRY_AFTER = 86_400.0  # seconds; HubSpot asks for up to a day while an account moves between regions

_TAG = re.compile(r"<[^<>]*>")

Scope = Literal["action", "destination"]


class Fault(StrEnum):
    """Why there is no status to judge by."""

    NOT_SENT = "not_sent"  # refused, no such host, TLS failure: not one byte of the request left
    MISADDRESSED = "misaddressed"  # the address cannot be called at all
    TIMED_OUT = "timed_out"  # after the request was, or may have been, sent
    REPLY_LOST = "reply_lost"  # the connection ended after the request was, or may have been, sent
    GARBLED = "garbled"  # something came back that is not HTTP


class Flaw(StrEnum):
    """What is wrong with a reply whose status was read."""

    OVERSIZED = "oversized"
    CUT_SHORT = "cut_short"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that got no status."""

    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A call that got a status; header names are in lower case, the body is at most as long as the transport allows."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    flaw: Flaw | None = None


Answer = Reply | Failure


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a status says about the request."""

    verdict: Verdict
    reason: ReasonFor
    scope: Scope = "action"


_WAIT = Meaning(Verdict.RETRY, ReasonFor.RATE_LIMITED, "destination")
_SIGN_IN = Meaning(Verdict.RETRY, ReasonFor.UNAUTHORIZED, "destination")
_DOWN = Meaning(Verdict.RETRY, ReasonFor.UNREACHABLE, "destination")
# The address or the API version is wrong for every call alike: the work waits for the settings, it does not die.
MISADDRESSED = Meaning(Verdict.RETRY, ReasonFor.MISCONFIGURED, "destination")
_INVALID = Meaning(Verdict.REJECTED, ReasonFor.INVALID_REQUEST)
_CONFLICT = Meaning(Verdict.REJECTED, ReasonFor.CONFLICT)
_ABSENT = Meaning(Verdict.REJECTED, ReasonFor.NOT_FOUND)
_REFUSED = Meaning(Verdict.REJECTED, ReasonFor.REFUSED)
_MAYBE_DONE = Meaning(Verdict.UNKNOWN, ReasonFor.SERVER_ERROR)
_NONSENSE = Meaning(Verdict.UNKNOWN, ReasonFor.MALFORMED_REPLY)

STATUS_MEANINGS: Mapping[int, Meaning] = {
    # Redirects are never followed: a POST that is repeated elsewhere is a second effect, and the signature or token
    # would go to an address nobody configured. 302 and 303 are how servers answer a POST that was carried out (15.4.3,
    # 15.4.4), so they prove nothing; the others say that this address did nothing (15.4.2, 15.4.8, 15.4.9).
    **dict.fromkeys((300, 301, 305, 307, 308), MISADDRESSED),
    **dict.fromkeys((302, 303), Meaning(Verdict.UNKNOWN, ReasonFor.MISCONFIGURED)),
    400: _INVALID,
    **dict.fromkeys((401, 402, 403, 407), _SIGN_IN),
    404: _ABSENT,
    **dict.fromkeys((405, 406, 415, 421, 426), MISADDRESSED),
    **dict.fromkeys((408, 425, 429), _WAIT),  # 15.5.9, RFC 8470, RFC 6585: the request was not carried out
    409: _CONFLICT,
    410: _ABSENT,
    412: _CONFLICT,
    **dict.fromkeys((413, 414, 422, 431), _INVALID),
    423: Meaning(Verdict.RETRY, ReasonFor.CONFLICT),
    # A server may fail after it did the work ("500" for "already there" was seen in a real CRM).
    500: _MAYBE_DONE,
    **dict.fromkeys((501, 505), MISADDRESSED),
    502: _MAYBE_DONE,  # a gateway lost its server in mid-request
    504: Meaning(Verdict.UNKNOWN, ReasonFor.TIMED_OUT),  # a gateway stopped waiting; its server may not have
    511: _DOWN,  # RFC 6585: a network that wants a sign-in answered in the destination's place
    **dict.fromkeys((521, 523, 525, 526), _DOWN),  # the edge never got through to its server
    524: Meaning(Verdict.UNKNOWN, ReasonFor.TIMED_OUT),
}

# 503 is a server that declines (15.6.4) only when it also says when to come back. Without Retry-After it is as often a
# proxy whose upstream vanished after it had the request, so nothing is claimed; either way it is the whole service.
_DECLINED = Meaning(Verdict.RETRY, ReasonFor.UNREACHABLE, "destination")
_UNAVAILABLE = Meaning(Verdict.UNKNOWN, ReasonFor.SERVER_ERROR, "destination")

FAULT_MEANINGS: Mapping[Fault, Meaning] = {
    Fault.NOT_SENT: _DOWN,
    Fault.MISADDRESSED: MISADDRESSED,
    Fault.TIMED_OUT: Meaning(Verdict.UNKNOWN, ReasonFor.TIMED_OUT),
    Fault.REPLY_LOST: Meaning(Verdict.UNKNOWN, ReasonFor.REPLY_LOST),
    Fault.GARBLED: _NONSENSE,
}

_FLAW_MEANINGS: Mapping[Flaw, Meaning] = {
    Flaw.OVERSIZED: _NONSENSE,
    Flaw.CUT_SHORT: Meaning(Verdict.UNKNOWN, ReasonFor.REPLY_LOST),
    Flaw.TIMED_OUT: Meaning(Verdict.UNKNOWN, ReasonFor.TIMED_OUT),
}

_FLAW_WORDS: Mapping[Flaw, str] = {
    Flaw.OVERSIZED: "its body is larger than this connector reads",
    Flaw.CUT_SHORT: "its body ended early",
    Flaw.TIMED_OUT: "its body did not arrive within the call deadline",
}


def is_success(status: int) -> bool:
    """Whether the status alone says that the request was carried out."""
    return 200 <= status <= 299


def meaning_of_status(status: int, has_retry_after: bool, overrides: Mapping[int, Meaning]) -> Meaning:
    """What a status that is no success says; `overrides` are what a vendor documents otherwise."""
    if status in overrides:
        return overrides[status]
    if status == 503:
        return _DECLINED if has_retry_after else _UNAVAILABLE
    if status in STATUS_MEANINGS:
        return STATUS_MEANINGS[status]
    if 400 <= status <= 499:
        return _REFUSED
    return _MAYBE_DONE if 500 <= status <= 599 else _NONSENSE


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3: a number of seconds or an HTTP date).

    None for a missing, negative or unreadable value; a moment in the past is 0; more than a day is a day.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text) if text.isascii() else math.nan
    except ValueError:
        seconds = _seconds_until(text, now)
    if math.isnan(seconds) or seconds < 0:
        return None
    return min(seconds, LONGEST_RETRY_AFTER)


def _seconds_until(http_date: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(http_date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return math.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def outcome_of_status(
    reply: Reply, now: datetime, overrides: Mapping[int, Meaning] | None = None, said: str | None = None
) -> Outcome:
    """The outcome of a reply that is no success.

    Parameters: `now` is an aware moment that a Retry-After date is measured from; `overrides` maps a status to what
    the vendor documents for it; `said` is the vendor's message where it was already found in the body.
    """
    wait = retry_after_seconds(reply.headers.get("retry-after"), now)
    meaning = meaning_of_status(reply.status, wait is not None, overrides or {})
    text = said if said is not None else text_of(reply)
    detail = f"HTTP {reply.status}: {text}" if text else f"HTTP {reply.status} without a message"
    outcome = outcome_of(meaning, detail, status=reply.status)
    return replace(outcome, retry_after=wait) if outcome.verdict is not Verdict.REJECTED else outcome


def outcome_of_failure(failure: Failure) -> Outcome:
    """The outcome of a call that got no status."""
    return outcome_of(FAULT_MEANINGS[failure.fault], failure.detail)


def outcome_of_flaw(reply: Reply, flaw: Flaw) -> Outcome:
    """The outcome of a success whose body cannot be used: it was carried out, but nobody knows as what."""
    detail = f"HTTP {reply.status}, but {_FLAW_WORDS[flaw]}"
    return outcome_of(_FLAW_MEANINGS[flaw], detail, status=reply.status)


def malformed(status: int, what: str) -> Outcome:
    """The outcome of a success whose body does not say what it should."""
    return outcome_of(_NONSENSE, f"HTTP {status}, but {what}", status=status)


def outcome_of(meaning: Meaning, detail: str, status: int | None = None) -> Outcome:
    """An outcome with a meaning's verdict, reason and scope."""
    return Outcome(meaning.verdict, meaning.reason, detail, status=status, scope=meaning.scope)


def rejected(reason: ReasonFor, detail: str, status: int | None = None) -> Outcome:
    """An outcome of a request that never will be carried out."""
    return Outcome(Verdict.REJECTED, reason, detail, status=status)


def unknown(reason: ReasonFor, detail: str, status: int | None = None) -> Outcome:
    """An outcome of a request that may have been carried out."""
    return Outcome(Verdict.UNKNOWN, reason, detail, status=status)


def retry(reason: ReasonFor, detail: str, scope: Scope = "action") -> Outcome:
    """An outcome of a request that was not carried out and may be sent again."""
    return Outcome(Verdict.RETRY, reason, detail, scope=scope)


def before_the_effect(outcome: Outcome) -> Outcome:
    """The outcome of a call that only prepares: whatever became of it, the effect was not asked for yet."""
    return replace(outcome, verdict=Verdict.RETRY) if outcome.verdict is Verdict.UNKNOWN else outcome


def judged(answer: Answer, now: datetime, overrides: Mapping[int, Meaning] | None = None) -> Any:
    """The JSON value of a success, or the `Outcome` that the answer comes to.

    A success without a body gives None, as a JSON `null` does.
    """
    if isinstance(answer, Failure):
        return outcome_of_failure(answer)
    if not is_success(answer.status):
        return outcome_of_status(answer, now, overrides)
    if answer.flaw is not None:
        return outcome_of_flaw(answer, answer.flaw)
    return _json_of(answer)


def _json_of(reply: Reply) -> Any:
    if not reply.body.strip():
        return None
    try:
        return json.loads(reply.body.decode("utf-8"))
    except UnicodeDecodeError:
        return malformed(reply.status, "its body is not UTF-8")
    except (ValueError, RecursionError):
        return malformed(reply.status, "its body is not JSON")


def text_of(reply: Reply) -> str:
    """What an error body says to a person: its `message` where it is JSON with one, else its beginning."""
    text = reply.body.decode("utf-8", errors="replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        said = [value[name] for name in ("message", "error", "detail") if isinstance(value.get(name), str)]
        text = said[0] if said else text
    elif text.lstrip().startswith("<"):
        text = html.unescape(_TAG.sub(" ", text))
    return " ".join(text.split())
