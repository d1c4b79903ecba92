"""HTTP to the public web and nowhere else, however the address is written and whatever a name or a redirect says.

A model chooses the URL, and whoever talks to the model, or wrote the page it just read, may have chosen it for the
model. So each hop is checked by itself: https, a known port, no password in it; the name is resolved *here*, every
address it has must be public, and the connection goes to one of exactly these addresses, so that a name which points
elsewhere a moment later is not asked again. The certificate is still checked against the name.
"""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from ssl import SSLContext, create_default_context
from urllib.parse import urljoin

import httpx

from ringback import ToolError

PORTS = frozenset({443, 8443})
"""Web servers listen there; mail servers and databases, which could be talked to by mistake, do not."""
MAX_URL_CHARS = 2_048
"""Longer ones are no addresses but smuggled data."""
MAX_REDIRECTS = 4
"""Enough for a site that moves you to www, to another path, and to your language."""
MAX_BYTES = 512 * 1024
"""Of a body, as it came and as it is unpacked: plenty for the 12,000 characters that are read of it."""
CONNECT_SECONDS = 3.0
"""A site that takes longer to answer the phone is down."""
TOTAL_SECONDS = 8.0
"""For all hops together: someone is waiting on the line."""

TEXT_TYPES = frozenset({"application/json", "application/xml", "application/xhtml+xml", "application/ld+json"})
"""Beside all of text/*."""
_NAT64 = IPv6Network("64:ff9b::/96")

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class Refused(ToolError):
    """The address is not one that may be fetched, or what is there is not text."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="url_refused")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page. `body` is unpacked, and cut at MAX_BYTES where `truncated`."""

    url: str
    status: int
    content_type: str
    charset: str
    body: bytes
    truncated: bool


async def resolve(host: str, port: int) -> Sequence[Address]:
    """Every address of a name; `2130706433` and `0177.0.0.1` are addresses as well, to the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def is_public(address: Address) -> bool:
    """True for an address of the public internet.

    IPv6 addresses that stand for IPv4 ones are refused, as no site is published under them; but NAT64, by which a
    network without IPv4 reaches all of it, is judged by the address inside.
    """
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address.ipv4_mapped or address.sixtofour or address.teredo or address.is_site_local:
            return False
    closed = address.is_multicast or address.is_reserved or address.is_loopback or address.is_link_local
    return address.is_global and not closed


@dataclass(frozen=True)
class Fetcher:
    """Fetches pages. Everything that opens a door is an argument, and nothing in the environment is."""

    resolve: Resolve = resolve
    permits: Callable[[Address], bool] = is_public
    ports: frozenset[int] = PORTS
    tls: SSLContext = field(default_factory=create_default_context)
    max_bytes: int = MAX_BYTES
    total_seconds: float = TOTAL_SECONDS

    async def fetch(self, url: str) -> Fetched:
        """GET `url`, following redirects.

        Raises:
            ToolError: it is refused ("url_refused"), or cannot be had ("fetch_failed"); the text says why.
        """
        limit = asyncio.timeout(self.total_seconds)
        try:
            async with limit:
                return await self._follow(url)
        except TimeoutError:
            raise ToolError(f"The site took more than {self.total_seconds:g} seconds.", code="fetch_failed") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
            raise ToolError(
                f"The site could not be read ({type(problem).__name__}).", code="fetch_failed", retryable=True
            ) from problem

    async def _follow(self, url: str) -> Fetched:
        # No proxy from the environment: it would resolve the name again, by itself.
        async with httpx.AsyncClient(
            verify=self.tls, trust_env=False, timeout=httpx.Timeout(self.total_seconds, connect=CONNECT_SECONDS)
        ) as client:
            for _ in range(MAX_REDIRECTS + 1):
                fetched = await self._hop(client, url)
                if isinstance(fetched, Fetched):
                    return fetched
                url = urljoin(url, fetched)
        raise Refused(f"The site redirects more than {MAX_REDIRECTS} times.")

    async def _hop(self, client: httpx.AsyncClient, text: str) -> Fetched | str:
        """One request; the page, or where it redirects to."""
        url = checked_url(text, self.ports)
        host = url.raw_host.decode()
        address = await self._address_of(host, url.port or 443)
        request = client.build_request(
            "GET",
            url.copy_with(host=str(address), fragment=None),
            headers={
                "Host": url.netloc.decode(),
                "User-Agent": "ringback-fetch/1",
                "Accept": "text/*, application/json;q=0.9",
                "Accept-Encoding": "gzip",
            },
            extensions={"sni_hostname": host},
        )
        response = await client.send(request, stream=True)
        try:
            location = response.headers.get("location")
            return location if response.is_redirect and location else await self._page(response, str(url))
        finally:
            await response.aclose()

    async def _address_of(self, host: str, port: int) -> Address:
        try:
            addresses = await self.resolve(host, port)
        except OSError:
            raise ToolError(f"There is no site called {host}.", code="fetch_failed") from None
        for address in addresses:
            if not self.permits(address):
                raise Refused(f"{host} is not on the public internet; only public sites can be read.")
        if not addresses:
            raise ToolError(f"There is no site called {host}.", code="fetch_failed")
        return addresses[0]

    async def _page(self, response: httpx.Response, url: str) -> Fetched:
        content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not (content_type.startswith("text/") or content_type in TEXT_TYPES):
            raise Refused(f"There is no text at {url}, but {content_type or 'something without a type'}.")
        body, truncated = await unpacked(response, self.max_bytes)
        charset = response.charset_encoding or "utf-8"
        return Fetched(url, response.status_code, content_type, charset, body, truncated)


def checked_url(text: str, ports: frozenset[int]) -> httpx.URL:
    """The URL, if its form may be fetched at all; where it leads is checked apart."""
    if len(text) > MAX_URL_CHARS:
        raise Refused(f"The address is longer than {MAX_URL_CHARS} characters.")
    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, TypeError):
        raise Refused("That is not an address; one looks like https://example.org/page.") from None
    if url.scheme != "https" or not url.host:
        raise Refused("Only addresses that begin with https:// can be read.")
    if url.userinfo:
        raise Refused("An address with a user name or password in it is not read.")
    if (url.port or 443) not in ports:
        raise Refused(f"Port {url.port} is not one of a public web site.")
    return url


async def unpacked(response: httpx.Response, max_bytes: int) -> tuple[bytes, bool]:
    """The body, and whether it was cut. Unpacked by hand: a few kilobytes of gzip can become gigabytes."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise Refused(f"The site packs its pages in a way ({encoding}) that is not unpacked here.")
    if encoding == "identity":
        return await _joined(response.aiter_raw(), max_bytes)
    return await _joined(_gunzip(response.aiter_raw(), max_bytes), max_bytes)


async def _joined(chunks: AsyncIterator[bytes], max_bytes: int) -> tuple[bytes, bool]:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            return bytes(body[:max_bytes]), True
    return bytes(body), False


async def _gunzip(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)  # 31: gzip's own header, and the largest window
    async for chunk in chunks:
        try:
            yield unpacker.decompress(chunk, max_bytes + 1)
        except zlib.error as problem:
            raise ToolError("The page is damaged.", code="fetch_failed") from problem
