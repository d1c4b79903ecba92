"""HTTP client for tools that read the public web, and no other address, in any notation and after any redirect.

    from workers import egress

    @tool(untrusted=True)
    async def headline(url: str) -> str:
        "Read the headline of a page."
        async with egress.client() as web:
            answer = await web.get(url)
        return first_line(answer.text)

A model chooses the address. The user, or the author of the page that the model has just read, may have chosen it for
the model. So each request is checked by itself, and each redirect is a request: https, a known port, no password in the
address. The name is resolved *here*, every address that it has must be public, and the connection goes to one of
exactly these, so that a name which points elsewhere a moment later is not resolved again. The certificate is checked
against the name. A body is bounded as received and as unpacked, and the whole request is bounded in time.

An address that an operator has configured, such as that of an internal service, needs none of this.
"""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from ssl import SSLContext, create_default_context
from typing import Any

import httpx

from ringback import ToolError

PORTS = frozenset({443, 8443})
"""Ports of web servers; mail servers and databases listen on others."""
MAX_URL_CHARS = 2_048
"""A longer address carries smuggled data."""
MAX_REDIRECTS = 4
"""Enough for a site that redirects to www, to another path, and to a language."""
MAX_BYTES = 512 * 1024
"""Most bytes of a body, as received and as unpacked: plenty for what a model can read."""
CONNECT_SECONDS = 3.0
"""A site that takes longer to accept a connection is down."""
TOTAL_SECONDS = 8.0
"""For a request and its redirects together: a caller is waiting on the line."""
TRUNCATED = "ringback.truncated"
"""Key in `response.extensions`: the body was cut."""

_DEADLINE, _HOPS = "ringback.deadline", "ringback.hops"  # in `request.extensions`, which each redirect inherits
_NAT64 = IPv6Network("64:ff9b::/96")

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class Refused(ToolError):
    """Error of an address that may not be requested, or of content that may not be read."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="url_refused")


async def resolve(host: str, port: int) -> Sequence[Address]:
    """Return every address of a name. The system's resolver also takes `2130706433` and `0177.0.0.1` for addresses."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def is_public(address: Address) -> bool:
    """Return true for an address of the public internet.

    IPv6 addresses that embed IPv4 ones are refused, as no site is published under them. NAT64, by which a network
    without IPv4 reaches all of it, is judged by the embedded address.
    """
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address.ipv4_mapped or address.sixtofour or address.teredo or address.is_site_local:
            return False
    closed = address.is_multicast or address.is_reserved or address.is_loopback or address.is_link_local
    return address.is_global and not closed


@dataclass(frozen=True)
class Rules:
    """Rules of requests. Every exception is an argument; the environment changes none.

    Args:
        permits: whether an address may be connected to.
        max_bytes: most bytes of a body; more is refused, or cut with `truncates` (`TRUNCATED` says so).
        total_seconds: for a request with its redirects, to the last byte of the body.
    """

    resolve: Resolve = resolve
    permits: Callable[[Address], bool] = is_public
    ports: frozenset[int] = PORTS
    tls: SSLContext = field(default_factory=create_default_context)
    max_bytes: int = MAX_BYTES
    total_seconds: float = TOTAL_SECONDS
    max_redirects: int = MAX_REDIRECTS
    truncates: bool = False


