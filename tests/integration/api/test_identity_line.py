"""Strangers on a running line: two gateways, client secrets by the official SDK, an identity provider, revocation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import openai
import pytest
import typer
from typer.testing import CliRunner
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from cli import sessions, tokens, users
from cli.local_stack.embedded_servers import embedded_servers
from ringback.postgres.migrate import upgrade
from tests.caller import PATIENCE, Caller
from tests.line import GATEWAYS, TOKEN, Line, eventually, running_line
from tests.local_http import NO_TLS
from tests.unit.gateway.auth.signing import AUDIENCE, ISSUER, claims, key_set, signed

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(180)]

FIRST, SECOND = GATEWAYS
PAGE = "https://app.example.com"
REVOKED = 4401

program = typer.Typer()
for group in (tokens.app, users.app, sessions.app):
    program.add_typer(group)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp("strangers")
    keys = folder / "keys.json"
    keys.write_text(key_set())
    settings = {
        "RINGBACK_ORIGINS": PAGE,
        "RINGBACK_MAX_CLIENT_SECRETS": "1000",
        "RINGBACK_JWT_JWKS": str(keys),
        "RINGBACK_JWT_ISSUER": ISSUER,
        "RINGBACK_JWT_AUDIENCE": AUDIENCE,
        "RINGBACK_ORDER_DELAY": "30",
    }
    with embedded_servers(durable=False) as servers:
        upgrade(servers.database_url)
        database, redis = servers.database_url, servers.redis_url
        with running_line(database, redis, folder, gateways=2, settings=settings) as line:
            yield line


async def cli(line: Line, *words: str) -> str:
    """What a command prints."""
    run = CliRunner().invoke
    result = await asyncio.to_thread(run, program, list(words), env={"DATABASE_URL": line.database, "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


async def post(line: Line, path: str, token: str, on: str = FIRST, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(verify=NO_TLS, timeout=PATIENCE) as client:
        return await client.post(f"{line.url_of(on)}{path}", headers={"Authorization": f"Bearer {token}", **headers})


async def minted(line: Line, token: str = TOKEN, **wishes: Any) -> str:
    """A secret, as a backend asks for one."""
    async with openai.AsyncOpenAI(api_key=token, base_url=f"{line.url}/v1") as client:
        made = await client.realtime.client_secrets.create(
            session={"type": "realtime", "model": "gpt-realtime"}, extra_body={"ringback": wishes}
        )
        return made.value


async def status(line: Line, token: str, on: str = FIRST, **more: Any) -> int:
    """With which a token is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with line.call(token, on=on, **more):
            pass
    return refused.value.response.status_code


async def hung_up(caller: Caller) -> int:
    """The close code, once the gateway has hung up."""
    with pytest.raises(ConnectionClosed) as closed:
        await caller.hear_kind("there is no such event")
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def test_a_secret_begins_one_conversation_of_its_user_and_comes_back_to_that_one(line: Line) -> None:
    secret, name = await minted(line, user="ada-of-the-shop"), "ada-of-the-shop"
    async with line.call(secret, ringback="resume") as caller:
        await caller.hear_kind("session.created")
        session, resume = caller.session_id, caller.token
        assert line.get(f"/v1/sessions/{session}")["user_id"] == name
        assert await status(line, secret) == 401
        assert await status(line, secret, on=SECOND) == 401
        caller.vanish()
    assert await status(line, secret, resume="rb_resume_somebody-else") == 401
    other = await minted(line, user="eve")
    assert await status(line, other, resume=resume) == 404, "what is another user's is not there"
    async with line.call(other) as caller:
        await caller.hear_kind("session.created")  # and what led to nothing cost nothing
    async with line.call(secret, on=SECOND, resume=resume, ringback="resume") as caller:
        await caller.hear_kind("session.created")
        assert caller.session_id == session


async def test_of_two_browsers_with_one_secret_one_talks_on_whichever_gateway(line: Line) -> None:
    secret = await minted(line)

    async def outcome(on: str) -> int:
        try:
            async with line.call(secret, on=on) as caller:
                await caller.hear_kind("session.created")
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    assert sorted(await asyncio.gather(*(outcome(on) for on in GATEWAYS * 2))) == [101, 401, 401, 401]


