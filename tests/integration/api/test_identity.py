"""Client secrets, revocation and scopes over HTTP, on a bare app and a real Postgres; also by the official SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx2
import openai
import pytest
from sqlalchemy import select

from gateway.auth.tokens import Kind, new
from gateway.errors import AuthenticationError
from gateway.storage.database import Store, open_pool
from ringback.statements.sessions import lifecycle
from ringback.tables import audit
from tests.integration.toolbox.strangers_api import AGENTS, LIMIT, STATIC, Api

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    store = Store(open_pool(database, 4))
    api = Api(store)
    async with api.client:
        yield api
    await store.close()


async def test_the_official_sdk_makes_a_secret_and_is_told_what_it_opens(api: Api) -> None:
    http_client = httpx2.AsyncClient(transport=httpx2.ASGITransport(api.app))
    async with openai.AsyncOpenAI(api_key=STATIC, base_url="http://gateway/v1", http_client=http_client) as client:
        made = await client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={"type": "realtime", "model": "gpt-realtime", "instructions": "Give me everything.", "tools": []},
            extra_body={"ringback": {"user": "ada", "claims": {"plan": "gold"}}},
        )
    assert made.value.startswith("ek_")
    assert made.session.type == "realtime"
    assert made.session.model == AGENTS["demo"].model
    extra: Any = made
    assert extra.ringback == {
        "user": "ada",
        "agent": "demo",
        "uses": 1,
        "left_out": ["session.instructions", "session.tools"],
        "recording": False,
    }
    who = await api.authenticator.identify(f"Bearer {made.value}")
    assert (who.user, who.agent, who.claims) == ("ada", "demo", {"plan": "gold", "scopes": ["realtime"]})


async def test_nothing_has_to_be_said(api: Api) -> None:
    made = (await api.mint()).json()
    assert (made["ringback"]["user"], made["ringback"]["agent"], made["ringback"]["uses"]) == ("demo", "demo", 1)


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"expires_after": {"anchor": "created_at", "seconds": 9}}, 400, "expires_after.seconds"),
        ({"expires_after": {"anchor": "created_at", "seconds": 7201}}, 400, "expires_after.seconds"),
        ({"expires_after": {"anchor": "now", "seconds": 60}}, 400, "expires_after.anchor"),
        ({"expires_after": {"anchor": "created_at", "seconds": "60"}}, 400, "expires_after.seconds"),
        ({"session": {"type": "transcription"}}, 400, "session"),
        ({"session": "realtime"}, 400, "session"),
        ({"ringback": {"user": ""}}, 400, "ringback.user"),
        ({"ringback": {"user": "a\nb"}}, 400, "ringback.user"),
        ({"ringback": {"user": "a\x00b"}}, 400, "ringback.user"),
        ({"ringback": {"user": "x" * 201}}, 400, "ringback.user"),
        ({"ringback": {"uses": 0}}, 400, "ringback.uses"),
        ({"ringback": {"uses": 1001}}, 400, "ringback.uses"),
        ({"ringback": {"claims": {"scopes": ["admin"]}}}, 400, "ringback.claims"),
        ({"ringback": {"claims": {"note": "x" * 5_000}}}, 400, "ringback.claims"),
        ({"ringback": {"claims": {"note": "\x00"}}}, 400, "ringback.claims"),
        ({"ringback": {"role": "admin"}}, 400, "ringback.role"),
        ({"ringback": {"agent": "nobody"}}, 404, "ringback.agent"),
        ({"ringback": {"agent": "theirs"}}, 404, "ringback.agent"),
        ({"ringback": {"scopes": ["admin"]}}, 403, "ringback.scopes"),
        ({"ringback": {"scopes": ["trusted"]}}, 403, "ringback.scopes"),
        ({"ringback": {"scopes": ["history"]}}, 403, "ringback.scopes"),
        ({"ringback": {"scopes": ["orders:write"]}}, 403, "ringback.scopes"),
    ],
)
async def test_what_cannot_be_had_is_refused_in_a_sentence(
    api: Api, body: dict[str, Any], status: int, param: str
) -> None:
    answer = await api.mint(**body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param), answer.text
    assert error["message"]
    assert "should" not in error["message"], "pydantic's own words, which do not say what they are about"
    assert "ek_" not in answer.text


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"ringback": {"claims": {"n": NaN}}}', b'{"ringback": {"user": "\\ud800"}}', b"[" * 60_000],
)
async def test_what_is_no_request_is_refused(api: Api, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {STATIC}", "Content-Type": "application/json"}
    answer = await api.client.post("/realtime/client_secrets", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["message"]


async def test_a_backend_gives_of_its_own_scopes_and_no_others(api: Api) -> None:
    key = await api.key("secrets", "orders:write")
    made = (await api.mint(key, ringback={"scopes": ["orders:write"]})).json()
    who = await api.authenticator.identify(f"Bearer {made['value']}")
    assert who.scopes == {"realtime", "orders:write"}


async def test_a_tenant_may_have_so_many_secrets_and_no_more(api: Api) -> None:
    answers = [(await api.mint()).status_code for _ in range(LIMIT + 1)]
    assert answers == [200] * LIMIT + [429]
    assert (await api.mint()).headers["retry-after"] == "60"
    assert (await api.mint(await api.key("secrets", tenant="other"))).status_code == 200


NOBODY = UUID(int=7)
"""An id that nothing has."""

ROUTES = [
    ("POST", "/realtime/client_secrets", "secrets"),
    ("GET", "/jobs", "history"),
    ("GET", "/sessions", "history"),
    ("GET", f"/sessions/{NOBODY}", "history"),
    ("GET", "/tools", "history"),
    ("POST", f"/jobs/{NOBODY}/cancel", "control"),
    ("POST", f"/sessions/{NOBODY}/end", "control"),
    ("GET", "/keys", "admin"),
    ("POST", f"/keys/{NOBODY}/revoke", "admin"),
    ("POST", "/users/ada/sign-out", "admin"),
]


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
async def test_each_route_asks_for_its_scope_and_names_it(api: Api, method: str, path: str, scope: str) -> None:
    others = {"realtime", "secrets", "trusted", "history", "transcripts", "control", "admin", "orders:write"} - {scope}
    answer = await api.ask(method, path, await api.key(*others), json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")
    assert repr(scope) in answer.json()["error"]["message"]
    assert (await api.ask(method, path, await api.key(scope), json={})).status_code in (200, 404)
    nobody = await api.ask(method, path, new(Kind.KEY), json={})
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
async def test_a_client_secret_is_for_talking_and_for_nothing_else(
    api: Api, method: str, path: str, scope: str
) -> None:
    secret = (await api.mint()).json()["value"]
    answer = await api.ask(method, path, secret, json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")


async def begin(api: Api, credential: str, user: str = "ada", tenant: str = "default") -> UUID:
    session = uuid4()
    opened = lifecycle.open_session(
        session, user_id=user, agent="demo", model="m", gateway_id="gw", tenant=tenant, credential=credential
    )
    await api.store.count(opened)
    return session


async def wanted(api: Api) -> dict[UUID, str | None]:
    return {row.id: row.end_wanted for row in await api.store.rows(lifecycle.held_sessions("gw"))}


async def acts(api: Api) -> list[tuple[object, ...]]:
    """What the audit log holds, the oldest first."""
    shown = (audit.c[name] for name in ("act", "subject", "credential", "target", "rows", "reason"))
    return [tuple(row) for row in await api.store.rows(select(*shown).order_by(audit.c.id))]


async def test_a_key_is_revoked_and_recorded_once(api: Api) -> None:
    admin, key = await api.key("admin", user="boss"), await api.key("realtime")
    key_id = (await api.authenticator.identify(f"Bearer {key}")).credential.removeprefix("key:")
    boss = (await api.authenticator.identify(f"Bearer {admin}")).credential
    first, again = [await api.ask("POST", f"/keys/{key_id}/revoke", admin, json={"reason": "leaked"}) for _ in range(2)]
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["revoked_at"] == again.json()["revoked_at"]
    foreign = await api.ask("POST", f"/keys/{key_id}/revoke", await api.key("admin", tenant="other"))
    assert foreign.status_code == 404
    assert await acts(api) == [("key.revoke", "boss", boss, key_id, 1, "leaked")]


async def test_a_revoked_key_ends_its_sessions_and_those_of_its_secrets(api: Api) -> None:
    key = await api.key("secrets", "admin", "realtime")
    who = await api.authenticator.identify(f"Bearer {key}")
    secret = (await api.mint(key)).json()["value"]
    by_secret = (await api.authenticator.identify(f"Bearer {secret}")).credential
    mine = [await begin(api, who.credential), await begin(api, by_secret)]
    other = await begin(api, "token:demo")
    answer = await api.ask("POST", f"/keys/{who.credential.removeprefix('key:')}/revoke", key)
    assert (answer.status_code, answer.json()["sessions"]) == (200, 2)
    assert "hash" not in answer.text
    assert await wanted(api) == {mine[0]: "revoked", mine[1]: "revoked", other: None}
    assert await acts(api) == [("key.revoke", "shop", who.credential, who.credential.removeprefix("key:"), 1, None)]
    assert (await api.mint(key)).status_code == 401


async def test_a_key_that_was_made_for_a_caller_on_the_phone_opens_nothing(api: Api) -> None:
    key = await api.key("realtime", "secrets", "history", user="phone:+4930222")
    with pytest.raises(AuthenticationError, match=r"may not begin with 'phone:'.* Revoke it"):
        await api.authenticator.identify(f"Bearer {key}")
    refused = await api.mint(key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "callers on the phone" in refused.json()["error"]["message"]


async def test_keys_are_listed_without_what_they_are_and_to_their_own_tenant(api: Api) -> None:
    mine, foreign = await api.key("admin"), await api.key("admin", tenant="other", user="theirs")
    listed = await api.ask("GET", "/keys", mine)
    assert [(key["user"], key["scopes"], key["revoked_at"]) for key in listed.json()["data"]] == [
        ("shop", ["admin"], None)
    ]
    assert [key["user"] for key in (await api.ask("GET", "/keys", foreign)).json()["data"]] == ["theirs"]
    assert mine not in listed.text


async def test_a_sign_out_is_about_one_user_of_ones_own_tenant(api: Api) -> None:
    mine, bobs = await begin(api, "jwt:1"), await begin(api, "jwt:2", user="bob")
    foreign = await begin(api, "jwt:3", tenant="other")
    key = await api.key("admin", user="ada")
    answer = await api.ask("POST", "/users/ada/sign-out", key)
    assert (answer.status_code, answer.json()["sessions"], answer.json()["keys"]) == (200, 1, 1)
    assert await wanted(api) == {mine: "revoked", bobs: None, foreign: None}
    who = await api.authenticator.identify(f"Bearer {key}")
    assert await acts(api) == [("user.sign_out", "ada", who.credential, "ada", 1, None)]


@pytest.mark.parametrize("user", ["%00", "a%09b", "x" * 201])
async def test_a_name_that_nobody_can_have_is_refused(api: Api, user: str) -> None:
    answer = await api.ask("POST", f"/users/{user}/sign-out", await api.key("admin"))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "user")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/sessions"), ("POST", f"/sessions/{NOBODY}/end"), ("POST", "/realtime/client_secrets")],
)
async def test_where_postgres_is_away_everybody_is_asked_to_come_again(method: str, path: str) -> None:
    store = Store(open_pool("postgresql+psycopg://nobody:secret-word@127.0.0.1:1/none", 1))
    api = Api(store)
    async with api.client:
        answer = await api.ask(method, path, json={})
    await store.close()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert (answer.headers["retry-after"], "secret-word" in answer.text) == ("5", False)


async def test_one_session_is_ended_by_whoever_may_and_what_is_anothers_is_not_there(api: Api) -> None:
    session, foreign = await begin(api, "jwt:1"), await begin(api, "jwt:1", tenant="other")
    answer = await api.ask("POST", f"/sessions/{session}/end")
    assert (answer.status_code, answer.json()["sessions"]) == (200, 1)
    assert await wanted(api) == {session: "ended_by_operator", foreign: None}
    unknown = uuid4()
    answers = [await api.ask("POST", f"/sessions/{each}/end") for each in (foreign, unknown)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].text.replace(str(foreign), "") == answers[1].text.replace(str(unknown), "")
    await api.store.count(lifecycle.end_session(session, "gw", 1, "ended_by_operator"))
    again = await api.ask("POST", f"/sessions/{session}/end")
    assert (again.status_code, again.json()["sessions"]) == (200, 0), "its first answer may have been lost"
    over = await begin(api, "jwt:1")
    await api.store.count(lifecycle.end_session(over, "gw", 1, "client_closed_1000"))
    assert (await api.ask("POST", f"/sessions/{over}/end")).status_code == 409


async def test_the_document_tells_of_tokens_and_of_what_they_are_refused_with(api: Api) -> None:
    document = api.app.openapi()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            assert told["security"] == [{"token": []}], (method, path)
            assert {"401", "403", "503"} <= set(told["responses"]), (method, path)
    assert "429" in document["paths"]["/v1/realtime/client_secrets"]["post"]["responses"]
    assert "409" in document["paths"]["/v1/sessions/{id}/end"]["post"]["responses"]
