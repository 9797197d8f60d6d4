"""How moments, spans, counts and reasons read on a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

MASK = "•••"

# What the runbook says of each reason, short enough for a table.
REASONS: Mapping[str, str] = {
    "": "its turn has not come, or it is due now",
    "need_dead": "a step that it needs is dead",
    "not_sent": "the call was never begun; it is tried again",
    "proved_not_done": "the destination was asked: it had not happened",
    "needs_approval": "the playbook asks for a person's word",
    "volume_guard": "the wave is larger than the signal's guard",
    "resolved_wave": "its case was reported as over, in a wave larger than the signal's guard",
    "signal_removed": "its signal is gone or quarantined",
    "do_not_contact": "the contact is on the do-not-contact list",
    "unknown_outcome": "it may have happened; the destination cannot tell",
    "not_rendered": "a template's field is missing for this case",
    "invalid_request": "the values do not fit the operation",
    "no_group_value": "the value to group by is empty",
    "not_found": "the destination has no such record",
    "refused": "the destination said no",
    "conflict": "the destination has something else there",
    "misconfigured": "wrong address, version or permission",
    "unauthorized": "the destination refused our credentials",
    "timed_out": "no answer in time",
    "reply_lost": "the answer was lost",
    "server_error": "the destination failed",
    "malformed_reply": "the answer made no sense",
    "missing_from_reply": "the answer left it out",
    "rate_limited": "the destination asked to wait",
    "connector_failed": "a defect of the connector",
    "baseline": "the signal's first build is not acted upon",
    "shadow": "the signal is in shadow: planned, not sent",
    "no_step_applies": "no step of the playbook applies",
    "no_longer_flagged": "released late, and not flagged any more",
    "cool_down": "acted on too recently",
    "superseded": "the episode ended first",
    "need_suppressed": "a step that it needs was suppressed",
    "nothing_to_follow": "what it continues was never delivered",
    "no_members": "no member was left in the group",
    "rejected": "a person said no",
    "discarded": "a person ended it",
}


def moment(value: datetime | None) -> str:
    """`2026-11-24 08:30:05`, in UTC as everything is; a dash for none."""
    return "–" if value is None else f"{value:%Y-%m-%d %H:%M:%S}"


def value_in_words(value: Any) -> str:
    """A threshold's value as people write it."""
    return value if isinstance(value, str) else json.dumps(value)


def reason_in_words(reason: str) -> str:
    return REASONS.get(reason, "")


def pretty(arguments_json: str) -> str:
    """A stored request as a person reads it."""
    return json.dumps(_parsed(arguments_json), indent=2, ensure_ascii=False)


def masked_request(arguments_json: str) -> str:
    """The shape of a stored request, every value of it masked."""
    return json.dumps(_mask(_parsed(arguments_json)), indent=2, ensure_ascii=False)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _mask(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _mask(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_mask(inner) for inner in value]
    return value if value is None else MASK
