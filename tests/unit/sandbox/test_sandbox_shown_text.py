"""What others wrote is shown as text: no input gets a tag or an address into a page that is not on the short list."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.sandbox.pages.mail import preview, readable_body
from dagster_project.sandbox.pages.rendering import (
    is_past,
    shown_day,
    shown_moment,
    shown_money,
    shown_quantity,
    told_effect,
)
from dagster_project.sandbox.pages.rich_text import rich_text
from dagster_project.sandbox.slack.mrkdwn import rendered_mrkdwn

PIECES = st.sampled_from(
    [
        *("<", ">", "&", '"', "'", "*", "_", "~", "`", "```", "|", "\n", " ", "a", "word", "&lt;", "&gt;", "&amp;"),
        *("<script>", "</script>", "<https://x.example|y>", "<javascript:alert(1)|z>", "<a href='data:x'>", "</a>"),
        *("<!here>", "<@U1>", "<#C1|c>", ":tada:", "\ue0000\ue001", "<b onclick=x>", "<img src=x>", "<style>", "<p>"),
    ]
)
TEXTS = st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=40)
HARMLESS = {"strong", "em", "s", "code", "pre", "br", "a", "span"}
HARMLESS_HTML = {"p", "b", "strong", "i", "em", "u", "ul", "ol", "li", "h1", "h2", "h3", "h4"}
HARMLESS_HTML |= {"blockquote", "pre", "code", "br", "hr", "a"}


class Inspector(HTMLParser):
    """Collects every tag and attribute of a page's part."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in ("br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in self.open
        self.open.remove(tag)


def inspected(markup: str, allowed: set[str]) -> None:
    page = Inspector(markup)
    assert page.tags <= allowed
    assert page.open == []
    for name, value in page.attributes:
        assert name in ("href", "rel", "class")
        if name == "href":
            assert str(value).startswith(("http://", "https://", "mailto:"))


@given(text=TEXTS)
def test_mrkdwn_shows_only_harmless_tags(text: str) -> None:
    inspected(str(rendered_mrkdwn(text)), HARMLESS)


@given(text=TEXTS)
def test_rich_text_shows_only_harmless_tags(text: str) -> None:
    inspected(str(rich_text(text)), HARMLESS_HTML)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*bold* and _thin_ and ~gone~", "<strong>bold</strong> and <em>thin</em> and <s>gone</s>"),
        ("snake_case_name 2*3*4", "snake_case_name 2*3*4"),
        ("&lt;b&gt; &amp; so", "&lt;b&gt; &amp; so"),
        ("`a *b* &lt;`", "<code>a *b* &lt;</code>"),
        ("```x\ny```", "<pre>x\ny</pre>".replace("\n", "<br>")),
        ("<https://x.example/?a=1&amp;b=2|see>", '<a href="https://x.example/?a=1&amp;b=2" rel="noreferrer">see</a>'),
        ("<https://x.example>", '<a href="https://x.example" rel="noreferrer">https://x.example</a>'),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ("<!here> <@U1>", '<span class="mention">@here</span> <span class="mention">@U1</span>'),
        ("<#C1|sales>", '<span class="mention">#sales</span>'),
        (":tada: :unknown:", "🎉 :unknown:"),
        ("a\nb", "a<br>b"),
    ],
)
def test_mrkdwn_is_rendered_as_slack_does(text: str, shown: str) -> None:
    assert str(rendered_mrkdwn(text)) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain & <simple", "plain &amp; &lt;simple"),
        ("<p>Call <b>soon</p>", "<p>Call <b>soon</b></p>"),
        ("<script>alert(1)</script>left", "left"),
        ('<a href="javascript:x">y</a>', "y"),
        ('<a href="https://x.example/">y</a>', '<a href="https://x.example/" rel="noreferrer">y</a>'),
        ("one\ntwo", "one<br>two"),
    ],
)
def test_rich_text_keeps_what_is_harmless(written: str, shown: str) -> None:
    assert str(rich_text(written)) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2026-11-04T10:05:00Z", "4 Nov 2026, 10:05"),
        ("1795505558123", "24 Nov 2026, 07:32"),
        ("1795505558.128904", "24 Nov 2026, 07:32"),
        ("soon", "soon"),
        (None, ""),
        ("9" * 30, "9" * 30),
    ],
)
def test_moments_are_shown_for_people(value: object, shown: str) -> None:
    assert shown_moment(value) == shown


def test_numbers_and_days_are_shown_for_people() -> None:
    assert (shown_money("1234.5"), shown_money(None)) == ("1,234.50", "")
    assert (shown_quantity(3.0), shown_quantity(2.5), shown_quantity(None)) == ("3", "2.5", "")
    assert (shown_day("2026-11-04"), shown_day("x")) == ("4 Nov 2026", "x")
    assert (is_past("2020-01-01"), is_past("2999-01-01"), is_past("x")) == (True, False, False)


@pytest.mark.parametrize(
    ("vendor", "operation", "is_created", "told"),
    [
        ("hooks", "n8n", True, "Webhook received by n8n"),
        ("hubspot", "tasks.upsert", True, "Task made"),
        ("hubspot", "tasks.upsert", False, "Task changed"),
        ("hubspot", "contacts.archive", False, "Contact archived"),
        ("hubspot", "lists.add", True, "Member added to a campaign"),
        ("tryton", "purchase.purchase.create", True, "Purchase order made"),
        ("tryton", "purchase.purchase.cancel", False, "Purchase order cancelled"),
        ("slack", "reactions.add:eyes", False, "Reaction 👀"),
    ],
)
def test_effects_are_told_in_plain_words(vendor: str, operation: str, is_created: bool, told: str) -> None:
    assert told_effect({"vendor": vendor, "operation": operation, "is_created": is_created}) == told


@pytest.mark.parametrize(
    ("raw", "body", "is_html"),
    [
        (b"Subject: x\r\n\r\nhello", "hello", False),
        (b"Content-Type: text/html\r\n\r\n<b>hi</b>", "<b>hi</b>", True),
        (b"Content-Type: text/plain; charset=klingon\r\n\r\nhello", "hello", False),
        (b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA", "", False),
    ],
)
def test_the_readable_part_of_a_mail_is_found(raw: bytes, body: str, is_html: bool) -> None:
    assert readable_body(raw) == (body, is_html)
    assert "<" not in preview(raw)
