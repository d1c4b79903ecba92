"""A web site on this machine, with a certificate for site.test and other.test, and pages that are given as bytes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from workers.egress import Address, is_public
from workers.tools.public_web import Fetcher

PEM = Path(__file__).parent / "tls" / "site.pem"
HERE = ip_address("127.0.0.1")

Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Site:
    """A server for the names in its certificate, site.test and other.test. `heard` holds the heads of requests."""

    def __init__(self, pages: dict[str, bytes | Respond]) -> None:
        self.pages = pages
        self.heard: list[str] = []
        self.port = 0
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heard.append(head)
            page = self.pages[head.split()[1]]
            if isinstance(page, bytes):
                writer.write(page)
                await writer.drain()
            else:
                await page(writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # a client may leave in the middle
        finally:
            writer.close()

    def trusting(self) -> ssl.SSLContext:
        """What a client needs that believes its certificate."""
        return ssl.create_default_context(cafile=str(PEM))

    def fetcher(self, resolve: Any = None, **limits: Any) -> Fetcher:
        async def here(host: str, port: int) -> Sequence[Address]:
            self.asked.append(host)
            return [HERE]

        return Fetcher(
            resolve=resolve or here,
            permits=lambda address: address == HERE or is_public(address),
            ports=frozenset({self.port}),
            tls=self.trusting(),
            **limits,
        )


@asynccontextmanager
async def serving(pages: dict[str, bytes | Respond]) -> AsyncIterator[Site]:
    site = Site(pages)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(PEM)
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()


def page(body: bytes, content_type: str = "text/plain; charset=utf-8", *, status: str = "200 OK", **more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", "Connection: close"]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join([*head, "", ""]).encode() + body


def redirect(location: str) -> bytes:
    return page(b"", status="302 Found", Location=location)
