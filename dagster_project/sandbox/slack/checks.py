"""What Slack refuses in a message: lengths, block structure, metadata; decides, reads nothing.

Source: https://docs.slack.dev/reference/methods/chat.postMessage and https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

import json
from typing import Any

MAX_TEXT = 40_000
MAX_BLOCKS = 50
MAX_METADATA_BYTES = 16_384
_TEXT_LIMITS = {"section": 3000, "header": 150}
_BLOCK_TYPES = frozenset(
    {
        "actions",
        "alert",
        "card",
        "carousel",
        "context",
        "context_actions",
        "divider",
        "file",
        "header",
        "image",
        "input",
        "markdown",
        "plan",
        "rich_text",
        "section",
        "table",
        "task_card",
        "video",
    }
)


class SlackRefusal(Exception):
    """An error code, with the messages that Slack puts beside it."""

    def __init__(self, code: str, messages: list[str] | None = None, **further: Any) -> None:
        super().__init__(code)
        self.code = code
        self.messages = messages or []
        self.further = further


def structured(value: Any, code: str) -> Any:
    """A structured argument that may have come as JSON text in a form. Raises SlackRefusal with `code`."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise SlackRefusal(code) from None


def checked_message(arguments: dict[str, Any]) -> tuple[str, list[Any] | None, dict[str, Any] | None]:
    """The text, blocks and metadata of a message. Raises SlackRefusal."""
    text = str(arguments.get("text") or arguments.get("markdown_text") or "")
    blocks = checked_blocks(structured(arguments.get("blocks"), "invalid_blocks_format"))
    metadata = checked_metadata(structured(arguments.get("metadata"), "invalid_metadata_format"))
    attachments = structured(arguments.get("attachments"), "invalid_attachments")
    if not text and not blocks and not attachments:
        raise SlackRefusal("no_text")
    if len(text) > MAX_TEXT:
        raise SlackRefusal("msg_too_long")
    return text, blocks, metadata


def checked_blocks(blocks: Any) -> list[Any] | None:
    """The blocks. Raises SlackRefusal: invalid_blocks with a message for each that is wrong."""
    if blocks is None:
        return None
    if not isinstance(blocks, list):
        raise SlackRefusal("invalid_blocks_format")
    if len(blocks) > MAX_BLOCKS:
        raise SlackRefusal("invalid_blocks", [f"no more than {MAX_BLOCKS} items allowed [json-pointer:/blocks]"])
    problems = [problem for place, block in enumerate(blocks) for problem in _block_problems(place, block)]
    if problems:
        raise SlackRefusal("invalid_blocks", problems)
    return blocks


def _block_problems(place: int, block: Any) -> list[str]:
    where = f"[json-pointer:/blocks/{place}"
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in _BLOCK_TYPES:
        return [f"unsupported type: {kind} {where}/type]"]
    if kind == "header" or (kind == "section" and "fields" not in block) or "text" in block:
        return _text_problems(kind, block.get("text"), f"{where}/text")
    if kind == "section" and not block.get("fields"):
        return [f"missing required field: text {where}]"]
    if kind == "context" and not 0 < len(block.get("elements") or []) <= 10:
        return [f"must provide between 1 and 10 items {where}/elements]"]
    return []


def _text_problems(kind: str, text: Any, where: str) -> list[str]:
    if kind == "markdown":
        return [] if isinstance(text, str) and text else [f"missing required field: text {where}]"]
    if not isinstance(text, dict) or text.get("type") not in ("mrkdwn", "plain_text"):
        return [f"missing required field: text {where}]"]
    limit, length = _TEXT_LIMITS.get(kind, 3000), len(str(text.get("text", "")))
    if length == 0:
        return [f"must be more than 0 characters {where}/text]"]
    if length > limit:
        return [f"must be less than {limit + 1} characters {where}/text]"]
    if kind == "header" and text["type"] != "plain_text":
        return [f"unsupported type: mrkdwn {where}/type]"]
    return []


def checked_metadata(metadata: Any) -> dict[str, Any] | None:
    """Message metadata. Raises SlackRefusal."""
    if metadata is None:
        return None
    is_right = (
        isinstance(metadata, dict)
        and isinstance(metadata.get("event_type"), str)
        and isinstance(metadata.get("event_payload"), dict)
    )
    if not is_right:
        raise SlackRefusal("invalid_metadata_schema")
    if len(json.dumps(metadata).encode()) > MAX_METADATA_BYTES:
        raise SlackRefusal("metadata_too_large")
    return dict(metadata)
