"""How a length of time reads, on a page and in a terminal alike."""

from __future__ import annotations

from datetime import timedelta

NONE = "–"


def span(value: timedelta | float | None) -> str:
    """A length of time that a person reads at a glance; a dash for none. A number is in seconds."""
    if value is None:
        return NONE
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if abs(seconds) < 120:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    if abs(seconds) < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if abs(seconds) < 172_800 else f"{seconds / 86400:.0f} d"
