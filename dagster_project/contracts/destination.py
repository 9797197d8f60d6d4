"""What a destination promises and what it answers, so that delivery can treat every vendor alike.

A connector lives in one file, `respond/destinations/<vendor>.py`, and imports neither dagster nor the ledger: it turns
rendered requests into calls and every answer, or lack of one, into one of four verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field


class IdempotencyClass(StrEnum):
    """What makes a retry harmless after an outcome nobody knows."""

    UPSERT = "upsert"
    IDEMPOTENCY_KEY = "idempotency_key"
    FIND_THEN_CREATE = "find_then_create"
    UNKEYED = "unkeyed"


class Verdict(StrEnum):
    """What is known about an attempt once it is over."""

    DELIVERED = "delivered"
    RETRY = "retry"  # known not done
    UNKNOWN = "unknown"  # it may have happened
    REJECTED = "rejected"  # never will be


class ReasonFor(StrEnum):
    """The causes an outcome can have besides success; one vocabulary for ledger, status and runbook."""

    RATE_LIMITED = "rate_limited"
    UNAUTHORIZED = "unauthorized"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    REPLY_LOST = "reply_lost"
    SERVER_ERROR = "server_error"
    MALFORMED_REPLY = "malformed_reply"
    MISSING_FROM_REPLY = "missing_from_reply"
    REFUSED = "refused"
    INVALID_REQUEST = "invalid_request"
    CONFLICT = "conflict"
    NOT_FOUND = "not_found"
    MISCONFIGURED = "misconfigured"
    CONNECTOR_FAILED = "connector_failed"


class OperationArguments(BaseModel):
    """Base of every operation's arguments: what a playbook's `with` may say; unknown keys are refused at load."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


@dataclass(frozen=True, slots=True)
class Request:
    """One external effect, rendered: sent as it stands by the first attempt and by every later one."""

    key: str  # the idempotency key: the action's or the group's id, the same on every retry
    arguments: OperationArguments
    # when the attempt began whose outcome is unknown; `reconcile` searches from there, and cannot prove absence without
    attempted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to."""

    verdict: Verdict
    reason: str = ""  # a ReasonFor value, empty when delivered
    detail: str = ""  # for a person: what the destination said, without secrets, at most 500 characters
    external_id: str | None = None
    url: str | None = None  # where a person sees the record
    result: Mapping[str, str] = field(default_factory=dict)  # further ids that later steps may use
    status: int | None = None  # the HTTP (or SMTP) status, where there was one
    retry_after: float | None = None  # seconds the destination asked to wait
    # "destination": the cause lies with the whole destination (429, 401, unreachable), so it burns no action's attempt
    scope: Literal["action", "destination"] = "action"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a destination can do for a playbook step."""

    name: str
    arguments: type[OperationArguments]
    idempotency: IdempotencyClass
    batch_size: int = 1  # requests that one external call carries at most
    # argument fields that the destination shows as markup: values put into them are escaped, all others go as they are
    rich_text: frozenset[str] = frozenset()
    description: str = ""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `calls` external calls in any `seconds`."""

    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SandboxAddress:
    """Where the sandbox listens: one HTTP base address for all vendors and one SMTP port."""

    http_url: str  # e.g. http://127.0.0.1:8650, without a trailing slash
    smtp_host: str
    smtp_port: int


class Connection(BaseModel):
    """Base of a destination's connection settings; secrets are SecretStr so that they never print."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    call_deadline: float = Field(default=20.0, gt=0)  # seconds for one external call, connect and reply together
    calls_per_second: float | None = Field(default=None, gt=0)  # instead of the connector's own rate limit


class Destination(Protocol):
    """A connector. Opened once per run, used from one event loop, closed at the end."""

    name: ClassVar[str]
    role: ClassVar[str]  # crm, erp, chat, mail, hook: what a playbook names
    connection_type: ClassVar[type[Connection]]
    operations: ClassVar[Mapping[str, Operation]]
    lookups: ClassVar[frozenset[str]]  # names that `look_up` answers
    rate_limit: RateLimit
    # longest time the server may go on working after our deadline; find_then_create waits it out before it looks again
    server_limit: ClassVar[float]

    @classmethod
    def sandbox_connection(cls, sandbox: SandboxAddress) -> Connection:
        """The connection that reaches the sandbox instead of the vendor."""
        ...

    @classmethod
    def open(cls, connection: Connection) -> Self: ...

    async def close(self) -> None: ...

    async def deliver(self, operation: str, requests: Sequence[Request]) -> Sequence[Outcome]:
        """Makes the external call(s) for at most `batch_size` requests of one operation.

        Returns one outcome per request, in order. Never raises for anything the network or the vendor does;
        a request missing from a batch answer is `unknown`, or `retry` where the answer proves it was not done.
        """
        ...

    async def reconcile(self, operation: str, request: Request) -> Outcome | None:
        """Looks whether an earlier attempt of this request took effect; None where the vendor gives no means to tell.

        `delivered` with the ids found, `retry` when it provably did not happen, `unknown` when it cannot be told now.
        """
        ...

    async def look_up(self, lookup: str, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Reads what the vendor knows about the keys, for enrichment. Raises LookupFailed when it cannot be read."""
        ...

    @classmethod
    def escape(cls, operation: str, text: str) -> str:
        """Makes a value harmless inside the operation's text fields (Slack control characters, HTML)."""
        ...


class LookupFailed(Exception):
    """An enrichment lookup that could not be answered; the work it was for stays waiting."""

    def __init__(self, destination: str, lookup: str, detail: str) -> None:
        super().__init__(
            f"{destination}: lookup {lookup!r} failed: {detail}. Nothing was sent; the work stays waiting."
        )
