"""A user who is erased is in no table any more, whatever they said, had called, came in with or used."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, insert, select, text
from typer.testing import CliRunner

from cli import users
from gateway.background.retention import ErasedCounts, Retention
from gateway.storage.database import Store, open_pool
from ringback.config.settings import postgres_url
from ringback.jobs.outcomes import cancelled, succeeded
from ringback.statements import erasure
from ringback.statements.jobs import transitions
from ringback.statements.operators.audit import Operator
from ringback.statements.sessions import lifecycle
from ringback.tables import api_keys, audit, client_secrets, items, metadata, responses, signed_out, usage_days
from ringback.tables import sessions as sessions_table
from tests.integration.statements.statement_rows import Rows, connected, world

USER = "grace@example.com"
TRACES = (
    USER,
    "the words she said",
    "the argument she gave",
    "the answer she got",
    "her note",
    "her claim",
    "her failure",
)


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def live(rows: Rows, user: str, tenant: str = "default", mark: str = "she") -> UUID:
    """A session of the user's in which something was said, called and used; and all that lets them in."""
    session = uuid4()
    claims = {"claim": "her claim" if mark == "she" else "another"}
    rows.count(
        lifecycle.open_session(
            session, user_id=user, agent="demo", model="m", gateway_id="gw", tenant=tenant, claims=claims,
            credential=f"token:{user}", resume_hash=uuid4().bytes, resume_seconds=60,
        )
    )  # fmt: skip
    said = [{"type": "input_text", "text": "the words she said" if mark == "she" else "other words"}]
    place = {"position": 1, "item_id": "i", "role": "user", "epoch": 1}
    rows.count(insert(items).values(session_id=session, tenant=tenant, content=said, **place))
    use(rows, session, user, tenant)
    before, rows.session = rows.session, session
    job = rows.answered(succeeded("the answer she got" if mark == "she" else "another"))
    rows.set(job, arguments={"x": "the argument she gave" if mark == "she" else "other"}, progress="her note")
    rows.set(job, failure={"trace": "her failure" if mark == "she" else "another"})
    rows.session = before
    return session


def use(rows: Rows, session: UUID, user: str, tenant: str = "default") -> None:
    used = {"response_id": uuid4().hex, "agent": "demo", "model": "m", "epoch": 1, "status": "completed", "tokens": {}}
    counted = {"input_tokens": 10, "output_tokens": 5, "micros": 7}
    rows.count(insert(responses).values(session_id=session, tenant=tenant, user_id=user, **used, **counted))


def let_in(rows: Rows, user: str, tenant: str = "default") -> None:
    key = uuid4()
    whose = {"tenant": tenant, "user_id": user}
    rows.count(insert(api_keys).values(id=key, hash=uuid4().bytes, scopes=[], **whose))
    secret = {"uses_left": 1, "expires_at": text("clock_timestamp()"), "tenant": tenant}
    for made_for, by, with_key in (
        (user, "key:other", None),
        ("bob", f"key:{key}", key),
        ("bob", f"token:{user}", None),
    ):
        made = {"id": uuid4(), "hash": uuid4().bytes, "user_id": made_for, "minted_by": by, "key_id": with_key}
        rows.count(insert(client_secrets).values(**made, **secret))
    rows.count(insert(signed_out).values(before=text("clock_timestamp()"), **whose))


def dump(connection: Connection) -> str:
    """Everything that every table holds."""
    found = [connection.execute(select(table)).all() for table in metadata.sorted_tables]
    connection.rollback()
    return "\n".join(str(row) for rows in found for row in rows)


def traces(connection: Connection) -> list[str]:
    told = dump(connection)
    return [trace for trace in TRACES if trace in told]


class Overtaken(Retention):
    """A gateway that is asked to erase a user, and before which another one finds their sessions marked."""

    async def _take(self, *whose: Any) -> Any:
        await Retention(self._store, None)._erase_marked()
        return await super()._take(*whose)


