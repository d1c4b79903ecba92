"""HTTP clients of the gateway: made on first use, and without a proxy for addresses of this machine."""

from __future__ import annotations

import os

import httpx

from ringback.config.proxies import ProxyUnusable, is_direct


def http_client(url: str, seconds: float) -> httpx.AsyncClient:
    """Return a client for this URL that follows no redirect.

    Raises:
        ProxyUnusable: the environment names a proxy that cannot be used; it is an OSError.
    """
    try:
        return httpx.AsyncClient(timeout=seconds, follow_redirects=False, trust_env=not is_direct(url))
    except (ImportError, ValueError, httpx.InvalidURL) as problem:
        raise ProxyUnusable(os.environ, problem) from None
