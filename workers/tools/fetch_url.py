"""`fetch_url`: reads a page of the public web as text, without its markup. `public_web` refuses every other address."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TypedDict

from ringback import Call, tool
from workers.tools.public_web import Fetcher

MAX_CHARS = 12_000
"""Most characters that a model reads, so that the whole output stays below its 16,000."""

UNREAD = frozenset({"script", "style", "template", "svg", "noscript", "head"})
"""Elements whose content is not shown on the page."""

fetcher = Fetcher()


class Page(TypedDict):
    url: str
    status: int
    content_type: str
    text: str
    truncated: bool


@tool(timeout=12, retries=1, untrusted=True)
async def fetch_url(url: str, call: Call) -> Page:
    """Read a public web page, and return its text.

    Args:
        url: the full address, beginning with https://
    """
    call.progress("asking the site")
    fetched = await fetcher.fetch(url)
    text = text_of(fetched.content_type, fetched.body, fetched.charset)
    return {
        "url": fetched.url,
        "status": fetched.status,
        "content_type": fetched.content_type,
        "text": text[:MAX_CHARS],
        "truncated": fetched.truncated or len(text) > MAX_CHARS,
    }


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
    page = _PageText(convert_charrefs=True)
    page.feed(text)
    page.close()
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[^\S\n]+", " ", "".join(page.words))).strip()


class _PageText(HTMLParser):
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
