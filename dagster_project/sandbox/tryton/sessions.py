"""Tryton's sessions: handed out at login, refused after idle time, forgotten when the process ends."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass

from dagster_project.sandbox.credentials import TRYTON_PASSWORD, TRYTON_USER


@dataclass
class _Session:
    user_id: int
    used_at: float


class Sessions:
    """The open sessions of one server; all moments are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._open: dict[str, _Session] = {}

    def login(self, user: str, password: object, user_id: int, now: float) -> str | None:
        """A new session's token, or None for wrong credentials."""
        is_right = (
            user == TRYTON_USER
            and isinstance(password, str)
            and secrets.compare_digest(password.encode(), TRYTON_PASSWORD.encode())
        )
        if not is_right:
            return None
        token = secrets.token_hex(32)
        self._open[token] = _Session(user_id, now)
        return token

    def user_of(self, authorization: str | None, timeout: float, now: float) -> int | None:
        """The user whom an Authorization header speaks for, or None; using a session keeps it alive."""
        scheme, _, encoded = (authorization or "").partition(" ")
        try:
            parts = base64.b64decode(encoded, validate=True).decode().split(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if scheme.lower() != "session" or len(parts) != 3:
            return None
        session = self._open.get(parts[2])
        if session is None or parts[0] != TRYTON_USER or parts[1] != str(session.user_id):
            return None
        if now - session.used_at > timeout:
            del self._open[parts[2]]
            return None
        session.used_at = now
        return session.user_id

    def logout(self, authorization: str | None) -> None:
        """Ends the session that an Authorization header names."""
        try:
            token = base64.b64decode((authorization or "").partition(" ")[2]).decode().rpartition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return
        self._open.pop(token, None)

    def expire_all(self) -> int:
        """Ends every session; returns how many there were."""
        count = len(self._open)
        self._open.clear()
        return count
