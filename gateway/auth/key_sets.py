"""Caches an identity provider's keys: fetched for a request, kept for a while, fetched again for an unknown key.

No task fetches in the background. If the keys are too old, one request fetches them and the others use the old ones. If
the provider does not answer, the old keys stay in use for `STALE_SECONDS`; after that the answer is 503.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx

from gateway.auth.authenticator import Principal
from gateway.auth.jwt import JwtRules, KeysById, NoSuchKey, header_of, is_one, verified
from gateway.errors import AuthenticationError, Unavailable
from gateway.http_client import http_client
from ringback.errors import ConfigurationError

log = logging.getLogger(__name__)

FRESH_SECONDS = 600.0
"""After that the keys are fetched again, so that a withdrawn key is taken no longer."""
STALE_SECONDS = 3_600.0
"""How long keys stay in use that cannot be fetched again: the gateway outlives a provider's bad hour."""
AGAIN_SECONDS = 30.0
"""Between two fetches for unknown keys: a client that invents names does not make the gateway call the provider."""
RETRY_SECONDS = 5.0
"""Between two fetches of a provider that did not answer."""
FETCH_SECONDS = 5.0
"""For one whole fetch: a client waits for it."""
MAX_BYTES = 256 * 1_024
"""Of a key set: a hundred keys take less."""

Fetch = Callable[[], Coroutine[Any, Any, bytes]]
"""Fetches the key set; raises OSError, ValueError or httpx.HTTPError if it fails."""

CANNOT_TELL = "The identity provider's keys cannot be fetched right now, so your token cannot be verified. Try again."


class KeySet:
    """Cache of one provider's keys.

    Args:
        fetch: fetches the key set.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: KeysById | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._has_failed = False
        self._fetching = asyncio.Lock()

    async def current(self) -> KeysById:
        """Return the keys; raise Unavailable if none could be fetched."""
        if self._keys is None or (self._age > FRESH_SECONDS and not self._fetching.locked()):
            await self._fetch_unless_just_tried(RETRY_SECONDS)
        return self._usable()

    async def newer(self, known: KeysById) -> KeysById:
        """Return keys that may have what `known` lacks; the same if they were fetched a moment ago.

        Raises:
            Unavailable: the provider does not answer.
        """
        if self._keys is known:
            await self._fetch_unless_just_tried(RETRY_SECONDS if self._has_failed else AGAIN_SECONDS)
        if self._keys is known and self._has_failed:
            raise Unavailable(CANNOT_TELL)
        return self._usable()

    @property
    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _usable(self) -> KeysById:
        if self._keys is None or self._age > STALE_SECONDS:
            raise Unavailable(CANNOT_TELL)
        return self._keys

    async def _fetch_unless_just_tried(self, pause: float) -> None:
        async with self._fetching:
            if self._clock() - self._tried_at < pause:
                return
            self._tried_at = self._clock()
            try:
                self._keys = KeysById.read(await self._fetch())
            except (OSError, ValueError, RecursionError, httpx.HTTPError) as problem:
                self._has_failed = True
                log.error("key fetch failed (%s: %s); the known keys stay in use", type(problem).__name__, problem)
                return
            self._fetched_at, self._has_failed = self._clock(), False


class JwtProvider:
    """An identity provider whose tokens the gateway takes."""

    def __init__(self, rules: JwtRules, keys: KeySet) -> None:
        self._rules = rules
        self._keys = keys

    def is_one(self, token: str) -> bool:
        """Return whether the token looks like one of the provider's."""
        return is_one(token)

    async def principal(self, token: str) -> Principal:
        """Return whose the token is; raise AuthenticationError if it is not valid, Unavailable if no key is known."""
        header = header_of(token)
        keys = await self._keys.current()
        try:
            key = keys.find(header, self._rules.algorithms)
        except NoSuchKey:
            keys = await self._keys.newer(keys)
            try:
                key = keys.find(header, self._rules.algorithms)
            except NoSuchKey:
                raise AuthenticationError("The token is signed by a key that its issuer does not have.") from None
        return verified(token, key, self._rules)


def fetcher(source: str) -> Fetch:
    """Return what fetches the key set from this URL, or reads this file."""
    return _from_url(source) if "://" in source else _from_file(Path(source))


def prove(source: str) -> None:
    """Raise ConfigurationError if the source is a file without usable keys; a URL is asked when it is needed."""
    if "://" in source:
        return
    try:
        KeysById.read(_read(Path(source)))
    except (OSError, ValueError, RecursionError) as problem:
        raise ConfigurationError(f"RINGBACK_JWT_JWKS={source} cannot be used: {problem}") from None


def _from_file(path: Path) -> Fetch:
    async def read() -> bytes:
        return await asyncio.to_thread(_read, path)

    return read


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return _bounded(file.read(MAX_BYTES + 1))


def _from_url(url: str) -> Fetch:
    async def get() -> bytes:
        received = bytearray()
        # Redirects are not followed: the address is the provider's own, and was checked.
        async with (
            asyncio.timeout(FETCH_SECONDS),
            http_client(url, FETCH_SECONDS) as client,
            client.stream("GET", url, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status_code != 200:
                raise ValueError(f"the status was {answer.status_code}")
            async for chunk in answer.aiter_bytes():
                received += chunk
                if len(received) > MAX_BYTES:
                    break
        return _bounded(bytes(received))

    return get


def _bounded(received: bytes) -> bytes:
    if len(received) > MAX_BYTES:
        raise ValueError(f"it takes more than {MAX_BYTES} bytes")
    return received
