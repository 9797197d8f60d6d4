"""What can happen to a call, and what it must come to: the matrix that every destination over HTTP is held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from fault_server import (
    Fault,
    answers,
    cuts_the_body_short,
    drops,
    echoes,
    resets,
    sends_without_end,
    speaks_another_protocol,
    stalls_in_the_body,
    stays_silent,
)


@dataclass(frozen=True)
class Expected:
    """The part of an outcome that delivery acts on."""

    verdict: str
    reason: str
    scope: str = "action"


SIGN_IN = Expected("retry", "unauthorized", "destination")
SETTINGS = Expected("retry", "misconfigured", "destination")
WAIT = Expected("retry", "rate_limited", "destination")
DOWN = Expected("retry", "unreachable", "destination")
INVALID = Expected("rejected", "invalid_request")
CONFLICT = Expected("rejected", "conflict")
ABSENT = Expected("rejected", "not_found")
REFUSED = Expected("rejected", "refused")
SERVER_ERROR = Expected("unknown", "server_error")
TIMED_OUT = Expected("unknown", "timed_out")
REPLY_LOST = Expected("unknown", "reply_lost")
MALFORMED = Expected("unknown", "malformed_reply")
DELIVERED = Expected("delivered", "")

STATUSES: Mapping[int, Expected] = {
    300: SETTINGS,
    301: SETTINGS,
    302: Expected("unknown", "misconfigured"),
    303: Expected("unknown", "misconfigured"),
    304: MALFORMED,
    305: SETTINGS,
    307: SETTINGS,
    308: SETTINGS,
    400: INVALID,
    401: SIGN_IN,
    402: SIGN_IN,
    403: SIGN_IN,
    404: ABSENT,
    405: SETTINGS,
    406: SETTINGS,
    407: SIGN_IN,
    408: WAIT,
    409: CONFLICT,
    410: ABSENT,
    411: REFUSED,
    412: CONFLICT,
    413: INVALID,
    414: INVALID,
    415: SETTINGS,
    416: REFUSED,
    417: REFUSED,
    418: REFUSED,
    421: SETTINGS,
    422: INVALID,
    423: Expected("retry", "conflict"),
    424: REFUSED,
    425: WAIT,
    426: SETTINGS,
    428: REFUSED,
    429: WAIT,
    431: INVALID,
    451: REFUSED,
    499: REFUSED,
    500: SERVER_ERROR,
    501: SETTINGS,
    502: SERVER_ERROR,
    503: Expected("unknown", "server_error", "destination"),
    504: TIMED_OUT,
    505: SETTINGS,
    507: SERVER_ERROR,
    511: DOWN,
    520: SERVER_ERROR,
    521: DOWN,
    522: SERVER_ERROR,
    523: DOWN,
    524: TIMED_OUT,
    525: DOWN,
    526: DOWN,
    599: SERVER_ERROR,
    600: MALFORMED,
    999: MALFORMED,
}


def expected_of(status: int) -> Expected:
    """What a status comes to, those included that nobody has registered."""
    by_class = {4: REFUSED, 5: SERVER_ERROR}
    return STATUSES.get(status, by_class.get(status // 100, MALFORMED))


@dataclass(frozen=True)
class Case:
    """One thing that happens to the call that makes the effect."""

    name: str
    fault: Fault
    expected: Expected
    retry_after: tuple[float, float] | None = None  # least and most seconds
    status: int | None = None
    is_success_with_a_bad_body: bool = False
    call_deadline: float = 5.0


def _in(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


STATUS_CASES = [
    Case(f"status {status}", echoes(status, {"Location": "/elsewhere"}), expected, status=status)
    for status, expected in STATUSES.items()
]

RETRY_AFTER_CASES = [
    Case("429 and seconds", echoes(429, {"Retry-After": "7"}), WAIT, (7, 7), 429),
    # The date is written when the cases are collected, so it leaves a suite hours to come to it.
    Case("429 and a date", echoes(429, {"Retry-After": _in(43_200)}), WAIT, (36_000, 43_200), 429),
    Case("429 and a past date", echoes(429, {"Retry-After": _in(-600)}), WAIT, (0, 0), 429),
    Case("429 and more than a day", echoes(429, {"Retry-After": "99999999"}), WAIT, (86400, 86400), 429),
    Case("429 and a negative number", echoes(429, {"Retry-After": "-5"}), WAIT, None, 429),
    Case("429 and nonsense", echoes(429, {"Retry-After": "soon"}), WAIT, None, 429),
    Case("503 that says when", echoes(503, {"Retry-After": "30"}), DOWN, (30, 30), 503),
]

BROKEN_CASES = [
    Case("the connection is closed in place of a reply", drops, REPLY_LOST),
    Case("the connection is reset in place of a reply", resets, REPLY_LOST),
    Case("no reply within the deadline", stays_silent, TIMED_OUT, call_deadline=0.4),
    Case("a reply that is not HTTP", speaks_another_protocol, MALFORMED),
]


def _bad_body(name: str, fault: Fault, expected: Expected, call_deadline: float = 5.0) -> Case:
    return Case(name, fault, expected, None, 200, True, call_deadline)


BODY_CASES = [
    _bad_body("200 with an empty body", answers(200), MALFORMED),
    _bad_body("200 with a page", answers(200, b"<html>Sign in</html>", {"Content-Type": "text/html"}), MALFORMED),
    _bad_body("200 with broken JSON", answers(200, b'{"results": [', {"Content-Type": "application/json"}), MALFORMED),
    _bad_body("200 with other JSON", answers(200, b'["what?", 7]', {"Content-Type": "application/json"}), MALFORMED),
    _bad_body("200 with deep JSON", answers(200, b"[" * 100_000, {"Content-Type": "application/json"}), MALFORMED),
    _bad_body("200 in Latin-1", answers(200, b'{"name": "caf\xe9"}', {"Content-Type": "application/json"}), MALFORMED),
    _bad_body("200 with a false encoding", answers(200, b"{}", {"Content-Encoding": "gzip"}), REPLY_LOST),
    _bad_body("200 with an endless body", sends_without_end, MALFORMED),
    _bad_body("200 whose body is cut short", cuts_the_body_short, REPLY_LOST),
    _bad_body("200 whose body stalls", stalls_in_the_body, TIMED_OUT, 0.4),
]

CASES = [*STATUS_CASES, *RETRY_AFTER_CASES, *BROKEN_CASES, *BODY_CASES]
