"""Keeps what was seen of a threshold's change until it is proposed, so that the proposal says what its author saw."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

LookAhead = Callable[[str, Any, Sequence[str]], Mapping[str, Any]]  # (threshold, value, signals) -> by signal
KEPT_WITHIN = timedelta(minutes=30)
MOST_KEPT = 50


class Busy(Exception):
    """Another preview is being made; dbt compiles one at a time."""


@dataclass(frozen=True)
class Seen:
    """What one person saw of one change, and what held then."""

    ticket: str
    person: str
    name: str
    value: Any
    preview: Mapping[str, Any]
    in_force: Mapping[str, Any]
    at: datetime


class PreviewKeeper:
    """Parameters: how a change is looked at; it compiles with dbt and reads the warehouse, and takes seconds."""

    def __init__(self, look_ahead: LookAhead) -> None:
        self._look_ahead = look_ahead
        self._making, self._lock = Lock(), Lock()
        self._kept: OrderedDict[str, Seen] = OrderedDict()

    def look(
        self,
        person: str,
        name: str,
        value: Any,
        signals: Sequence[str],
        in_force: Mapping[str, Any],
        at: datetime,
    ) -> Seen:
        """Makes a preview and keeps it for a while.

        Parameters: who looks; the threshold; the value it would have; the signals that read it; what is in force now;
        the moment. Raises Busy, and what the look ahead raises.
        """
        if not self._making.acquire(blocking=False):
            raise Busy("another preview is being made; look again in a moment. Nothing was changed.")
        try:
            preview = self._look_ahead(name, value, signals)
        finally:
            self._making.release()
        seen = Seen(secrets.token_hex(16), person, name, value, preview, dict(in_force), at)
        with self._lock:
            self._kept[seen.ticket] = seen
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return seen

    def of(self, ticket: str, person: str, in_force: Mapping[str, Any], at: datetime) -> Seen | None:
        """What this person saw; None where it is not kept any more, or is not what would happen any more."""
        with self._lock:
            seen = self._kept.get(ticket)
        is_good = seen is not None and seen.person == person and at - seen.at <= KEPT_WITHIN
        return seen if is_good and seen is not None and seen.in_force == in_force else None