async def test_a_secret_is_carried_by_a_browser_as_the_sdk_does_from_a_page_that_is_named(line: Line) -> None:
    secret = await minted(line, uses=2)
    offered: Any = ["realtime", f"openai-insecure-api-key.{secret}"]
    for page in ("https://evil.com", f"{PAGE}.evil.com", "null", PAGE.upper(), "http://127.0.0.1:3000"):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(line.address(), subprotocols=offered, origin=Origin(page)):
                pass
        assert refused.value.response.status_code == 403
    async with connect(line.address(), subprotocols=offered, origin=Origin(PAGE)) as socket:
        assert socket.subprotocol == "realtime"


async def test_a_revoked_key_hangs_up_on_every_gateway_and_cancels_what_was_asked_for(line: Line) -> None:
    key = await cli(line, "token", "create", "--user", "shop", "--scopes", "realtime,secrets")
    secret = await minted(line, key, user="ada")
    async with line.call(key) as backend, line.call(secret, on=SECOND) as stranger, line.call() as other:
        for caller in (backend, stranger, other):
            await caller.hear_kind("session.created")
        await stranger.ask("Where is my order A-1042?")
        session = stranger.session_id
        await asyncio.to_thread(eventually, lambda: line.jobs(session), "a call of the session")
        listed = await cli(line, "token", "list")
        key_id = re.search(r"^([0-9a-f]{8}) ", listed, re.MULTILINE)
        assert key_id is not None
        said = await cli(line, "token", "revoke", key_id[1])
        assert "2 sessions end, 1 call is cancelled" in said
        assert [await hung_up(caller) for caller in (backend, stranger)] == [REVOKED, REVOKED]
        assert await status(line, key) == 401
        await other.ask("Hello")
        await other.hear_kind("response.done")


async def test_who_is_signed_out_is_hung_up_on_and_their_old_token_is_void(line: Line) -> None:
    user = f"user-{uuid4().hex[:8]}"
    old = signed(claims(sub=user, iat=int(claims()["iat"]) - 60))
    admin = await cli(line, "token", "create", "--user", "ops", "--scopes", "admin")
    async with line.call(old, on=SECOND, ringback="resume") as caller:
        await caller.hear_kind("session.created")
        answer = await post(line, f"/v1/users/{user}/sign-out", admin)
        assert (answer.status_code, answer.json()["sessions"]) == (200, 1)
        assert await hung_up(caller) == REVOKED
    assert await status(line, old) == 401
    assert await status(line, old, resume=caller.token) == 401
    new = signed(claims(sub=user, iat=int(claims()["iat"]) + 5))
    async with line.call(new) as caller:
        await caller.hear_kind("session.created")
        assert await status(line, new, resume="rb_resume_x") == 404


async def test_one_session_is_ended_by_whoever_may(line: Line) -> None:
    async with line.call(on=SECOND) as caller:
        await caller.hear_kind("session.created")
        assert (await post(line, f"/v1/sessions/{caller.session_id}/end", TOKEN)).status_code == 200
        assert await hung_up(caller) == REVOKED
    assert line.get(f"/v1/sessions/{caller.session_id}")["end_reason"] == "ended_by_operator"


async def test_no_page_elsewhere_makes_a_browser_do_anything(line: Line) -> None:
    for path in ("/v1/realtime/client_secrets", f"/v1/sessions/{uuid4()}/end", f"/v1/jobs/{uuid4()}/cancel"):
        answer = await post(line, path, TOKEN, Origin="https://evil.com")
        assert answer.status_code == 403
        assert [name for name in answer.headers if name.startswith("access-control")] == []
    answer = await post(line, f"/v1/sessions/{uuid4()}/end?access_token={TOKEN}", TOKEN)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "token_in_url")
    async with httpx.AsyncClient(verify=NO_TLS) as client:
        assert (await client.get(f"{line.url}/openapi.json")).status_code == 401
        told = await client.get(f"{line.url}/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"})
        assert "/v1/realtime/client_secrets" in told.json()["paths"]


async def test_no_token_stands_in_any_log(line: Line) -> None:
    secret, jwt = await minted(line), signed(claims())
    key = await cli(line, "token", "create", "--user", "shop")
    for token in (secret, key, jwt):
        async with line.call(token) as caller:
            await caller.hear_kind("session.created")
    wrong = [key[:-1] + "x", secret, jwt[:-4] + "abcd"]
    for token in wrong:
        await status(line, token)
        async with httpx.AsyncClient(verify=NO_TLS) as client:
            await client.get(f"{line.url}/v1/jobs?x={token}")
    logs = "\n".join(path.read_text() for path in line.logs.glob("*.log"))
    assert [token for token in (secret, key, jwt, *wrong) if token.rpartition(".")[2] in logs] == []
