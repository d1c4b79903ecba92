"""Requests to what runs on this machine: a client for all of them, as each new one reads every authority's certificate.

That takes 50 ms of CPU, and many a test asks twenty times a second whether something has happened.
"""

from __future__ import annotations

import ssl

import httpx

PATIENCE = 30.0
"""Seconds until a test says that something will not happen."""

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts no certificate, for a client that speaks no TLS."""
LOCAL = httpx.Client(
    verify=NO_TLS,
    trust_env=False,
    timeout=PATIENCE,
    limits=httpx.Limits(max_keepalive_connections=0),  # whoever answers now may be dead at the next request
)
