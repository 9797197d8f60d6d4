"""Faults that can be switched on: which calls they meet, when they strike, and what they do to the call."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator


class FaultKind(StrEnum):
    """What a fault does to the call it strikes."""

    STATUS = "status"  # this status and body instead of an answer; nothing is done
    VENDOR_ERROR = "vendor_error"  # the vendor's own form of an error with this code; nothing is done
    RATE_LIMIT = "rate_limit"  # the vendor's own 429 with Retry-After; nothing is done
    DROP_BEFORE = "drop_before"  # the connection breaks; nothing is done
    DROP_AFTER = "drop_after"  # everything is done, then the connection breaks: the reply is lost
    DELAY = "delay"  # waits, then works
    DELAY_REPLY = "delay_reply"  # works, then waits: a client's deadline passes although the effect is kept
    MALFORMED = "malformed"  # works, then answers something that is no JSON
    EMPTY = "empty"  # works, then answers with an empty body
    TRUNCATED = "truncated"  # works, then breaks the connection in the middle of the reply's body
    PARTIAL = "partial"  # of a batch, some inputs are refused with an error of their own
    MISSING = "missing"  # works, then leaves some results out of the batch answer


class Fault(BaseModel):
    """One fault: matchers (shell patterns), a trigger, and what it does.

    The trigger: of the matching calls the first `skip` pass; then every `every`-th is struck, with `probability`
    (by a generator seeded with `seed`), at most `times` times.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    vendor: Literal["hubspot", "tryton", "slack", "smtp", "hooks", "*"] = "*"
    method: str = "*"
    path: str = "*"
    operation: str = "*"
    body: str | None = Field(None, description="a text that the call's body must contain")

    probability: float = Field(1.0, ge=0.0, le=1.0)
    every: PositiveInt = 1
    times: PositiveInt | None = None
    skip: NonNegativeInt = 0
    seed: int = 0

    status: int = Field(500, ge=100, le=599)
    reply: str | dict[str, Any] | list[Any] | None = Field(None, description="body of a `status` fault")
    headers: dict[str, str] = {}
    code: str = Field("internal_error", description="code of a `vendor_error`")
    seconds: NonNegativeFloat = Field(0.0, description="length of a delay, or what Retry-After asks for")
    is_http_date: bool = Field(False, description="Retry-After as an HTTP date instead of seconds")
    share: float = Field(0.5, gt=0.0, le=1.0, description="part of a batch that `partial` and `missing` strike")

    @model_validator(mode="after")
    def _delay_needs_seconds(self) -> Self:
        if self.kind in (FaultKind.DELAY, FaultKind.DELAY_REPLY) and self.seconds == 0.0:
            raise ValueError(f"a fault of kind {self.kind.value!r} needs `seconds` greater than 0")
        return self

    def matches(self, vendor: str, method: str, path: str, operation: str, body: bytes) -> bool:
        """Whether the fault is meant for this call."""
        return (
            self.vendor in ("*", vendor)
            and fnmatchcase(method, self.method)
            and fnmatchcase(path, self.path)
            and fnmatchcase(operation, self.operation)
            and (self.body is None or self.body.encode() in body)
        )

    def retry_after(self, now: datetime | None = None) -> str:
        """The value of the Retry-After header (RFC 9110, section 10.2.3)."""
        if not self.is_http_date:
            return f"{self.seconds:g}"
        moment = (now or datetime.now(UTC)) + timedelta(seconds=self.seconds)
        return format_datetime(moment.astimezone(UTC), usegmt=True)


@dataclass
class ArmedFault:
    """A fault with its memory: how many calls it has seen and struck."""

    id: int
    fault: Fault
    seen: int = 0
    struck: int = 0
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self._random.seed(self.fault.seed)

    def strikes(self) -> bool:
        """Counts one matching call and says whether it is struck."""
        fault = self.fault
        self.seen += 1
        counted = self.seen - fault.skip
        if counted <= 0 or counted % fault.every or (fault.times is not None and self.struck >= fault.times):
            return False
        if fault.probability < 1.0 and self._random.random() >= fault.probability:
            return False
        self.struck += 1
        return True


class FaultBoard:
    """The faults that are switched on, in the order they were added; forgotten when the process ends."""

    def __init__(self) -> None:
        self._armed: dict[int, ArmedFault] = {}
        self._last_id = 0

    def add(self, fault: Fault) -> ArmedFault:
        """Switches a fault on."""
        self._last_id += 1
        armed = ArmedFault(self._last_id, fault)
        self._armed[armed.id] = armed
        return armed

    def remove(self, fault_id: int) -> bool:
        """Switches one off; False when it was not on."""
        return self._armed.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Switches all off."""
        self._armed.clear()

    def armed(self) -> list[ArmedFault]:
        """Those that are on."""
        return list(self._armed.values())

    def strike(self, vendor: str, method: str, path: str, operation: str, body: bytes) -> list[Fault]:
        """The faults that strike this call; each matching one counts it, whether it strikes or not."""
        if not self._armed:
            return []
        matching = [a for a in self._armed.values() if a.fault.matches(vendor, method, path, operation, body)]
        return [armed.fault for armed in matching if armed.strikes()]
