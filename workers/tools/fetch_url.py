"""`fetch_url`: reads a page of the public web. `public_web` refuses every other address."""

from __future__ import annotations

from typing import TypedDict

from ringback import Call, tool
from workers.tools.page_text import text_of
from workers.tools.public_web import Fetcher

MAX_CHARS = 12_000
"""Most characters that a model reads, so that the whole output stays below its 16,000."""

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
