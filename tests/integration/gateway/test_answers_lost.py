"""A statement is committed and the line breaks before its answer: what is told afterwards is what is so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from uuid import UUID, uuid4

import pytest
import typer
from sqlalchemy import func, select

from cli.tools.run_queued import run_there
from gateway.api.error_handlers import NOT_NOW, UNKNOWN_IF_DONE
from gateway.storage import database as stores
from gateway.storage.database import Store, open_pool
from ringback.jobs.outcomes import succeeded
from ringback.postgres.statement import Bound
from ringback.statements.jobs import transitions as statements
from ringback.statements.sessions import lifecycle
from ringback.tables import client_secrets
from tests.integration.budgets.budget_rows import ANN, opening, tell
from tests.integration.budgets.budget_rows import World as BudgetWorld
from tests.integration.cli.test_history import run_on
from tests.integration.statements.statement_rows import ORDER, world
from tests.integration.statements.test_history import Line, line_on
from tests.integration.toolbox.job_api import JobApi
from tests.integration.toolbox.strangers_api import Api
from tests.proxy import Proxy, before_postgres

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def way(database: str) -> Iterator[tuple[Proxy, str]]:
    with before_postgres(database) as way:
        yield way


@pytest.fixture
def line(database: str) -> Iterator[Line]:
    with line_on(database) as line:
        yield line


@pytest.fixture
async def api(way: tuple[Proxy, str]) -> AsyncIterator[Api]:
    store = Store(open_pool(way[1], 2))
    api = Api(store)
    async with api.client:
        yield api
    await store.close()


@pytest.mark.parametrize(("what", "approval"), [("approve", "granted"), ("deny", "denied")])
def test_a_decision_that_was_taken_unheard_is_told_as_taken(
    line: Line, way: tuple[Proxy, str], what: str, approval: str
) -> None:
    proxy, through = way
    job = line.ask(line.open(), needs_approval=True)
    proxy.lose_answer_to(b"UPDATE jobs")
    answer = JobApi(through).post(job, what)
    assert proxy.lost.is_set()
    assert (answer.status_code, answer.json()["approval"]) == (200, approval)


def test_a_call_that_was_cancelled_unheard_is_told_as_cancelled(line: Line, way: tuple[Proxy, str]) -> None:
    proxy, through = way
    job = line.ask(line.open())
    proxy.lose_answer_to(b"UPDATE jobs")
    answer = JobApi(through).post(job, "cancel")
    assert proxy.lost.is_set()
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")


async def test_a_session_that_was_ended_unheard_is_told_as_ended(way: tuple[Proxy, str], api: Api) -> None:
    session = uuid4()
    await api.store.count(_opened(session))
    await api.store.count(lifecycle.detach(session, "gw", 1))
    way[0].lose_answer_to(b"end_wanted=")
    answer = await api.ask("POST", f"/sessions/{session}/end")
    assert way[0].lost.is_set()
    assert (answer.status_code, answer.json()["id"]) == (200, str(session))


async def test_a_secret_that_was_made_unheard_is_one_secret_and_is_handed_out(way: tuple[Proxy, str], api: Api) -> None:
    way[0].lose_answer_to(b"INSERT INTO client_secrets")
    answer = await api.mint()
    assert way[0].lost.is_set()
    assert answer.status_code == 200
    assert (await api.store.rows(select(func.count()).select_from(client_secrets)))[0][0] == 1
    assert (await api.authenticator.identify(f"Bearer {answer.json()['value']}")).user == "demo"


@pytest.mark.parametrize("limits", [{}, {"sessions": 1}])
def test_a_session_that_was_opened_unheard_has_its_place(way: tuple[Proxy, str], limits: dict[str, int]) -> None:
    proxy, through = way

    async def story(world: BudgetWorld) -> None:
        session = uuid4()
        proxy.lose_answer_to(b"INSERT INTO sessions")
        await world.budgets.open_session(opening(session, ANN), ANN)
        assert proxy.lost.is_set()
        assert await world.store.rows(lifecycle.is_owned(session, "gw", 1))

    tell(through, story, **limits)


@pytest.mark.parametrize(("worker", "attempt", "is_mine"), [("w", 1, True), ("w2", 1, False), ("w", 2, False)])
def test_an_outcome_that_was_written_unheard_is_known_for_ones_own(
    database: str, worker: str, attempt: int, is_mine: bool
) -> None:
    with world(database) as rows:
        job = rows.answered(succeeded(1))
        found = rows.run(statements.finished_as(job, worker, attempt, succeeded(1).state))
        assert [(row.session_id, row.delivery, row.gateway_id) for row in found] == (
            [(rows.session, "ready", "gw")] if is_mine else []
        )


def _opened(session: UUID) -> Bound:
    return lifecycle.open_session(
        session,
        user_id="ada",
        agent="demo",
        model="m",
        gateway_id="gw",
        resume_hash=session.bytes,
        resume_seconds=60.0,
    )


async def test_a_request_that_may_have_been_carried_out_is_not_told_that_it_was_not(
    way: tuple[Proxy, str], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, _ = way
    monkeypatch.setattr(stores, "STATEMENT_SECONDS", 0.5)
    session = uuid4()
    await api.store.count(_opened(session))
    proxy.lose_answer_to(b"end_wanted=", silently=True, times=2)
    answer = await api.ask("POST", f"/sessions/{session}/end")
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, UNKNOWN_IF_DONE)
    assert (await api.ask("POST", f"/sessions/{session}/end")).status_code == 200
    proxy.refuse()
    answer = await api.ask("GET", f"/sessions/{session}")
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, NOT_NOW)


def test_a_command_that_may_have_been_carried_out_says_so(line: Line, way: tuple[Proxy, str]) -> None:
    proxy, through = way
    job = line.ask(line.open())
    proxy.lose_answer_to(b"UPDATE jobs")
    told = run_on(through, "jobs", "cancel", str(job))
    assert told.exit_code == 1
    assert "may be done" in told.stderr
    assert "already" not in told.stderr


def test_a_call_by_hand_that_may_be_recorded_is_not_told_as_a_database_out_of_reach(
    way: tuple[Proxy, str], redis_db: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy, through = way
    monkeypatch.setenv("DATABASE_URL", through)
    monkeypatch.setenv("REDIS_URL", redis_db)
    proxy.lose_answer_to(b"INSERT INTO jobs")
    with pytest.raises(typer.Exit):
        run_there(ORDER, {"city": "Rome"}, user="ada", claims={}, note=print)
    assert "may be done" in capsys.readouterr().err


async def test_a_secret_that_was_spent_or_given_back_unheard_counts_once(way: tuple[Proxy, str], api: Api) -> None:
    made = (await api.mint(ringback={"uses": 2})).json()["value"]
    authenticator = api.authenticator
    who = await authenticator.identify(f"Bearer {made}")
    for act, uses_left in ((authenticator.spend, 1), (authenticator.give_back, 2), (authenticator.spend, 1)):
        way[0].lose_answer_to(b"uses_left=")
        if act == authenticator.spend:
            who = await authenticator.identify(f"Bearer {made}")
        await act(who)
        assert way[0].lost.is_set()
        assert (await api.store.rows(select(client_secrets.c.uses_left)))[0][0] == uses_left
