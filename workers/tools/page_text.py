"""Text of a page without its markup: what can be read out."""

from __future__ import annotations

import re
from html.parser import HTMLParser

UNREAD = frozenset({"script", "style", "template", "svg", "noscript", "head"})
"""Elements whose content is not shown on the page."""


def text_of(content_type: str, body: bytes, charset: str) -> str:
    """Return `body` as text; of HTML only what is shown. An unknown charset is read as UTF-8, bad bytes are
    replaced.
    """
    try:
        text = body.decode(charset, errors="replace")
    except LookupError:
        text = body.decode("utf-8", errors="replace")
    if content_type not in {"text/html", "application/xhtml+xml"}:
        return text
    page = _Page(convert_charrefs=True)
    page.feed(text)
    page.close()
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[^\S\n]+", " ", "".join(page.words))).strip()


class _Page(HTMLParser):
    def __init__(self, *, convert_charrefs: bool) -> None:
        super().__init__(convert_charrefs=convert_charrefs)
        self.words: list[str] = []
        self._unread: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in UNREAD:
            self._unread.append(tag)
        elif tag in {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "section", "article"}:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unread:
            del self._unread[self._unread.index(tag) :]

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.words.append(data)
