"""Takes secrets out of everything a connector says, because vendors and proxies echo what they were sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from pydantic import BaseModel, SecretStr

from dagster_project.contracts.destination import Outcome

LONGEST_DETAIL = 500  # characters
_SHORTEST_PIECE = 8  # characters
_MASK = "***"
_CUT = " [cut]"


class SecretScrubber:
    """Knows a connection's secrets, in the spellings in which they travel, and masks them."""

    def __init__(self) -> None:
        self._spellings: tuple[str, ...] = ()  # longest first, so that none is masked in part

    @classmethod
    def of(cls, connection: BaseModel) -> SecretScrubber:
        """A scrubber of all secret fields of the connection and of passwords inside its addresses."""
        scrubber = cls()
        for secret in _secrets_of(connection):
            scrubber.learn(secret)
        return scrubber

    def learn(self, secret: str) -> None:
        """Masks one more secret from now on, such as a session's token."""
        if secret:
            known = {*self._spellings, *_spellings_of(secret)}
            self._spellings = tuple(sorted(known, key=len, reverse=True))

    def clean(self, text: str) -> str:
        """The text with every secret masked."""
        for spelling in self._spellings:
            text = text.replace(spelling, _MASK)
        return text

    def clean_outcome(self, outcome: Outcome) -> Outcome:
        """The outcome with its texts masked, its detail cut to the length that a ledger row keeps."""
        detail = cut(self.clean(outcome.detail))
        external_id = None if outcome.external_id is None else self.clean(outcome.external_id)
        url = None if outcome.url is None else self.clean(outcome.url)
        result = {name: self.clean(value) for name, value in outcome.result.items()}
        if (detail, external_id, url, result) == (outcome.detail, outcome.external_id, outcome.url, outcome.result):
            return outcome
        return replace(outcome, detail=detail, external_id=external_id, url=url, result=result)

    def __repr__(self) -> str:
        return f"SecretScrubber({len(self._spellings)} spellings)"


def cut(text: str, longest: int = LONGEST_DETAIL) -> str:
    """The text, or its beginning with a visible mark where it is longer than `longest` characters."""
    return text if len(text) <= longest else text[: longest - len(_CUT)] + _CUT


def _secrets_of(connection: BaseModel) -> Iterator[str]:
    for name in type(connection).model_fields:
        value = getattr(connection, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
            yield from _secret_parts_of(value.get_secret_value())
        elif isinstance(value, str) and "://" in value:
            yield urlsplit(value).password or ""


def _secret_parts_of(address: str) -> Iterator[str]:
    """The parts of a secret address that may be repeated without the rest of it: what follows the host, piece by piece.

    Short pieces are words such as `api`, which would be masked in every message and guard nothing.
    """
    if "://" not in address:
        return
    parts = urlsplit(address)
    pieces = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    yield from (piece for piece in pieces if len(piece) >= _SHORTEST_PIECE)


def _spellings_of(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield base64.b64encode(secret.encode()).decode()
    if secret.startswith("whsec_"):
        yield secret.removeprefix("whsec_")
