"""When a provider's keys are fetched, by a clock of our own; and what becomes of callers while they cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.auth import key_sets
from gateway.auth.key_sets import JwtProvider, KeySet, fetcher, prove
from gateway.errors import ApiError
from ringback.errors import ConfigurationError
from tests.unit.gateway.auth.signing import RULES, claims, key_set, public_jwk, signed


class House:
    """A provider that answers as it is told, and the gateway's view of it at a time of the test's choice."""

    def __init__(self) -> None:
        self.now, self.fetched = 1_000.0, 0
        self.answer: str | Exception = key_set(public_jwk("one"))
        self.provider = JwtProvider(RULES, KeySet(self._fetch, lambda: self.now))

    async def _fetch(self) -> bytes:
        self.fetched += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer.encode()

    async def says(self, token: str) -> str | int:
        """Whose the token is, or the status of the refusal."""
        try:
            return (await self.provider.principal(token)).user
        except ApiError as nobody:
            return nobody.status


GOOD, OF_A_NEW_KEY = signed(claims()), signed(claims(), "new")
OUTAGES = [OSError("no route"), httpx.ConnectTimeout("late"), ValueError("the status was 500"), TimeoutError()]


def played(story: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story(House()))


def test_keys_are_fetched_once_for_many_who_come_at_once() -> None:
    async def story(house: House) -> None:
        assert await asyncio.gather(*(house.says(GOOD) for _ in range(50))) == ["ada"] * 50
        house.now += key_sets.FRESH_SECONDS
        assert await house.says(GOOD) == "ada"
        assert house.fetched == 1

    played(story)


def test_a_key_that_was_withdrawn_is_good_for_ten_minutes_at_most() -> None:
    async def story(house: House) -> None:
        await house.says(GOOD)
        house.answer = key_set(public_jwk("new"))
        house.now += key_sets.FRESH_SECONDS + 1
        assert await house.says(GOOD) == 401

    played(story)


def test_a_new_key_is_found_at_once_and_an_invented_one_makes_nobody_fetch_all_the_time() -> None:
    async def story(house: House) -> None:
        await house.says(GOOD)
        house.now += key_sets.AGAIN_SECONDS
        house.answer = key_set(public_jwk("one"), public_jwk("new"))
        assert await house.says(OF_A_NEW_KEY) == "ada"
        assert house.fetched == 2
        invented = [signed(claims(), "one", kid=f"key-{number}") for number in range(20)]
        house.now += key_sets.AGAIN_SECONDS - 1
        assert {await house.says(token) for token in invented} == {401}
        assert house.fetched == 2
        house.now += 1
        assert {await house.says(token) for token in invented} == {401}
        assert house.fetched == 3

    played(story)


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: type(outage).__name__)
def test_without_keys_nobody_can_be_told_from_anybody_and_is_asked_to_come_again(outage: Exception) -> None:
    async def story(house: House) -> None:
        house.answer = outage
        assert {await house.says(GOOD) for _ in range(20)} == {503}
        assert house.fetched == 1, "whoever waits does not make us call all the time"
        house.answer = key_set(public_jwk("one"))
        house.now += key_sets.RETRY_SECONDS
        assert await house.says(GOOD) == "ada"

    played(story)


def test_a_provider_s_bad_hour_is_not_that_of_those_whose_key_is_known() -> None:
    async def story(house: House) -> None:
        await house.says(GOOD)
        house.answer = OSError("no route")
        house.now += key_sets.STALE_SECONDS
        assert await house.says(GOOD) == "ada"
        house.now += key_sets.RETRY_SECONDS
        assert await house.says(OF_A_NEW_KEY) == 503, "nobody can say that there is no such key"
        house.now += 1
        assert await house.says(GOOD) == 503, "keys of more than an hour ago are none"

    played(story)


@pytest.mark.parametrize("nonsense", ["", "<html>", "[" * 100_000, '{"keys": []}'])
def test_an_answer_that_is_no_key_set_is_no_answer(nonsense: str) -> None:
    async def story(house: House) -> None:
        house.answer = nonsense
        assert await house.says(GOOD) == 503

    played(story)


def test_keys_may_be_in_a_file_of_a_reasonable_size(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(key_set())
    prove(str(file))
    assert asyncio.run(fetcher(str(file))()) == file.read_bytes()
    file.write_bytes(b" " * (key_sets.MAX_BYTES + 1))
    with pytest.raises(ValueError, match="more than"):
        asyncio.run(fetcher(str(file))())


@pytest.mark.parametrize("content", [None, "", "{}", key_set(public_jwk("one", use="enc"))])
def test_a_file_without_keys_is_told_of_at_the_start(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match="RINGBACK_JWT_JWKS="):
        prove(str(file))
