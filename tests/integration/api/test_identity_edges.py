"""Who has an odd name, says odd things, or begins a session at the very moment in which they are erased."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from gateway.api import client_secrets, revocation, users
from gateway.api.dependencies import authenticated
from gateway.auth.authenticator import Authenticator, Principal, principal
from gateway.auth.tokens import Kind, digest, new
from gateway.background.retention import Retention
from gateway.storage.database import Store, open_pool
from ringback.agents.agent import Agent
from ringback.statements import erasure
from ringback.statements.identity import credentials
from ringback.statements.operators.audit import Operator
from ringback.statements.sessions import lifecycle
from ringback.tables import sessions as sessions_table
from tests.integration.toolbox.gate import Gate
from tests.integration.toolbox.small_gateway import app_on, small_gateway

pytestmark = pytest.mark.anyio

TALK = Agent(name="demo", instructions="You answer the phone.")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def gate(database: str) -> AsyncIterator[Gate]:
    store = Store(open_pool(database, 4))
    yield Gate(store, Authenticator({}, store.rows))
    await store.close()


@pytest.fixture
async def client(gate: Gate) -> AsyncIterator[httpx.AsyncClient]:
    gateway = small_gateway(gate.store, {"demo": TALK}, authenticator=gate.authenticator)
    app = app_on(gateway, client_secrets.router, revocation.router, users.router)
    _, key = await gate.key(("admin", "secrets"))
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway", headers=headers) as one:
        yield one


@pytest.mark.parametrize("user", ["https://idp.example/users/7", "a/sign-out", "a b", "a?b#c", "a%2Fb", "ü"])
async def test_a_user_of_any_name_can_be_signed_out_and_erased(
    gate: Gate, client: httpx.AsyncClient, user: str
) -> None:
    await gate.begin(Principal(user, "acme", credential="jwt:1"))
    named = quote(user, safe="")
    signed_out = await client.post(f"/v1/users/{named}/sign-out")
    assert (signed_out.status_code, signed_out.json()["user"], signed_out.json()["sessions"]) == (200, user, 1)
    await gate.store.count(lifecycle.end_session((await theirs(gate, user))[0], "gw", 1, "revoked"))
    erased = await client.delete(f"/v1/users/{named}")
    assert (erased.status_code, erased.json()["user"], erased.json()["sessions"]) == (200, user, 1)


async def test_half_a_character_in_a_name_is_refused_before_a_secret_is_made(client: httpx.AsyncClient) -> None:
    body = b'{"session": {"\\ud800": 1}}'
    answer = await client.post(
        "/v1/realtime/client_secrets", content=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "session")


async def theirs(gate: Gate, user: str) -> list[UUID]:
    found = await gate.store.rows(select(sessions_table.c.id).where(sessions_table.c.user_id == user))
    return [row.id for row in found]


async def test_who_comes_back_while_they_are_erased_is_erased_as_well(gate: Gate) -> None:
    who = Principal("ada", "acme", credential="jwt:1")
    first, _ = await gate.begin(who)
    erasing = asyncio.create_task(Retention(gate.store, None).erase(Operator("acme", "boss", "token:boss"), "ada"))
    second: UUID | None = None
    while not erasing.done():
        wanted = {row.id for row in await gate.store.rows(lifecycle.held_sessions("gw")) if row.end_wanted == "erased"}
        if first in wanted and second is None:
            second, _ = await gate.begin(who)  # another tab of theirs, before the first has heard of it
            await gate.store.count(lifecycle.end_session(first, "gw", 1, "erased"))
        elif second is not None and second in wanted:
            await gate.store.count(lifecycle.end_session(second, "gw", 1, "erased"))
        await asyncio.sleep(0)
    assert (await erasing).left == 0
    assert await theirs(gate, "ada") == []


@pytest.mark.parametrize("with_secret", [True, False])
async def test_a_session_that_begins_as_its_user_is_erased_is_not_kept(gate: Gate, with_secret: bool) -> None:
    _, key = await gate.key(user="ada")
    who = await gate.whose(str(await gate.secret()) if with_secret else key)
    assert (await Retention(gate.store, None).erase(Operator("acme", "boss", "token:boss"), "ada")).left == 0
    session, _ = await gate.begin(who)  # it was on its way
    assert not await gate.authenticator.is_still_good(who)
    await gate.authenticator.forget(session)
    await gate.store.count(lifecycle.end_session(session, "gw", 1, "revoked"))
    assert [row.user_id for row in await gate.store.rows(erasure.next_user())] == ["ada"]


@pytest.mark.parametrize("with_secret", [True, False])
async def test_a_session_that_begins_as_its_token_is_revoked_is_kept(gate: Gate, with_secret: bool) -> None:
    key_id, key = await gate.key(user="ada")
    who = await gate.whose(str(await gate.secret(key_id=key_id)) if with_secret else key)
    session, _ = await gate.begin(who)
    await gate.authenticator.forget(session)
    (row,) = await gate.store.rows(select(sessions_table.c.end_wanted).where(sessions_table.c.id == session))
    assert row.end_wanted is None


async def test_who_is_signed_out_has_made_no_secret_that_is_good(gate: Gate, client: httpx.AsyncClient) -> None:
    made = await minted(gate, "eve", for_user="mallory")
    who = await gate.whose(made)
    session, _ = await gate.begin(who)
    assert (await client.post("/v1/users/eve/sign-out")).json()["sessions"] == 1
    assert await gate.is_refused(made)
    assert not await gate.authenticator.is_still_good(who)
    (row,) = await gate.store.rows(select(sessions_table.c.end_wanted).where(sessions_table.c.id == session))
    assert row.end_wanted == "revoked"
    assert not await gate.is_refused(await minted(gate, "eve", for_user="mallory")), "signed in again"


async def test_who_is_erased_has_made_no_secret_either(gate: Gate) -> None:
    made = await minted(gate, "eve", for_user="mallory")
    assert (await Retention(gate.store, None).erase(Operator("acme", "boss", "token:boss"), "eve")).secrets == 1
    assert await gate.is_refused(made)


async def test_who_is_signed_out_while_they_make_a_secret_is_not_told_it(gate: Gate) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    eve = principal("eve", "acme", {"secrets"}, {}, credential="jwt:1", issued_at=before)
    gateway = small_gateway(gate.store, {"demo": TALK}, authenticator=gate.authenticator)
    app = app_on(gateway, client_secrets.router)
    app.dependency_overrides[authenticated] = lambda: eve  # as the request began she was somebody
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        assert (await client.post("/v1/realtime/client_secrets", json={})).status_code == 200
        await gate.store.rows(credentials.sign_out("acme", "eve"))
        assert (await client.post("/v1/realtime/client_secrets", json={})).status_code == 401


async def minted(gate: Gate, by: str, for_user: str) -> str:
    """A secret that somebody has made whom an identity provider vouches for."""
    secret = new(Kind.SECRET)
    statement = credentials.mint_secret(
        uuid4(), digest(secret), tenant="acme", user=for_user, minted_by=credentials.person(by), key_id=None,
        agent="demo", claims={}, uses=9, seconds_valid=600, limit=10,
    )  # fmt: skip
    assert await gate.store.rows(statement)
    return secret
