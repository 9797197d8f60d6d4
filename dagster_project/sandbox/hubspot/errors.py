"""HubSpot's own error bodies, so that a connector reads here what it would read there.

Source: https://developers.hubspot.com/docs/api-reference/error-handling and answers quoted in HubSpot's client issues.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from dagster_project.sandbox.calls import Reply, json_reply
from dagster_project.sandbox.credentials import HUBSPOT_PORTAL_ID


class HubSpotError(Exception):
    """A call that HubSpot refuses; carries the reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.body.decode())
        self.reply = reply


def error_reply(status: int, category: str, message: str, **further: Any) -> Reply:
    """An error body with its category and correlation id."""
    body = {"status": "error", "message": message, "correlationId": str(uuid.uuid4()), "category": category}
    return json_reply(status, body | further)


def invalid(message: str, **further: Any) -> HubSpotError:
    """400 VALIDATION_ERROR."""
    return HubSpotError(error_reply(400, "VALIDATION_ERROR", message, **further))


def invalid_json() -> HubSpotError:
    """400 for a body that is no JSON or not of the expected shape."""
    return invalid("Invalid input JSON on line 1, column 1: Cannot deserialize the request body")


def not_found(message: str = "resource not found", **further: Any) -> HubSpotError:
    """404 OBJECT_NOT_FOUND."""
    return HubSpotError(error_reply(404, "OBJECT_NOT_FOUND", message, **further))


def invalid_properties(problems: list[dict[str, Any]]) -> HubSpotError:
    """400 for property values; HubSpot puts the list of problems as JSON into the message."""
    described = [
        {"isValid": False, **problem, "localizedErrorMessage": problem["message"], "portalId": HUBSPOT_PORTAL_ID}
        for problem in problems
    ]
    errors = [
        {"message": problem["message"], "code": problem["error"], "context": {"propertyName": [problem["name"]]}}
        for problem in problems
    ]
    return invalid(f"Property values were not valid: {json.dumps(described)}", errors=errors)


def unauthorized() -> Reply:
    """401 for a missing or unknown token."""
    message = (
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details"
        " at https://developers.hubspot.com/docs/methods/auth/oauth-overview"
    )
    reply = error_reply(401, "INVALID_AUTHENTICATION", message)
    reply.headers["X-HubSpot-Auth-Failure"] = "401 Unauthorized"
    return reply


def missing_scope(scope: str) -> Reply:
    """403 for a scope that the app was not granted."""
    message = (
        "This app hasn't been granted all required scopes to make this call."
        " Read more about required scopes here: https://developers.hubspot.com/scopes."
    )
    error = {
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": [scope]},
    }
    links = {"scopes": "https://developers.hubspot.com/scopes"}
    return error_reply(403, "MISSING_SCOPES", message, errors=[error], links=links)


def too_many(policy: str, headers: dict[str, str]) -> Reply:
    """429 of a policy: TEN_SECONDLY_ROLLING or SECONDLY.

    Source: https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
    """
    body = {
        "status": "error",
        "message": f"You have reached your {policy.lower()} limit.",
        "errorType": "RATE_LIMIT",
        "correlationId": str(uuid.uuid4()),
        "policyName": policy,
        "groupName": "publicapi:private-apps:api-calls",
    }
    return json_reply(429, body, headers)
