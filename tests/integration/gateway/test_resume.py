"""A token that is refused must be one that is no good: a gateway that may not take a session says so instead."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.auth.authenticator import REALTIME, TRUSTED, Principal
from gateway.auth.tokens import digest
from gateway.live_sessions import SessionRegistry
from gateway.session.admission import SessionAdmission
from gateway.settings import GatewaySettings
from gateway.storage import database as stores
from gateway.storage.database import Store, open_pool
from ringback.agents.agent import Agent
from tests.integration.statements.statement_rows import Rows, world
from tests.proxy import before_postgres

TOKEN = "rb_resume_good"
PROVIDER: Any = {"realtime_provider": "simulator", "tokens": {}}


async def _nobody_is_there(*_: object) -> None:
    """The gateway that is told of it listens to no doorbell here."""


async def resume(
    database: str,
    token: str = TOKEN,
    scopes: Collection[str] = (REALTIME,),
    agents: Mapping[str, Agent] | None = None,
) -> Any:
    """What `gw2` makes of a token."""
    pool = open_pool(database, 1)
    nobody: Any = SimpleNamespace(notify=_nobody_is_there)
    settings = GatewaySettings(_env_file=None, database_url=database, redis_url="redis://127.0.0.1:1", **PROVIDER)
    line = SimpleNamespace(
        gateway_id="gw2", store=Store(pool), settings=settings, publisher=SimpleNamespace(redis=nobody)
    )
    admission = SessionAdmission(agents or {}, cast(Any, line), SessionRegistry(10), nobody, nobody, "demo")
    try:
        return await admission.resume(Principal("ada", scopes=frozenset(scopes)), token, frozenset())
    finally:
        await pool.close()


@pytest.fixture
def rows(database: str) -> Any:
    with world(database) as rows:
        rows.set_session(resume_hash=digest(TOKEN), resume_seconds=60.0)
        yield rows


WITH_LAMP = {
    "tools": [{"type": "function", "name": "lamp", "parameters": {"type": "object"}}],
    "tool_choice": "required",
    "instructions": "Be rude.",
    "audio": {"input": {"turn_detection": None}, "output": {"voice": "ash", "speed": 1.2}},
}


@pytest.mark.parametrize("scopes", [{REALTIME}, {REALTIME, TRUSTED}])
def test_what_another_client_has_set_holds_as_far_as_this_one_may_set_it(
    rows: Rows, database: str, scopes: set[str]
) -> None:
    rows.set_session(client_session=WITH_LAMP)
    start = asyncio.run(resume(database, scopes=scopes, agents={"demo": Agent(name="demo", instructions="Hi.")}))
    speed = {"input": {"turn_detection": None}, "output": {"speed": 1.2}}
    theirs = {name: value for name, value in WITH_LAMP.items() if name != "instructions"}
    assert start.client_session == (theirs if TRUSTED in scopes else {"audio": speed})
    assert rows.session_row().policy == ("trusted" if TRUSTED in scopes else "browser")


def test_an_agent_that_is_not_the_tenants_any_more_is_not_come_back_to(rows: Rows, database: str) -> None:
    others = Agent(name="demo", instructions="Hi.", tenants=("acme",))
    assert asyncio.run(resume(database, agents={"demo": others})) is None
    assert rows.session_row().state == "detached"


def test_an_unknown_token_is_refused_by_a_gateway_that_lives(rows: Rows, database: str) -> None:
    assert asyncio.run(resume(database, "rb_resume_unheard_of")) is None


def test_a_gateway_whose_lease_has_run_out_refuses_no_good_token(rows: Rows, database: str) -> None:
    rows.lose("gw2")
    with pytest.raises(TimeoutError, match="lease"):
        asyncio.run(resume(database))
    assert asyncio.run(resume(database, "rb_resume_unheard_of")) is None
    assert rows.session_row().epoch == 1


@pytest.mark.parametrize("silently", [False, True])
def test_a_token_that_was_used_up_unheard_resumes_all_the_same(
    rows: Rows, database: str, monkeypatch: pytest.MonkeyPatch, silently: bool
) -> None:
    monkeypatch.setattr(stores, "STATEMENT_SECONDS", 0.5)
    with before_postgres(database) as (proxy, through):
        proxy.lose_answer_to(b"resume_hash=", silently=silently)
        start = asyncio.run(resume(through, agents={"demo": Agent(name="demo", instructions="Hi.")}))
    assert proxy.lost.is_set()
    assert start.session_id == rows.session
    assert rows.session_row().resume_hash == digest(start.resume_token), "the token that the client gets next"