def erase(
    database: str,
    tenant: str = "default",
    user: str = USER,
    gateway_ends: UUID | None = None,
    how: type[Retention] = Retention,
) -> ErasedCounts:
    """As the gateway does it; meanwhile the gateway that holds that session ends it, as it is wanted."""

    async def run() -> ErasedCounts:
        pool = open_pool(postgres_url(database), 2)
        store = Store(pool)
        try:
            erasing = asyncio.create_task(how(store, None).erase(Operator(tenant, "admin", "token:admin"), user))
            while gateway_ends and not erasing.done():
                held = await store.rows(lifecycle.held_sessions("gw"))
                if any(row.id == gateway_ends and row.end_wanted == "erased" for row in held):
                    await store.rows(insert_late_use(gateway_ends, user, tenant))
                    await store.count(lifecycle.end_session(gateway_ends, "gw", 1, "erased"))
                await asyncio.sleep(0.01)
            return await erasing
        finally:
            await pool.close()

    return asyncio.run(run())


def insert_late_use(session: UUID, user: str, tenant: str) -> Any:
    """A response that ends as the session does."""
    used = {"response_id": "late", "agent": "demo", "model": "m", "epoch": 1, "status": "cancelled", "tokens": {}}
    late = insert(responses).values(session_id=session, tenant=tenant, user_id=user, **used, input_tokens=1,
                                    output_tokens=0)  # fmt: skip
    return late.returning(responses.c.session_id)


def test_nothing_of_a_user_is_left_in_any_table(rows: Rows, database: str) -> None:
    ended, detached, open_ = (live(rows, USER) for _ in range(3))
    let_in(rows, USER)
    rows.count(lifecycle.end_session(ended, "gw", 1, "client_left"))
    rows.count(lifecycle.detach(detached, "gw", 1))
    assert traces(rows.connection) == list(TRACES)
    went = erase(database, gateway_ends=open_)
    assert (went.sessions, went.keys, went.secrets, went.sign_outs, went.left) == (3, 1, 3, 1, 0)
    assert traces(rows.connection) == []
    (usage,) = rows.run(select(usage_days))
    assert (usage.user_id, usage.responses, usage.input_tokens, usage.micros) == ("", 4, 31, 21)
    (act,) = rows.run(select(audit))
    assert (act.act, act.subject, act.credential, act.target) == ("user.erase", "admin", "token:admin", "")
    assert act.rows == 3 + 1 + 3 + 1 + 1, "sessions, keys, secrets, sign-outs, and what was used on a day"


def test_what_another_gateway_deletes_meanwhile_is_counted_as_well(rows: Rows, database: str) -> None:
    ended = live(rows, USER)
    let_in(rows, USER)
    rows.count(lifecycle.end_session(ended, "gw", 1, "client_left"))
    went = erase(database, how=Overtaken)
    assert (went.sessions, went.keys, went.secrets, went.sign_outs, went.left) == (1, 1, 3, 1, 0)
    assert traces(rows.connection) == []


def test_nobody_else_loses_anything(rows: Rows, database: str) -> None:
    live(rows, USER, tenant="other", mark="he")
    live(rows, "bob", mark="he")
    let_in(rows, "bob")
    let_in(rows, USER, tenant="other")
    before = dump(rows.connection)
    session = live(rows, USER)
    rows.count(lifecycle.end_session(session, "gw", 1, "client_left"))
    erase(database)
    after = dump(rows.connection)
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []


def test_what_two_users_have_used_is_summed_up_under_no_name(rows: Rows, database: str) -> None:
    for user in (USER, "bob"):
        rows.count(lifecycle.end_session(live(rows, user), "gw", 1, "client_left"))
        erase(database, user=user)
    (usage,) = rows.run(select(usage_days))
    assert (usage.user_id, usage.responses, usage.input_tokens, usage.output_tokens) == ("", 2, 20, 10)


