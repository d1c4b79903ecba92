"""Whether a connection goes through a proxy that the environment names, and the error if that proxy is unusable.

Connections within this machine never use a proxy: no proxy elsewhere can reach them.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies

from ringback.errors import RingbackError

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class ProxyUnusable(OSError, RingbackError):
    """A proxy that the environment names cannot be used; the text says which variables are set."""

    def __init__(self, environment: Mapping[str, str], problem: Exception) -> None:
        names = [name for name in environment if name.upper() in VARIABLES]
        # The problem's own text may quote the proxy's URL, which may hold a password.
        reason = "SOCKS needs a package that is not installed" if isinstance(problem, ImportError) else "no such proxy"
        super().__init__(f"the proxy that {', '.join(sorted(names))} names cannot be used: {reason}")


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_direct(url: str) -> bool:
    """Return whether the URL is one of this machine, which no proxy can reach."""
    return is_loopback(urlsplit(url).hostname or "")


def may_be_proxied(url: str) -> bool:
    """Return whether a connection to the URL may go through a proxy that the environment or the machine names."""
    return not is_direct(url) and bool(getproxies().keys() - {"no"})
