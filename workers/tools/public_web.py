"""Reader of the public web for `fetch_url`: text, cut if it is long. `workers.egress` checks the address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ssl import SSLContext, create_default_context

import httpx

from ringback import ToolError
from workers.egress import (
    MAX_BYTES,
    PORTS,
    TOTAL_SECONDS,
    TRUNCATED,
    Address,
    Refused,
    Resolve,
    Rules,
    checked_url,
    client,
    is_public,
    resolve,
)

TEXT_TYPES = frozenset({"application/json", "application/xml", "application/xhtml+xml", "application/ld+json"})
"""Types that are read beside all of text/*."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Page of the public web. `body` is unpacked, and cut at MAX_BYTES if `truncated`."""

    url: str
    status: int
    content_type: str
    charset: str
    body: bytes
    truncated: bool


@dataclass(frozen=True)
class Fetcher:
    """Fetcher of pages. Every exception to the rules is an argument; the environment changes none."""

    resolve: Resolve = resolve
    permits: Callable[[Address], bool] = is_public
    ports: frozenset[int] = PORTS
    tls: SSLContext = field(default_factory=create_default_context)
    max_bytes: int = MAX_BYTES
    total_seconds: float = TOTAL_SECONDS

    async def fetch(self, url: str) -> Fetched:
        """GET `url`, following redirects.

        Raises:
            ToolError: it is refused ("url_refused"), or cannot be read ("fetch_failed"); the text says why.
        """
        rules = Rules(
            self.resolve, self.permits, self.ports, self.tls, self.max_bytes, self.total_seconds, truncates=True
        )
        try:
            async with (
                client(rules, headers={"Accept": "text/*, application/json;q=0.9"}) as web,
                web.stream("GET", checked_url(url, self.ports)) as response,
            ):
                return await _page(response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
            raise ToolError(
                f"The site could not be read ({type(problem).__name__}).", code="fetch_failed", retryable=True
            ) from problem


async def _page(response: httpx.Response) -> Fetched:
    url = str(response.url.copy_with(fragment=None))
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not (content_type.startswith("text/") or content_type in TEXT_TYPES):
        raise Refused(f"There is no text at {url}, but {content_type or 'something without a type'}.")
    body = b"".join([piece async for piece in response.aiter_bytes()])
    charset = response.charset_encoding or "utf-8"
    return Fetched(url, response.status_code, content_type, charset, body, TRUNCATED in response.extensions)
