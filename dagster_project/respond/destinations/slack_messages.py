"""Turns a post's arguments into a Slack message that fits Slack's limits, cut with a visible mark where it must be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from dagster_project.respond.destinations.argument_types import OneLine, OptionalText, RenderedArguments, Required

EVENT_TYPE = "signal_loop_action"
LONGEST_TEXT = 3000  # characters of a section's text; Slack refuses more
LONGEST_FIELD = 2000
MOST_FIELDS = 10  # in one section
_MARK = "… [cut]"
_BROKEN_END = re.compile(r"(?:&[a-z]{0,3}|<[^<>]*)$")


def _without_blanks(value: Any) -> Any:
    """A mapping without the entries whose value a template left blank, such as the link of a step that did not run."""
    if not isinstance(value, Mapping):
        return value
    return {name: one for name, one in value.items() if one is not None and str(one).strip()}


Entries = Annotated[Mapping[str, str], BeforeValidator(_without_blanks)]


class PostMessage(RenderedArguments):
    """One message in a channel or a thread."""

    channel: OneLine = Field(description="the channel's id, or its name with #")
    text: Required = Field(description="the message in Slack's mrkdwn; also what notifications show")
    thread_ts: OptionalText = Field(None, description="ts of the message to reply to, as post_message gave it")
    title: OptionalText = Field(None, description="a bold line above the text")
    fields: Entries = Field(default_factory=dict, description="short facts shown in two columns: name and value")
    links: Entries = Field(default_factory=dict, description="links shown below: label and address")


def message_of(key: str, post: PostMessage) -> dict[str, Any]:
    """What chat.postMessage takes for this post; the key travels as metadata, by which the message is found again."""
    text = shortened(post.text, LONGEST_TEXT)
    blocks = _blocks(post, text)
    return {
        "channel": post.channel,
        "text": text,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": key}},
        "unfurl_links": False,
        "unfurl_media": False,
        **({"thread_ts": post.thread_ts} if post.thread_ts else {}),
        **({"blocks": blocks} if blocks else {}),
    }


def _blocks(post: PostMessage, text: str) -> list[dict[str, Any]]:
    """Blocks for what plain text cannot show; none where there is only text."""
    if not (post.title or post.fields or post.links):
        return []
    title = [_section(f"*{shortened(post.title, LONGEST_TEXT - 2)}*")] if post.title else []
    named = [shortened(f"*{name}*\n{value}", LONGEST_FIELD) for name, value in post.fields.items()]
    facts = [
        {"type": "section", "fields": [_mrkdwn(one) for one in named[start : start + MOST_FIELDS]]}
        for start in range(0, len(named), MOST_FIELDS)
    ]
    links = " · ".join(_link(label, address) for label, address in post.links.items())
    below = [_section(shortened(links, LONGEST_TEXT))] if links else []
    return [*title, _section(text), *facts[:10], *below]


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _link(label: str, address: str) -> str:
    """A link in mrkdwn; the two characters that would end it early are percent-encoded."""
    return f"<{address.replace('|', '%7C').replace('>', '%3E')}|{label.replace('|', '/')}>"


def shortened(text: str, longest: int) -> str:
    """The text, or its beginning with a mark; never cut inside an escape or a link."""
    if len(text) <= longest:
        return text
    return _BROKEN_END.sub("", text[: longest - len(_MARK)]) + _MARK


def escaped(text: str) -> str:
    """The three characters that Slack reads as control characters, as entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
