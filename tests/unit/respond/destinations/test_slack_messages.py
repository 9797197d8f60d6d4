"""Slack messages fit Slack's limits whatever the data holds, and nothing in a value acts as markup."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from dagster_project.respond.destinations.slack import Slack
from dagster_project.respond.destinations.slack_messages import (
    LONGEST_FIELD,
    LONGEST_TEXT,
    PostMessage,
    message_of,
    shortened,
)

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5000).filter(str.strip)
entries = st.dictionaries(st.text(min_size=1, max_size=30), st.text(max_size=3000), max_size=30)


@given(texts, texts, entries, entries)
def test_a_message_fits(text: str, title: str, fields: dict[str, str], links: dict[str, str]) -> None:
    post = PostMessage(channel="C1", text=text, title=title, fields=fields, links=links)
    message = message_of("key-1", post)
    assert len(message["text"]) <= LONGEST_TEXT
    assert len(message["blocks"]) <= 50
    for block in message["blocks"]:
        assert block["type"] == "section"
        assert len(block.get("text", {}).get("text", "")) <= LONGEST_TEXT
        assert len(block.get("fields", [])) <= 10
        assert all(1 <= len(field["text"]) <= LONGEST_FIELD for field in block.get("fields", []))
    assert json.loads(json.dumps(message))["metadata"]["event_payload"] == {"key": "key-1"}


@given(st.text())
def test_an_escaped_value_controls_nothing(value: str) -> None:
    escaped = Slack.escape("post_message", value)
    assert "<" not in escaped and ">" not in escaped
    assert escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == value


@given(st.text(alphabet="<>&abc;|", max_size=200), st.integers(20, 60))
def test_a_cut_breaks_no_entity(text: str, longest: int) -> None:
    cut = shortened(Slack.escape("post_message", text), longest)
    assert len(cut) <= longest
    left = cut.replace("&lt;", "").replace("&gt;", "").replace("&amp;", "")
    assert "&" not in left


def test_a_cut_breaks_no_link() -> None:
    assert shortened("see <https://example.com/a|the record> now", 30) == "see … [cut]"


def test_blank_links_and_fields_are_left_out() -> None:
    post = PostMessage(channel="C1", text="t", links={"Task": "", "Contact": "https://x/1|2>3"}, fields={"a": " "})
    (text, links) = message_of("k", post)["blocks"]
    assert text["text"]["text"] == "t"
    assert links["text"]["text"] == "<https://x/1%7C2%3E3|Contact>"


def test_plain_text_needs_no_blocks() -> None:
    message = message_of("k", PostMessage(channel="C1", text="t", thread_ts="1.2"))
    assert "blocks" not in message and message["thread_ts"] == "1.2"
