"""Shows HTML that others wrote (task notes, mails) with a few harmless tags; everything else becomes text."""

from __future__ import annotations

import html
from html.parser import HTMLParser

from markupsafe import Markup

_KEPT = frozenset(
    {"p", "b", "strong", "i", "em", "u", "ul", "ol", "li", "h1", "h2", "h3", "h4", "blockquote", "pre", "code"}
)
_ALONE = frozenset({"br", "hr"})
_DROPPED_WITH_CONTENT = frozenset({"script", "style", "head", "title"})


class _Filter(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._open: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED_WITH_CONTENT:
            self._silent += 1
        elif tag in _ALONE:
            self.parts.append(f"<{tag}>")
        elif tag in _KEPT:
            self.parts.append(f"<{tag}>")
            self._open.append(tag)
        elif tag == "a":
            address = dict(attrs).get("href") or ""
            if address.startswith(("http://", "https://", "mailto:")):
                self.parts.append(f'<a href="{html.escape(address, quote=True)}" rel="noreferrer">')
                self._open.append("a")

    def handle_endtag(self, tag: str) -> None:
        if tag in _DROPPED_WITH_CONTENT:
            self._silent = max(0, self._silent - 1)
        elif tag in self._open:
            while self._open:  # whatever was left open inside is closed with it
                inner = self._open.pop()
                self.parts.append(f"</{inner}>")
                if inner == tag:
                    break

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(html.escape(data).replace("\n", "<br>"))

    def finished(self) -> str:
        self.close()
        self.parts += [f"</{tag}>" for tag in reversed(self._open)]
        return "".join(self.parts)


def rich_text(written: str) -> Markup:
    """The HTML with only harmless tags left; plain text comes out as it is, escaped."""
    parser = _Filter()
    parser.feed(written)
    return Markup(parser.finished())