def test_a_session_whose_gateway_is_slow_goes_when_it_has_ended(
    rows: Rows, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.background.retention.ERASE_SECONDS", 0.0)
    session = live(rows, USER)
    assert erase(database).left == 1
    use(rows, session, USER)
    rows.count(lifecycle.end_session(session, "gw", 1, "erased"))
    assert traces(rows.connection)

    async def look() -> None:
        pool = open_pool(postgres_url(database), 1)
        retention = asyncio.create_task(Retention(Store(pool), None).erase_marked())
        while (await Store(pool).rows(erasure.count_left("default", USER)))[0].number:  # noqa: ASYNC110 - rows ring no bell
            await asyncio.sleep(0.01)
        retention.cancel()
        await asyncio.wait([retention])
        await pool.close()

    asyncio.run(look())
    assert traces(rows.connection) == []


@pytest.mark.parametrize("waits", [True, False], ids=["detached", "still held"])
def test_a_session_that_is_erased_can_not_be_come_back_to(rows: Rows, waits: bool) -> None:
    session = live(rows, USER)
    (row,) = rows.run(select(sessions_table.c.resume_hash).where(sessions_table.c.id == session))
    if waits:
        rows.count(lifecycle.detach(session, "gw", 1))
    rows.run(erasure.mark("default", USER))
    assert rows.run(lifecycle.resume(row.resume_hash, b"new", user_id=USER, gateway_id="gw2")) == []


def test_a_session_goes_when_what_runs_in_it_has_ended(
    rows: Rows, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.background.retention.ERASE_SECONDS", 0.0)
    session, before = live(rows, USER), rows.session
    rows.session = session
    running, token = rows.running()
    pending = rows.asked()
    rows.session = before
    rows.count(lifecycle.end_session(session, "gw", 1, "client_left"))
    assert erase(database).left == 1
    assert (rows.job(pending).state, rows.job(running).cancel_requested) == ("cancelled", True)
    rows.count(transitions.finish(running, token, cancelled()))
    assert erase(database).sessions == 1
    assert traces(rows.connection) == []


def test_somebody_of_whom_nothing_is_known_is_nobody(database: str, rows: Rows) -> None:
    assert erase(database, user="nobody").is_nobody
    assert erase(database, tenant="elsewhere", user="ada").is_nobody
    assert rows.run(select(audit)) == []


def test_who_erases_themselves_is_not_in_the_log(rows: Rows, database: str) -> None:
    let_in(rows, "admin")
    assert erase(database, user="admin").keys == 1
    (act,) = rows.run(select(audit))
    assert (act.act, act.subject, act.credential, act.target) == ("user.erase", "", "", "")


def test_a_thousand_sessions_go_in_steps(rows: Rows, database: str) -> None:
    many = """INSERT INTO sessions (id, user_id, agent, state, ended_at)
              SELECT gen_random_uuid(), :user, 'demo', 'ended', now() FROM generate_series(1, 1200)"""
    rows.connection.execute(text(many), {"user": USER})
    rows.connection.commit()
    assert erase(database).sessions == 1_200
    assert traces(rows.connection) == []


def test_the_command_line_erases_as_the_gateway_does(rows: Rows, database: str) -> None:
    session = live(rows, USER)
    let_in(rows, USER)
    rows.count(lifecycle.end_session(session, "gw", 1, "client_left"))
    command = ["erase", USER, "--yes", "--reason", "request 7"]
    other = CliRunner().invoke(users.app, ["erase", "bob", "--yes", "--json"], env={"DATABASE_URL": database})
    told = {"object": "user.erased", "user": "bob", "sessions": 0, "secrets": 2, "keys": 0, "is_complete": True}
    assert json.loads(other.stdout) == told
    done = CliRunner().invoke(users.app, command, env={"DATABASE_URL": database})
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{USER} is erased: 1 session, and all that was in them.\n"
    with connected(database) as connection:
        assert traces(connection) == []
        acts = connection.execute(select(audit.c.act, audit.c.target, audit.c.reason).order_by(audit.c.id)).all()
    assert [tuple(act) for act in acts] == [("user.erase", "", None), ("user.erase", "", "request 7")]
    nobody = CliRunner().invoke(users.app, command, env={"DATABASE_URL": database})
    assert nobody.exit_code == 2
    assert nobody.stderr == f"ringback: The tenant 'default' has no user '{USER}'.\n"
