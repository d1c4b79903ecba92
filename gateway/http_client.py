"""HTTP clients of the gateway: made on first use, and without a proxy for addresses of this machine."""

from __future__ import annotations

import os

import httpx

from ringback.config.proxies import ProxyUnusable, is_direct


def http_client(url: str, seconds: float, *, keeps: float = 5.0) -> httpx.AsyncClient:
    """Return a client for this URL that follows no redirect.

    Args:
        seconds: how long each step of a request may take.
        keeps: seconds for which an idle connection is kept.

    Raises:
        ProxyUnusable: the environment names a proxy that cannot be used; it is an OSError.
    """
    try:
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=keeps)
        return httpx.AsyncClient(timeout=seconds, follow_redirects=False, trust_env=not is_direct(url), limits=limits)
    except (ImportError, ValueError, httpx.InvalidURL) as problem:
        raise ProxyUnusable(os.environ, problem) from None
