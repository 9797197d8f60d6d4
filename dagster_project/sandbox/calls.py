"""One HTTP call and its reply as plain values, so that vendors are functions from the one to the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

JSON_TYPE = "application/json;charset=utf-8"


class MalformedBody(ValueError):
    """The body of a call is not the JSON it should be."""


@dataclass(slots=True)
class Call:
    """What a client asked of one vendor; `path` is below the vendor's mount."""

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    _query: dict[str, str] | None = field(default=None, repr=False)

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of a repeated one the last."""
        if self._query is None:
            self._query = dict(parse_qsl(self.query_string, keep_blank_values=True))
        return self._query

    def json(self) -> Any:
        """The body as JSON. Raises MalformedBody when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise MalformedBody(str(error)) from error


@dataclass(slots=True)
class Reply:
    """What goes back; `headers` beside content-type and content-length."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE


def json_reply(status: int, value: Any, headers: dict[str, str] | None = None) -> Reply:
    """A reply whose body is `value` as JSON."""
    return Reply(status, json.dumps(value, separators=(",", ":")).encode(), headers or {})
