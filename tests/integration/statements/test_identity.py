"""Keys, client secrets and sign-outs, as Postgres knows them at this moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text, update

from gateway.api.revocation import sign_user_out
from gateway.auth.authenticator import Authenticator, Principal
from gateway.auth.resume_tokens import new_token
from gateway.auth.tokens import Kind, digest, new
from gateway.errors import AuthenticationError, Unavailable
from gateway.storage.database import Store, open_pool
from ringback.statements import session_end
from ringback.statements.identity import credentials
from ringback.statements.operators.audit import Operator
from ringback.statements.sessions import lifecycle
from ringback.tables import api_keys, client_secrets
from ringback.tables import sessions as sessions_table
from tests.integration.toolbox.gate import Gate

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def gate(database: str) -> AsyncIterator[Gate]:
    store = Store(open_pool(database, 4))
    yield Gate(store, Authenticator({}, store.rows))
    await store.close()


async def test_a_key_is_known_by_its_hash_with_its_scopes(gate: Gate) -> None:
    key_id, key = await gate.key(("realtime", "history", "orders:read"))
    who = await gate.whose(key)
    assert (who.user, who.tenant, who.credential) == ("shop", "acme", f"key:{key_id}")
    assert who.scopes == {"realtime", "history", "orders:read"}
    assert who.claims == {"scopes": ["history", "orders:read", "realtime"]}
    assert await gate.is_refused(new(Kind.KEY))


async def test_a_key_that_has_expired_or_was_revoked_is_unknown(gate: Gate) -> None:
    old_id, old = await gate.key(days=3600.0)
    await gate.store.count(
        update(api_keys)
        .where(api_keys.c.id == old_id)
        .values(expires_at=text("clock_timestamp() - interval '1 second'"))
    )
    assert await gate.is_refused(old)
    key_id, key = await gate.key()
    assert not await gate.is_refused(key)
    assert not await gate.store.rows(credentials.revoke_key(key_id, "other")), "another tenant revokes nothing"
    assert await gate.store.rows(credentials.revoke_key(key_id, "acme"))
    assert await gate.is_refused(key)


async def test_a_secret_names_its_user_and_may_only_talk(gate: Gate) -> None:
    secret = await gate.secret()
    assert secret is not None
    who = await gate.whose(secret)
    assert (who.user, who.tenant, who.agent) == ("ada", "acme", "demo")
    assert who.scopes == {"realtime", "orders:read"}
    assert who.claims == {"plan": "gold", "scopes": ["orders:read", "realtime"]}
    assert not who.is_trusted


async def test_of_fifty_that_spend_one_secret_at_once_one_gets_in(gate: Gate) -> None:
    secret = await gate.secret()
    assert secret is not None
    them = await asyncio.gather(*(gate.whose(secret) for _ in range(50)))

    async def status(who: Principal) -> int:
        try:
            await gate.authenticator.spend(who)
        except AuthenticationError as nobody:
            return nobody.status
        return 101

    assert sorted(await asyncio.gather(*(status(who) for who in them))) == [101] + [401] * 49
    assert await gate.is_refused(secret)


async def test_what_led_to_no_session_is_given_back(gate: Gate) -> None:
    secret = await gate.secret()
    assert secret is not None
    who = await gate.whose(secret)
    await gate.authenticator.spend(who)
    await gate.authenticator.give_back(who)
    await gate.authenticator.spend(await gate.whose(secret))
    assert await gate.is_refused(secret)
    await gate.authenticator.give_back(Principal("ada", credential="token:ada"))


async def test_a_secret_of_three_uses_begins_three_sessions(gate: Gate) -> None:
    secret = await gate.secret(uses=3)
    assert secret is not None
    for _ in range(3):
        await gate.authenticator.spend(await gate.whose(secret))
    assert await gate.is_refused(secret)


async def test_an_expired_secret_is_unknown(gate: Gate) -> None:
    secret = await gate.secret()
    assert secret is not None
    await gate.store.count(update(client_secrets).values(expires_at=text("clock_timestamp()")))
    assert await gate.is_refused(secret)


async def test_a_spent_secret_comes_back_to_its_own_session_and_to_no_other(gate: Gate) -> None:
    first, second = await gate.secret(), await gate.secret()
    assert first is not None
    assert second is not None
    resumes = []
    for secret in (first, second):
        who = await gate.whose(secret)
        await gate.authenticator.spend(who)
        resumes.append((await gate.begin(who))[1])
    back = await gate.whose(first, resumes[0])
    assert back.spends is None
    assert await gate.is_refused(first, resumes[1])
    assert await gate.is_refused(first, new_token())
    assert await gate.is_refused(first)


async def test_a_fresh_secret_of_the_same_user_comes_back_and_is_spent_for_it(gate: Gate) -> None:
    first, fresh = await gate.secret(), await gate.secret()
    assert first is not None
    assert fresh is not None
    who = await gate.whose(first)
    await gate.authenticator.spend(who)
    _, resume = await gate.begin(who)
    assert (await gate.whose(fresh, new_token())).spends is None, "what resumes nothing costs nothing"
    back = await gate.whose(fresh, resume)
    assert back.spends is not None
    await gate.authenticator.spend(back)
    assert await gate.is_refused(fresh)


async def test_a_secret_dies_with_the_key_that_it_was_made_with(gate: Gate) -> None:
    key_id, _ = await gate.key()
    secret = await gate.secret(key_id=key_id)
    assert secret is not None
    who = await gate.whose(secret)
    await gate.store.rows(credentials.revoke_key(key_id, "acme"))
    assert await gate.is_refused(secret)
    with pytest.raises(AuthenticationError):
        await gate.authenticator.spend(who)


async def test_who_is_signed_out_has_no_secret_left_and_may_get_a_new_one(gate: Gate) -> None:
    secret, others, spent = await gate.secret(), await gate.secret(user="bob"), await gate.secret()
    assert secret is not None
    assert others is not None
    assert spent is not None
    who = await gate.whose(spent)
    await gate.authenticator.spend(who)
    _, resume = await gate.begin(who)
    said = await sign_user_out(gate.store, Operator("acme", "boss", "token:boss"), "ada")
    assert (said.secrets, said.sessions, said.keys) == (1, 1, 0)
    assert await gate.is_refused(secret)
    assert await gate.is_refused(spent, resume), "nor does one that is spent lead back"
    assert not await gate.is_refused(others)
    new_one = await gate.secret()
    assert new_one is not None
    assert not await gate.is_refused(new_one)


async def test_no_tenant_has_more_good_secrets_than_it_may(gate: Gate) -> None:
    made = [await gate.secret(limit=3) for _ in range(4)]
    assert [secret is not None for secret in made] == [True, True, True, False]
    assert made[0] is not None
    await gate.authenticator.spend(await gate.whose(made[0]))
    assert await gate.secret(limit=3) is not None, "a spent one takes no room"


@pytest.mark.parametrize("wanted", ["key", "user", "session"])
async def test_a_session_that_is_to_end_is_told_to_or_ends_where_nobody_holds_it(gate: Gate, wanted: str) -> None:
    key_id, key = await gate.key(user="ada")
    secret = await gate.secret(key_id=key_id)
    assert secret is not None
    held, held_resume = await gate.begin(await gate.whose(key))
    waiting, resume = await gate.begin(await gate.whose(secret))
    other, _ = await gate.begin(Principal("eve", "acme", credential="token:eve"))
    await gate.store.count(lifecycle.detach(waiting, "gw", 1))
    which: dict[str, Callable[[], list[object]]] = {
        "key": lambda: [session_end.sessions_of_key(key_id)],
        "user": lambda: [session_end.sessions_of_user("ada", "acme")],
        "session": lambda: [session_end.one_session(held, "acme"), session_end.one_session(waiting, "acme")],
    }
    for condition in which[wanted]():
        await gate.store.rows(session_end.ask_to_end(condition, "revoked"))  # type: ignore[arg-type]
    rows = await gate.store.rows(sessions_table.select())
    told = {row.id: (row.state, row.end_wanted, row.end_reason) for row in rows}
    assert told[held] == ("open", "revoked", None)
    assert told[waiting] == ("ended", "revoked", "revoked")
    assert told[other] == ("open", None, None)
    for token in (resume, held_resume):
        assert not await gate.store.rows(lifecycle.resumable(digest(token), user_id="ada", tenant="acme"))
    assert await gate.store.count(lifecycle.detach(held, "gw", 1)) == 0, "its client has nothing to come back to"
    assert await gate.store.count(lifecycle.detach(other, "gw", 1)) == 1


@pytest.mark.parametrize("credential", ["key", "secret"])
async def test_what_was_voided_while_a_session_began_is_noticed_once_its_row_is_there(
    gate: Gate, credential: str
) -> None:
    key_id, key = await gate.key()
    secret = await gate.secret(key_id=key_id)
    assert secret is not None
    who = await gate.whose(key if credential == "key" else secret)
    assert await gate.authenticator.is_still_good(who)
    await gate.store.rows(credentials.revoke_key(key_id, "acme"))
    assert not await gate.authenticator.is_still_good(who)


async def test_who_was_signed_out_while_their_session_began_is_noticed_too(gate: Gate) -> None:
    before, after = datetime.now(UTC) - timedelta(seconds=5), datetime.now(UTC) + timedelta(seconds=5)
    early = Principal("ada", "acme", credential="jwt:1", issued_at=before)
    assert await gate.authenticator.is_still_good(early)
    await sign_user_out(gate.store, Operator("acme", "boss", "token:boss"), "ada")
    assert not await gate.authenticator.is_still_good(early)
    assert not await gate.authenticator.is_still_good(replace(early, issued_at=None)), "one that does not say when"
    assert await gate.authenticator.is_still_good(replace(early, issued_at=after))
    assert await gate.authenticator.is_still_good(replace(early, user="bob"))
    assert await gate.authenticator.is_still_good(replace(early, tenant="other"))


async def test_where_postgres_is_away_nobody_can_be_told_from_anybody() -> None:
    store = Store(open_pool("postgresql+psycopg://nobody@127.0.0.1:1/none", 1))
    with pytest.raises(Unavailable) as nobody:
        await Authenticator({}, store.rows).identify(f"Bearer {new(Kind.KEY)}")
    assert nobody.value.status == 503
    await store.close()
