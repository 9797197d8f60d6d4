"""The knobs of a running sandbox: limits, latency and grants that a test or a person may change while it runs."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat


class SandboxSettings(BaseModel):
    """What may be changed without a restart; zero switches a limit off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latency: NonNegativeFloat = Field(0.0, description="seconds that every vendor call waits before it is worked on")

    hubspot_calls_per_ten_seconds: NonNegativeInt = Field(190, description="the Professional and Enterprise limit")
    hubspot_searches_per_second: NonNegativeInt = Field(5, description="the limit of the search endpoints")
    hubspot_search_lag: NonNegativeFloat = Field(0.0, description="seconds until a written record is found by search")
    hubspot_owner_domains: tuple[str, ...] = Field(
        ("example.com", "example.org", "example.net", "company.example"),
        description="an owner asked for by an address of these domains exists",
    )
    hubspot_scopes_missing: tuple[str, ...] = Field((), description="scopes that the private app was not granted")

    slack_messages_per_second: NonNegativeFloat = Field(1.0, description="sustained rate of one channel")
    slack_burst: PositiveFloat = Field(
        200.0, description="messages that one channel takes at once before the rate holds"
    )
    slack_scopes: tuple[str, ...] = (
        "channels:history",
        "channels:join",
        "channels:manage",
        "channels:read",
        "chat:write",
        "chat:write.public",
        "reactions:write",
    )

    tryton_session_timeout: PositiveFloat = Field(300.0, description="idle seconds after which a session is refused")
