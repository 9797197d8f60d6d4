"""What every connector does alike around its calls: check the request, scrub the answers, never print a secret."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

from dagster_project.contracts.destination import (
    Connection,
    LookupFailed,
    Operation,
    Outcome,
    RateLimit,
    Request,
)
from dagster_project.contracts.read_back import ReadBack
from dagster_project.respond.destinations.secret_scrubbing import SecretScrubber, cut

ConnectionT = TypeVar("ConnectionT", bound=Connection)


class GuardedDestination(ABC, Generic[ConnectionT]):
    """Base of the connectors; a vendor's file says what to call and how to read the answer."""

    name: ClassVar[str]
    role: ClassVar[str]
    connection_type: ClassVar[type[Connection]]
    operations: ClassVar[Mapping[str, Operation]]
    lookups: ClassVar[frozenset[str]] = frozenset()
    readable: frozenset[str] = frozenset()  # operations whose records can be read back
    rate_limit: RateLimit
    server_limit: ClassVar[float]

    def __init__(self, connection: ConnectionT) -> None:
        self.connection = connection
        self.scrubber = SecretScrubber.of(connection)
        if connection.calls_per_second is not None:
            calls = max(1, int(connection.calls_per_second))
            self.rate_limit = RateLimit(calls=calls, seconds=calls / connection.calls_per_second)

    @classmethod
    def open(cls, connection: Connection) -> Self:
        """Makes the connector; calls nothing. Raises TypeError for another's connection."""
        if not isinstance(connection, cls.connection_type):
            raise TypeError(f"{cls.name} needs {cls.connection_type.__name__}, not {type(connection).__name__}")
        return cls(cast(ConnectionT, connection))

    async def deliver(self, operation: str, requests: Sequence[Request]) -> Sequence[Outcome]:
        """One outcome per request, in order. Raises ValueError for a request that the operation does not take."""
        self._check(operation, requests)
        outcomes = await self.call(operation, requests) if requests else []
        if len(outcomes) != len(requests):
            raise AssertionError(f"{self.name} {operation}: {len(outcomes)} outcomes for {len(requests)} requests")
        return [self.scrubber.clean_outcome(outcome) for outcome in outcomes]

    async def reconcile(self, operation: str, request: Request) -> Outcome | None:
        """Whether an earlier attempt took effect, or None where the vendor gives no means to tell."""
        self._check(operation, [request])
        found = await self.find(operation, request)
        return None if found is None else self.scrubber.clean_outcome(found)

    async def look_up(self, lookup: str, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """What the vendor knows about the keys; a key it does not know is left out. Raises LookupFailed."""
        if lookup not in self.lookups:
            raise LookupFailed(self.name, lookup, f"it is none of {sorted(self.lookups)}")
        found = await self.read(lookup, keys)
        if isinstance(found, Outcome):
            raise LookupFailed(self.name, lookup, cut(self.scrubber.clean(found.detail)))
        return found

    async def read_back(
        self, operation: str, request: Request, external_id: str, result: Mapping[str, str]
    ) -> ReadBack | None:
        """The record of a delivered action as it stands now, None where it is gone. Raises LookupFailed."""
        self._check(operation, [request])
        if operation not in self.readable:
            raise LookupFailed(self.name, f"read back {operation}", "its records cannot be read back")
        found = await self.read_record(operation, request, external_id, result)
        if isinstance(found, Outcome):
            raise LookupFailed(self.name, f"read back {operation}", cut(self.scrubber.clean(found.detail)))
        return found

    def written_by(self, operation: str, request: Request) -> frozenset[str]:
        """The names in a read-back that this request writes; none where every request makes a record of its own."""
        return frozenset()

    @classmethod
    def escape(cls, operation: str, text: str) -> str:
        """The value as it stands: the operation's fields are plain text."""
        return text

    @abstractmethod
    async def call(self, operation: str, requests: Sequence[Request]) -> Sequence[Outcome]:
        """Makes the external calls of `deliver`."""

    async def find(self, operation: str, request: Request) -> Outcome | None:
        """Looks for an earlier attempt's effect; None where nothing can be told."""
        return None

    async def read(self, lookup: str, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]] | Outcome:
        """Answers a lookup, or gives the outcome of the call that failed."""
        raise NotImplementedError(f"{self.name} declares the lookup {lookup} but does not answer it")

    async def read_record(
        self, operation: str, request: Request, external_id: str, result: Mapping[str, str]
    ) -> ReadBack | Outcome | None:
        """Reads a record back: what it is now, None where it is gone, or the outcome of the call that failed."""
        raise NotImplementedError(f"{self.name} declares {operation} as readable but does not read it")

    @abstractmethod
    async def close(self) -> None:
        """Ends what is open."""

    def _check(self, operation: str, requests: Sequence[Request]) -> None:
        if operation not in self.operations:
            raise ValueError(f"{self.name} has no operation {operation!r}; it has {sorted(self.operations)}")
        declared = self.operations[operation]
        if len(requests) > declared.batch_size:
            raise ValueError(f"{self.name} {operation} takes {declared.batch_size} requests, not {len(requests)}")
        for request in requests:
            if not isinstance(request.arguments, declared.arguments):
                kind = type(request.arguments).__name__
                raise ValueError(f"{self.name} {operation} takes {declared.arguments.__name__}, not {kind}")

    def __repr__(self) -> str:
        return f"<destination {self.name}>"
