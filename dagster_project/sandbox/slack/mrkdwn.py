"""Renders Slack's mrkdwn as HTML; whatever it does not know comes out as harmless text.

Source: https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import html
import re

from markupsafe import Markup

_CODE = re.compile(r"```(.+?)```|`([^`\n]+)`", re.DOTALL)
_REFERENCE = re.compile(r"<([^<>\n]+)>")
_STYLES = (
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), "strong"),
    (re.compile(r"(?<![\w_])_(?=\S)([^_\n]+?)(?<=\S)_(?![\w_])"), "em"),
    (re.compile(r"(?<![\w~])~(?=\S)([^~\n]+?)(?<=\S)~(?![\w~])"), "s"),
)
_EMOJI = {
    "warning": "⚠️",
    "rotating_light": "🚨",
    "white_check_mark": "✅",
    "tada": "🎉",
    "package": "📦",
    "chart_with_downwards_trend": "📉",
    "chart_with_upwards_trend": "📈",
    "bell": "🔔",
    "wave": "👋",
    "red_circle": "🔴",
    "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡",
    "large_green_circle": "🟢",
    "large_blue_circle": "🔵",
    "eyes": "👀",
    "x": "❌",
    "information_source": "ℹ️",
    "shopping_trolley": "🛒",
    "handshake": "🤝",
    "arrow_up": "⬆️",
}
_EMOJI_NAME = re.compile(r":([a-z0-9_+-]+):")
_HELD = "\ue000{}\ue001"  # private-use characters; taken out of the text first, so nobody can forge one
_HELD_PLACE = re.compile("\ue000(\\d+)\ue001")


def rendered_mrkdwn(text: str) -> Markup:
    """The text as HTML: bold, italic, struck, code, links and mentions; everything else escaped."""
    held: list[str] = []

    def hold(markup: str) -> str:
        held.append(markup)
        return _HELD.format(len(held) - 1)

    plain = text.replace("\ue000", "").replace("\ue001", "")
    plain = _CODE.sub(lambda match: hold(_code(match)), plain)
    plain = _REFERENCE.sub(lambda match: hold(_reference(match.group(1))), plain)
    styled = _styled(_escaped(plain))
    for _ in range(2):  # a link's label may hold code
        styled = _HELD_PLACE.sub(lambda match: held[int(match.group(1))], styled)
    return Markup(styled.replace("\n", "<br>"))


def _escaped(text: str) -> str:
    """Slack's own three entities undone, then everything escaped for HTML."""
    plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return html.escape(plain)


def _styled(escaped: str) -> str:
    for pattern, tag in _STYLES:
        escaped = pattern.sub(rf"<{tag}>\1</{tag}>", escaped)
    return emoji_shown(escaped)


def emoji_shown(text: str) -> str:
    """Known :emoji: names as characters, unknown ones as they are."""
    return _EMOJI_NAME.sub(lambda match: _EMOJI.get(match.group(1), match.group(0)), text)


def _code(match: re.Match[str]) -> str:
    block, inline = match.group(1), match.group(2)
    if block is not None:
        return f"<pre>{_escaped(block.strip())}</pre>"
    return f"<code>{_escaped(inline)}</code>"


def _reference(inner: str) -> str:
    target, _, label = inner.partition("|")
    if target.startswith(("http://", "https://", "mailto:")):
        address = html.escape(target.replace("&amp;", "&"), quote=True)
        return f'<a href="{address}" rel="noreferrer">{_styled(_escaped(label or target))}</a>'
    if target.startswith("!"):
        return f'<span class="mention">@{_escaped(label or target[1:].partition("^")[0])}</span>'
    if target.startswith(("@", "#")):
        sign = target[0]
        return f'<span class="mention">{sign}{_escaped(label or target[1:])}</span>'
    return _escaped(f"<{inner}>")
