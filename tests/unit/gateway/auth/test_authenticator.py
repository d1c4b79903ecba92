"""Who is calling: a good token by either of the two ways a client can carry it, and nobody otherwise."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.auth.authenticator import (
    LOOKUPS_AT_ONCE,
    LOOKUPS_WAITING,
    TRUSTED,
    Authenticator,
    StaticToken,
    bearer,
    offered,
)
from gateway.auth.tokens import Kind, new
from gateway.errors import ApiError, AuthenticationError

ADA, BOB = "ada-token-000001", "bob-token-000002"


@pytest.fixture
def authenticator() -> Authenticator:
    return Authenticator(
        {"ada": StaticToken(SecretStr(ADA)), "bob": StaticToken(SecretStr(BOB), frozenset({"trusted"}))}
    )


@pytest.mark.parametrize(
    ("authorization", "subprotocols", "user"),
    [
        (f"Bearer {ADA}", [], "ada"),
        (f"bearer {BOB}", [], "bob"),
        (f"Bearer   {ADA}  ", [], "ada"),
        (None, ["realtime", f"openai-insecure-api-key.{ADA}"], "ada"),
        (None, [f"openai-insecure-api-key.{BOB}", "realtime", "openai-beta.realtime-v1"], "bob"),
        ("", ["realtime", f"openai-insecure-api-key.{ADA}"], "ada"),
        ("Basic YTpi", [f"openai-insecure-api-key.{ADA}"], "ada"),
        # A header speaks first: a page cannot set one, so it is the more deliberate of the two.
        (f"Bearer {BOB}", [f"openai-insecure-api-key.{ADA}"], "bob"),
    ],
)
def test_a_good_token_names_its_user(
    authenticator: Authenticator, authorization: str | None, subprotocols: list[str], user: str
) -> None:
    assert asyncio.run(authenticator.identify(authorization, subprotocols)).user == user


def test_a_token_of_the_settings_is_a_backends_where_it_says_so(authenticator: Authenticator) -> None:
    ada, bob = (asyncio.run(authenticator.identify(f"Bearer {token}")) for token in (ADA, BOB))
    assert (ada.is_trusted, bob.is_trusted) == (False, True)
    assert bob.claims["scopes"] == sorted({*ada.scopes, TRUSTED})


def test_the_header_of_azures_sdks_carries_a_token_as_well(authenticator: Authenticator) -> None:
    assert asyncio.run(authenticator.identify(None, api_key=ADA)).user == "ada"
    with pytest.raises(AuthenticationError):
        asyncio.run(authenticator.identify(None, api_key=" "))


@pytest.mark.parametrize(
    ("authorization", "subprotocols"),
    [
        (None, []),
        ("", []),
        ("Bearer", []),
        ("Bearer ", []),
        (f"Bearer {ADA}x", []),
        (f"Bearer {ADA[:-1]}", []),
        (f"Bearer {ADA.upper()}", []),
        (f"Basic {ADA}", []),
        (ADA, []),
        ("Bearer ümläut-and-more", []),
        ("Bearer \udcff\ud800", []),
        (None, ["realtime"]),
        (None, [ADA]),
        (None, ["openai-insecure-api-key."]),
        (f"Bearer {ADA}x", [f"openai-insecure-api-key.{ADA}"]),
        pytest.param(f"Bearer {new(Kind.KEY)}", [], id="an unknown key"),
        pytest.param(f"Bearer {new(Kind.SECRET)}", [], id="an unknown secret"),
        ("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.", []),
    ],
)
def test_anything_else_names_nobody(
    authenticator: Authenticator, authorization: str | None, subprotocols: list[str]
) -> None:
    with pytest.raises(AuthenticationError) as nobody:
        asyncio.run(authenticator.identify(authorization, subprotocols))
    assert (nobody.value.status, nobody.value.code) == (401, "invalid_api_key")
    assert "Authorization: Bearer" in str(nobody.value)


def test_a_token_of_the_settings_may_talk_mint_look_and_control_and_tools_are_told(
    authenticator: Authenticator,
) -> None:
    ada = asyncio.run(authenticator.identify(f"Bearer {ADA}"))
    assert sorted(ada.scopes) == ["control", "history", "realtime", "secrets"]
    assert ada.claims == {"scopes": ["control", "history", "realtime", "secrets"]}
    assert (ada.credential, ada.is_trusted, ada.spends) == ("token:ada", False, None)


def test_no_token_is_kept_or_shown(authenticator: Authenticator) -> None:
    assert ADA not in repr(authenticator)
    assert ADA not in repr(vars(authenticator))


def test_whoever_guesses_tokens_takes_few_connections_and_beyond_a_bound_is_told_to_come_again() -> None:
    async def story() -> tuple[int, list[int]]:
        at_once, most, go_on = 0, 0, asyncio.Event()

        async def slow(_statement: object) -> list[Any]:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await go_on.wait()
            at_once -= 1
            return []

        authenticator = Authenticator({}, slow)

        async def guess() -> int:
            with pytest.raises(ApiError) as nobody:
                await authenticator.identify(f"Bearer {new(Kind.KEY)}")
            return nobody.value.status

        guesses = [asyncio.create_task(guess()) for _ in range(LOOKUPS_AT_ONCE + LOOKUPS_WAITING + 10)]
        await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED)
        go_on.set()
        return most, await asyncio.gather(*guesses)

    most, statuses = asyncio.run(story())
    assert most == LOOKUPS_AT_ONCE
    assert sorted(statuses) == [401] * (LOOKUPS_AT_ONCE + LOOKUPS_WAITING) + [503] * 10


def test_a_token_is_read_out_of_either_place() -> None:
    assert bearer("Bearer abc") == "abc"
    assert bearer("Token abc") is None
    assert offered(["realtime", "openai-insecure-api-key.abc"]) == "abc"
    assert offered([]) is None
