"""The least that a valid signal and a valid playbook say."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from dagster_project.contracts.playbook import Playbook
from dagster_project.contracts.signal import SignalSpec
from dagster_project.contracts.validation import problems_of

SIGNAL_YML = """\
version: 2
models:
  - name: invoice_overdue
    config:
      meta:
        signal:
          entity: invoice
          owner: team:finance
          fresh_within: {hours: 26}
          act_within: {hours: 4}
          playbook: notify_owner
    columns:
      - {name: entity_id, data_type: text}
      - {name: severity, data_type: text}
      - {name: score, data_type: double precision}
      - {name: reason, data_type: text}
      - {name: observed_at, data_type: timestamptz}
"""
PLAYBOOK_YAML = """\
name: nudge
description: Say it once.
steps:
  - name: tell
    role: chat
    operation: post_message
    with:
      channel: "#finance"
      text: "{{ event.reason }}"
"""


def signal(**changes: Any) -> dict[str, Any]:
    """A spec as its YAML says it; a key that is set to ... is left out."""
    spec: dict[str, Any] = {
        "entity": "invoice",
        "owner": "team:finance",
        "fresh_within": {"hours": 26},
        "act_within": {"hours": 4},
        "playbook": "notify_owner",
        **changes,
    }
    return {key: value for key, value in spec.items() if value is not ...}


def step(name: str = "tell", **changes: Any) -> dict[str, Any]:
    return {"name": name, "role": "chat", "operation": "post_message", **changes}


def playbook(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"name": "nudge", "description": "Say it once.", "steps": list(steps) or [step()], **changes}


def told_of_signal(spec: Any) -> list[str]:
    """What a person is told about a signal's spec."""
    try:
        SignalSpec.model_validate(spec)
    except ValidationError as error:
        return [str(problem) for problem in problems_of(error, SignalSpec, "x.yml", "", [])]
    return []


def told_of_playbook(content: Any) -> list[str]:
    """What a person is told about a playbook."""
    try:
        Playbook.model_validate(content)
    except ValidationError as error:
        return [str(problem) for problem in problems_of(error, Playbook, "x.yaml", "", [])]
    return []
