"""Slack's limits on messages: what is just allowed passes, what is just beyond is refused with Slack's own code."""

from __future__ import annotations

from typing import Any

import pytest

from dagster_project.sandbox.slack.checks import SlackRefusal, checked_message


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def header(text: str, kind: str = "plain_text") -> dict[str, Any]:
    return {"type": "header", "text": {"type": kind, "text": text}}


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "x" * 40_000},
        {"blocks": [section("x" * 3000), header("x" * 150), {"type": "divider"}]},
        {"blocks": [{"type": "divider"}] * 50},
        {"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "a"}]}]},
        {"blocks": [{"type": "markdown", "text": "**x**"}]},
        {"blocks": '[{"type": "divider"}]'},
        {"text": "x", "metadata": '{"event_type": "a", "event_payload": {"key": "k"}}'},
        {"markdown_text": "x"},
    ],
)
def test_what_slack_takes_passes(arguments: dict[str, Any]) -> None:
    text, blocks, metadata = checked_message(arguments)
    assert text or blocks
    assert (metadata is None) == ("metadata" not in arguments)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ({}, "no_text", ""),
        ({"text": "x" * 40_001}, "msg_too_long", ""),
        ({"blocks": "{"}, "invalid_blocks_format", ""),
        ({"blocks": {"type": "divider"}}, "invalid_blocks_format", ""),
        ({"blocks": [{"type": "divider"}] * 51}, "invalid_blocks", "no more than 50 items"),
        ({"blocks": [section("x" * 3001)]}, "invalid_blocks", "must be less than 3001 characters"),
        ({"blocks": [section("")]}, "invalid_blocks", "must be more than 0 characters"),
        ({"blocks": [header("x" * 151)]}, "invalid_blocks", "must be less than 151 characters"),
        ({"blocks": [header("x", "mrkdwn")]}, "invalid_blocks", "unsupported type: mrkdwn"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks", "missing required field: text"),
        ({"blocks": [{"type": "section", "fields": []}]}, "invalid_blocks", "missing required field"),
        ({"blocks": [{"type": "context", "elements": []}]}, "invalid_blocks", "between 1 and 10"),
        ({"blocks": ["x"]}, "invalid_blocks", "unsupported type"),
        ({"text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_schema", ""),
        ({"text": "x", "metadata": "{"}, "invalid_metadata_format", ""),
        (
            {"text": "x", "metadata": {"event_type": "a", "event_payload": {"k": "x" * 20_000}}},
            "metadata_too_large",
            "",
        ),
    ],
)
def test_what_slack_refuses_is_refused_with_its_code(arguments: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(SlackRefusal) as caught:
        checked_message(arguments)
    assert caught.value.code == code
    assert message in "".join(caught.value.messages)
