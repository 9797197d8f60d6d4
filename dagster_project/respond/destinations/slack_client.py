"""Slack's own client, made to send through the bounded transport and never to send anything twice by itself.

The client builds and validates the calls. What carries them is replaced, because its own way follows redirects, takes
proxies from the environment, reads bodies of any length and cannot say whether a request had left when it failed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagster_project.contracts.destination import Outcome, ReasonFor, Verdict
from dagster_project.respond.destinations.http_transport import HttpTransport
from dagster_project.respond.destinations.outcome_mapping import (
    Answer,
    Meaning,
    Reply,
    judged,
    malformed,
    outcome_of,
)

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

_SIGN_IN = Meaning(Verdict.RETRY, ReasonFor.UNAUTHORIZED, "destination")
_WAIT = Meaning(Verdict.RETRY, ReasonFor.RATE_LIMITED, "destination")
_LATER = Meaning(Verdict.RETRY, ReasonFor.UNREACHABLE, "destination")
_MAYBE_DONE = Meaning(Verdict.UNKNOWN, ReasonFor.SERVER_ERROR)
_REFUSED = Meaning(Verdict.REJECTED, ReasonFor.REFUSED)
_ABSENT = Meaning(Verdict.REJECTED, ReasonFor.NOT_FOUND)
_INVALID = Meaning(Verdict.REJECTED, ReasonFor.INVALID_REQUEST)

# Slack's reference of chat.postMessage and its general errors. Slack says of fatal_error that a part of the operation
# may have succeeded, and says nothing of internal_error. An error that is not listed was an answer, and it was "no".
ERROR_MEANINGS: Mapping[str, Meaning] = {
    **dict.fromkeys(
        (
            "access_denied",
            "accesslimited",
            "account_inactive",
            "ekm_access_denied",
            "enterprise_is_restricted",
            "invalid_auth",
            "missing_scope",
            "no_permission",
            "not_allowed_token_type",
            "not_authed",
            "org_login_required",
            "team_access_not_granted",
            "token_expired",
            "token_revoked",
            "two_factor_setup_required",
        ),
        _SIGN_IN,
    ),
    **dict.fromkeys(("ratelimited", "rate_limited"), _WAIT),
    **dict.fromkeys(("team_added_to_org", "request_timeout"), _LATER),  # request_timeout: the body did not arrive whole
    **dict.fromkeys(("fatal_error", "internal_error"), _MAYBE_DONE),
    "service_unavailable": Meaning(Verdict.UNKNOWN, ReasonFor.SERVER_ERROR, "destination"),
    **dict.fromkeys(("channel_not_found", "thread_not_found", "message_not_found"), _ABSENT),
    **dict.fromkeys(
        (
            "invalid_arguments",
            "invalid_blocks",
            "invalid_blocks_format",
            "invalid_metadata_format",
            "invalid_metadata_schema",
            "metadata_too_large",
            "msg_blocks_too_long",
            "msg_too_long",
            "no_text",
        ),
        _INVALID,
    ),
}


class Unanswered(Exception):
    """A call that gave no Slack answer, with the outcome it comes to."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


def opened_client(transport: HttpTransport, base_url: str, token: str) -> AsyncWebClient:
    """Slack's client over the transport, its retries off: by default it posts again after a dropped reply."""
    from slack_sdk.web.async_client import AsyncWebClient

    class TransportedClient(AsyncWebClient):
        async def _request(self, *, http_verb: str, api_url: str, req_args: dict[str, Any]) -> dict[str, Any]:
            sent = {name: req_args[name] for name in ("headers", "data", "params", "json") if req_args.get(name)}
            return _client_reply(await transport.call(http_verb, api_url, **sent))

    # The client's debug lines hold whole messages and answers; its level keeps them out whatever the root logger says.
    quiet = logging.getLogger(f"{__name__}.sdk")
    quiet.setLevel(logging.CRITICAL)
    return TransportedClient(token=token, base_url=base_url, retry_handlers=[], logger=quiet)


def _client_reply(answer: Answer) -> dict[str, Any]:
    """What the client goes on with; raises Unanswered for everything but a success with a JSON object."""
    value = judged(answer, datetime.now(UTC))
    if isinstance(value, Outcome):
        raise Unanswered(value)
    status = answer.status if isinstance(answer, Reply) else 0
    if not isinstance(value, dict) or not isinstance(value.get("ok"), bool):
        raise Unanswered(malformed(status, "it is not a Slack answer"))
    return {"data": value, "headers": dict(answer.headers) if isinstance(answer, Reply) else {}, "status_code": status}


async def asked(call: Any) -> dict[str, Any] | Outcome:
    """The answer to a client's call, or the outcome it comes to.

    Parameter: `call` is the awaitable that a client's method gave.
    """
    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        response = await call
    except Unanswered as unanswered:
        return unanswered.outcome
    except SlackApiError as error:
        return outcome_of_error(error.response.data if isinstance(error.response.data, dict) else {})
    except SlackClientError as error:
        return outcome_of(_INVALID, f"Slack's client refused the call ({type(error).__name__})")
    return response.data if isinstance(response.data, dict) else malformed(200, "it is not a Slack answer")


def outcome_of_error(answer: Mapping[str, Any]) -> Outcome:
    """What an answer says whose `ok` is false."""
    error = str(answer.get("error", "without a name"))
    needed = f", it lacks the scope {answer['needed']}" if answer.get("needed") else ""
    messages = answer.get("response_metadata")
    listed = messages.get("messages") if isinstance(messages, dict) else None
    told = f": {'; '.join(map(str, listed))}" if isinstance(listed, list) and listed else ""
    return outcome_of(ERROR_MEANINGS.get(error, _REFUSED), f"Slack says {error}{needed}{told}", status=200)
