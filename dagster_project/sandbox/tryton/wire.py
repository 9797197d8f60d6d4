"""Tryton's JSON forms of what JSON lacks, and the errors that Tryton answers inside a 200.

Source: trytond 8.2, trytond/protocols/jsonrpc.py and trytond/exceptions.py.
"""

from __future__ import annotations

import base64
from datetime import date, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any


class UserError(Exception):
    """A business rule said no: answered as HTTP 200 with an `error` member."""

    def __init__(self, message: str, description: str = "") -> None:
        super().__init__(message)
        self.arguments = ["UserError", [message, description, None]]


class ServerError(Exception):
    """Something the real server would crash on (unknown field): an `error` member of message and an empty traceback."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.arguments = [message, ""]


class LoginAsked(Exception):
    """A sign-in that lacks a secret: answered as HTTP 200 with an `error` member that says what to ask the user for."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.arguments = ["LoginException", [name, message, "password"]]


class HttpRefusal(Exception):
    """A call that is refused with an HTTP status and, but for an ended session, a page that says so."""

    def __init__(self, status: int, said: str = "") -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.said = said

    def page(self) -> bytes:
        """The page, as Werkzeug words it."""
        if not self.said:
            return b""
        title = f"{self.status} {HTTPStatus(self.status).phrase}"
        heading = title.partition(" ")[2]
        lines = ["<!doctype html>", "<html lang=en>", f"<title>{title}</title>", f"<h1>{heading}</h1>"]
        return "\n".join([*lines, f"<p>{self.said}</p>", ""]).encode()


def decoded(value: Any) -> Any:
    """JSON values with `__class__` objects turned into Python values, at any depth."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("__class__")
    if kind == "Decimal":
        return Decimal(value["decimal"])
    if kind == "date":
        return date(value["year"], value["month"], value["day"])
    if kind == "datetime":
        return datetime(  # noqa: DTZ001 - Tryton's moments are naive UTC
            *(value[part] for part in ("year", "month", "day", "hour", "minute", "second", "microsecond"))
        )
    if kind == "timedelta":
        return timedelta(seconds=value["seconds"])
    if kind == "bytes":
        return base64.b64decode(value["base64"])
    return {name: decoded(item) for name, item in value.items()}


def encoded(value: Any) -> Any:
    """The reverse of `decoded`."""
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if isinstance(value, datetime):
        parts = {part: getattr(value, part) for part in ("year", "month", "day", "hour", "minute", "second")}
        return {"__class__": "datetime", **parts, "microsecond": value.microsecond}
    if isinstance(value, date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    if isinstance(value, timedelta):
        return {"__class__": "timedelta", "seconds": value.total_seconds()}
    if isinstance(value, dict):
        return {name: encoded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(item) for item in value]
    return value
