"""A1–A9: who is let in. Whatever is wrong is said as HTTP, before the upgrade, and costs nothing upstream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.attacks.toolbox.fort import FIRST, ORIGIN, SECOND, SECRETS, SECRETS_PATH, Fort, calling, marker
from tests.attacks.toolbox.provider import strangers_key
from tests.caller import Caller
from tests.line import TOKEN

pytestmark = [pytest.mark.anyio, pytest.mark.long]

NO_TOKENS = [
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"Authorization": f"Basic {TOKEN}"},
    {"Authorization": "Bearer rb_nobody-has-this-token"},
    {"Authorization": f"Bearer {TOKEN}x"},
    {"Authorization": f"Bearer {TOKEN[:-1]}"},
    {"Authorization": f"Bearer {TOKEN.upper()}"},
    {"Cookie": f"token={TOKEN}"},
    {"X-Api-Key": TOKEN},
]


@pytest.mark.parametrize("headers", NO_TOKENS, ids=lambda headers: repr(sorted(headers.items()))[:60])
async def test_a01_without_a_token_that_is_known_there_is_no_upgrade_and_no_upstream(
    fort: Fort, headers: dict[str, str]
) -> None:
    before = fort.connections()
    with pytest.raises(InvalidStatus) as refused:
        async with connect(fort.line.address(), additional_headers=headers):
            pass
    assert refused.value.response.status_code == 401
    assert fort.connections() == before, "nobody has called the Realtime API"


def bad_tokens(fort: Fort) -> dict[str, str]:
    now, provider = int(time.time()), fort.provider
    return {
        "expired": provider.token("eve", iat=now - 7_200, exp=now - 3_600),
        "never expires": provider.token("eve", exp=None),
        "not yet valid": provider.token("eve", nbf=now + 3_600),
        "issued tomorrow": provider.token("eve", iat=now + 86_400, exp=now + 90_000),
        "for somebody else": provider.token("eve", aud="another-service"),
        "for nobody": provider.token("eve", aud=None),
        "by somebody else": provider.token("eve", iss="https://evil.example/"),
        "by nobody": provider.token("eve", iss=None),
        "of nobody": provider.token("eve", sub=None),
        "unsigned": provider.unsigned("eve"),
        "unsigned, written otherwise": provider.unsigned("eve", "NoNe"),
        "signed with the public key": provider.signed_with_the_public_key("eve"),
        "signed by a stranger": provider.token("eve", key=strangers_key()),
        "signed by a stranger, with a key of theirs": provider.token("eve", key=strangers_key(), kid="two"),
        "changed": provider.changed("eve", "admin"),
    }


async def test_a02_a_jwt_that_is_not_whole_current_and_ours_lets_nobody_in(fort: Fort) -> None:
    assert await fort.knock(fort.provider.token("ann")) == 101
    before = fort.connections()
    assert {what: await fort.knock(token) for what, token in bad_tokens(fort).items()} == dict.fromkeys(
        bad_tokens(fort), 401
    )
    assert fort.connections() == before


async def test_a03_a_client_secret_lets_one_of_two_in_who_come_at_once(fort: Fort) -> None:
    for _ in range(8):
        secret = fort.secret(marker("user"))
        statuses = await asyncio.gather(*(fort.knock(secret, on=gateway) for gateway in (FIRST, SECOND) * 2))
        assert sorted(statuses) == [101, 401, 401, 401]
        assert await fort.knock(secret) == 401


async def test_a04_a_client_secret_opens_nobody_elses_session(fort: Fort) -> None:
    """A resume token of somebody else's session is as good as one that there never was."""
    async with fort.line.call(fort.secret("ann", uses=2), ringback="resume") as ann:
        await ann.hear_kind("session.created")
        answers = [await resume_with(fort, fort.secret("bob"), token) for token in (ann.token, "rb_resume_nobodys")]
        assert answers[0] == answers[1]
        assert answers[0][0] == 404
        mine = fort.request("GET", f"/v1/sessions/{ann.session_id}", fort.secret("bob"))
        assert mine.status_code == 403, "a client secret reads no history at all"
        await ann.ask("still here")
        await ann.hear_words("still here")


async def resume_with(fort: Fort, secret: str, token: str) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {secret}", "Ringback-Resume": token}
    with pytest.raises(InvalidStatus) as refused:
        async with await fort.line.upgraded(headers=headers, ringback="resume"):
            pass
    return refused.value.response.status_code, bytes(refused.value.response.body or b"")


@pytest.mark.parametrize(
    "name", ["token", "access_token", "api_key", "key", "authorization", "ek", "secret", "TOKEN", "anything", "agent"]
)
async def test_a05_a_token_in_a_url_opens_nothing_and_is_in_no_log(fort: Fort, name: str) -> None:
    token = fort.secret(marker("user"))
    with pytest.raises(InvalidStatus) as refused:
        async with connect(fort.line.address(**{name: token})):
            pass
    assert refused.value.response.status_code == 400
    assert fort.request("GET", "/v1/jobs", None, params={name: token}).status_code == 400
    assert token.encode() not in bytes(refused.value.response.body or b"")
    assert token not in fort.logs()
    assert await fort.knock(token) == 101, "it was not used up"