def client(rules: Rules | None = None, *, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """Return an httpx client that keeps the rules; those of the public web unless given. It follows redirects.

    Beside httpx's errors it raises a ToolError that tells the model what is wrong ("url_refused", "fetch_failed"): let
    it pass.
    """
    rules = rules or Rules()
    return httpx.AsyncClient(
        transport=Transport(rules),
        headers={"User-Agent": "ringback-fetch/1", **(headers or {})},
        follow_redirects=True,
        max_redirects=rules.max_redirects + 1,  # the transport counts too, and has a sentence for it
        trust_env=False,  # no proxy from the environment: it would resolve the name again
        timeout=httpx.Timeout(rules.total_seconds, connect=CONNECT_SECONDS),
    )


class Transport(httpx.AsyncBaseTransport):
    """Transport of the httpx client, which every hop uses."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        # No connection is used twice: it was made to an address, under the name of one site.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(verify=rules.tls, trust_env=False, limits=limits, retries=0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, to a checked address and with a bounded response."""
        now = asyncio.get_running_loop().time()
        deadline = request.extensions.setdefault(_DEADLINE, now + self._rules.total_seconds)
        hops = request.extensions[_HOPS] = request.extensions.get(_HOPS, -1) + 1
        if hops > self._rules.max_redirects:
            raise Refused(f"The site redirects more than {self._rules.max_redirects} times.")
        async with _in_time(deadline, self._rules):
            pinned = await self._pinned(request)
            answer = await self._inner.handle_async_request(pinned)
            try:
                return self._bounded(answer, deadline)
            except BaseException:
                await answer.aclose()
                raise

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _pinned(self, request: httpx.Request) -> httpx.Request:
        """Return the same request, to an address that was checked."""
        url = checked(request.url, self._rules.ports)
        host = url.raw_host.decode()
        address = await self._address_of(host, url.port or 443)
        headers = httpx.Headers(request.headers)
        headers["Host"] = url.netloc.decode()
        headers["Accept-Encoding"] = "gzip"
        return httpx.Request(
            request.method,
            url.copy_with(host=str(address), fragment=None),
            headers=headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )

    async def _address_of(self, host: str, port: int) -> Address:
        try:
            addresses = await self._rules.resolve(host, port)
        except OSError:
            raise ToolError(f"There is no site called {host}.", code="fetch_failed") from None
        for address in addresses:
            if not self._rules.permits(address):
                raise Refused(f"{host} is not on the public internet; only public sites can be read.")
        if not addresses:
            raise ToolError(f"There is no site called {host}.", code="fetch_failed")
        return addresses[0]

    def _bounded(self, answer: httpx.Response, deadline: float) -> httpx.Response:
        body = _Bounded(answer, _unpacking(answer, self._rules.max_bytes), self._rules, deadline)
        headers = [
            (name, value)
            for name, value in answer.headers.raw
            if name.lower() not in (b"content-encoding", b"content-length", b"transfer-encoding")
        ]
        bounded = httpx.Response(answer.status_code, headers=headers, stream=body, extensions=answer.extensions)
        body.extensions = bounded.extensions
        return bounded


class _Bounded(httpx.AsyncByteStream):
    """Body of a response, unpacked, up to the limit and in time."""

    def __init__(self, answer: httpx.Response, pieces: AsyncIterator[bytes], rules: Rules, deadline: float) -> None:
        self._answer, self._pieces, self._rules, self._deadline = answer, pieces, rules, deadline
        self.extensions: dict[str, Any] = {}
        """Extensions of the response that this is the body of."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._rules.max_bytes
        while True:
            async with _in_time(self._deadline, self._rules):
                piece = await anext(self._pieces, None)
            if piece is None:
                return
            if len(piece) > left:
                if not self._rules.truncates:
                    raise Refused(f"The answer is longer than {self._rules.max_bytes} bytes.")
                self.extensions[TRUNCATED] = True
                yield piece[:left]
                return
            left -= len(piece)
            yield piece

    async def aclose(self) -> None:
        await self._answer.aclose()


class _in_time:  # noqa: N801 — it reads as one of asyncio's own
    """Time limit like `asyncio.timeout_at`, with a sentence for the model."""

    def __init__(self, deadline: float, rules: Rules) -> None:
        self._limit, self._rules = asyncio.timeout_at(deadline), rules

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()

    async def __aexit__(self, *raised: Any) -> None:
        try:
            await self._limit.__aexit__(*raised)
        except TimeoutError:
            sentence = f"The site took more than {self._rules.total_seconds:g} seconds."
            raise ToolError(sentence, code="fetch_failed") from None


def checked_url(text: str, ports: frozenset[int]) -> httpx.URL:
    """Return the URL if its form is allowed; the address that it leads to is checked separately."""
    if len(text) > MAX_URL_CHARS:
        raise Refused(f"The address is longer than {MAX_URL_CHARS} characters.")
    try:
        return checked(httpx.URL(text.strip()), ports)
    except (httpx.InvalidURL, TypeError):
        raise Refused("That is not an address; one looks like https://example.org/page.") from None


def checked(url: httpx.URL, ports: frozenset[int]) -> httpx.URL:
    """Return the parsed URL if its form is allowed."""
    if url.scheme != "https" or not url.host:
        raise Refused("Only addresses that begin with https:// can be read.")
    if len(str(url)) > MAX_URL_CHARS:
        raise Refused(f"The address is longer than {MAX_URL_CHARS} characters.")
    if url.userinfo:
        raise Refused("An address with a user name or password in it is not read.")
    if (url.port or 443) not in ports:
        raise Refused(f"Port {url.port} is not one of a public web site.")
    return url


async def unpacked(response: httpx.Response, max_bytes: int) -> tuple[bytes, bool]:
    """Return the body, and whether it was cut. It is unpacked in steps: a few kilobytes of gzip can become
    gigabytes.
    """
    body = bytearray()
    async for piece in _unpacking(response, max_bytes):
        body += piece
        if len(body) > max_bytes:
            return bytes(body[:max_bytes]), True
    return bytes(body), False


def _unpacking(response: httpx.Response, most: int) -> AsyncIterator[bytes]:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise Refused(f"The site packs its pages in a way ({encoding}) that is not unpacked here.")
    pieces = response.aiter_raw()
    return pieces if encoding == "identity" else _gunzip(pieces, most)


async def _gunzip(chunks: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)  # 31: gzip's header, and the largest window
    async for chunk in chunks:
        try:
            yield unpacker.decompress(chunk, most + 1)
        except zlib.error as problem:
            raise ToolError("The page is damaged.", code="fetch_failed") from problem