async def test_a06_a_page_of_somebody_else_opens_nothing_whatever_the_browser_holds(fort: Fort) -> None:
    before = fort.connections()
    cookies = {"Cookie": f"session={TOKEN}; token={TOKEN}; authorization=Bearer {TOKEN}"}
    assert await fort.knock(None, Origin="https://evil.example", **cookies) == 403
    assert await fort.knock(TOKEN, Origin="https://evil.example", **cookies) == 403
    assert await fort.knock(None, Origin=ORIGIN, **cookies) == 401, "no cookie is looked at"
    assert fort.connections() == before


FOREIGN = [
    *("null", "https://app.example.com.evil.com", "https://evil.com/app.example.com", "http://app.example.com"),
    *(
        "https://APP.example.com",
        "HTTPS://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com:443",
    ),
    *(
        "https://app.example.com/",
        "https://app.example.com.",
        "https://user@app.example.com",
        "https://xapp.example.com",
    ),
    *("https://app%C2%ADexample.com", "https://xn--pp-gja.example.com", "https://app.example.com https://evil.com"),
    *("https://app.example.com, https://evil.com", "http://localhost.evil.com", "http://127.0.0.1.evil.com", "file://"),
    *("https://app%2eexample.com", "", "*", "chrome-extension://abc"),
]


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a07_an_origin_that_is_not_ours_letter_by_letter_is_refused(fort: Fort, origin: str) -> None:
    assert await fort.knock(TOKEN, Origin=origin) == 403
    answer = fort.request("POST", SECRETS_PATH, headers={"Origin": origin})
    assert answer.status_code == 403


async def test_a07_ours_is_let_in_and_so_is_what_is_no_browser(fort: Fort) -> None:
    assert await fort.knock(TOKEN, Origin=ORIGIN) == 101
    assert await fort.knock(TOKEN) == 101
    assert await fort.knock(None) == 401


@asynccontextmanager
async def at_work(fort: Fort, token: str) -> AsyncIterator[tuple[Caller, str]]:
    """Somebody whose call is being worked on; the call's id."""
    name = marker("call")
    async with fort.stranger(token, ringback="resume") as caller:
        await caller.ask(calling("wait", {"name": name}, name))
        fort.wait_for_trace(f"begun-{name}")
        yield caller, name


@pytest.mark.parametrize("how", ["key", "key, by HTTP", "sign-out", "sign-out, by HTTP", "secret's key", "session"])
async def test_a08_whoever_is_told_to_go_is_gone_and_so_are_their_calls(fort: Fort, how: str) -> None:
    user, admin = marker("user"), fort.key("boss", scopes="admin,control")
    key = fort.key(user, scopes="realtime,secrets")
    token = fort.secret(user, key) if how == "secret's key" else key
    async with at_work(fort, token) as (caller, call):
        await asyncio.to_thread(revoke, fort, how, user, admin, caller.session_id)
        code, reason = await caller.hear_goodbye()
        assert code == 4401
        assert reason in ("revoked", "ended_by_operator")
        await asyncio.to_thread(fort.wait_for_trace, f"cancelled-{call}")
        assert (await resume_with(fort, TOKEN, caller.token))[0] == 404
    assert fort.session(caller.session_id)["state"] == "ended"
    assert fort.job(call)["state"] == "cancelled"
    if "key" in how:
        assert await fort.knock(token) == 401


def revoke(fort: Fort, how: str, user: str, admin: str, session: str) -> None:
    ((key_id,),) = fort.query("SELECT id::text FROM api_keys WHERE user_id = %s", user)
    match how:
        case "key" | "secret's key":
            fort.command("token", "revoke", key_id)
        case "key, by HTTP":
            assert fort.request("POST", f"/v1/keys/{key_id}/revoke", admin).status_code == 200
        case "sign-out":
            fort.command("users", "sign-out", user)
        case "sign-out, by HTTP":
            assert fort.request("POST", f"/v1/users/{user}/sign-out", admin).status_code == 200
        case "session":
            assert fort.request("POST", f"/v1/sessions/{session}/end", admin).status_code == 200


async def test_a08_a_jwt_that_was_issued_before_its_user_was_signed_out_is_void(fort: Fort) -> None:
    user = marker("user")
    token = fort.provider.token(user, iat=int(time.time()) - 5)
    async with at_work(fort, token) as (caller, call):
        await asyncio.to_thread(fort.command, "users", "sign-out", user)
        assert (await caller.hear_goodbye())[0] == 4401
        await asyncio.to_thread(fort.wait_for_trace, f"cancelled-{call}")
    assert await fort.knock(token) == 401


async def test_a09_of_the_subprotocols_only_the_agreed_one_comes_back(fort: Fort) -> None:
    """The token is one of them where a browser calls, and never an answer."""
    offered = ["realtime", f"openai-insecure-api-key.{TOKEN}", "openai-beta.realtime-v1", marker("evil")]
    async with await fort.line.upgraded(subprotocols=offered) as socket:
        assert socket.response is not None
        answered = socket.response.headers
        assert socket.subprotocol == "realtime"
        assert [secret for secret in SECRETS if secret in str(list(answered.raw_items()))] == []


async def test_a09_without_the_agreed_one_none_is_answered(fort: Fort) -> None:
    offered = [f"openai-insecure-api-key.{TOKEN}", marker("evil")]
    async with await fort.line.upgraded(subprotocols=offered) as socket:
        assert socket.subprotocol is None


async def test_a09_a_wrong_token_among_them_is_refused(fort: Fort) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(fort.line.address(), subprotocols=["realtime", "openai-insecure-api-key.wrong"]):  # type: ignore[list-item]
            pass
    assert refused.value.response.status_code == 401
    assert b"wrong" not in (refused.value.response.body or b"")
