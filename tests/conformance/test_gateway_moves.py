"""A conversation moves to its next connection, or cannot: the call goes on for each behavior of the server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.conformance.conftest import HOSTED_TOKEN, TOOLBOX, Stage
from tests.conformance.player.odd import Odd
from tests.conformance.player.wire import Event
from tests.line import OF_A_FILE, Caller, eventually, redis_number, running_line
from tests.servers import own_database, own_redis_db

pytestmark = pytest.mark.anyio

BUSY: dict[str, Event] = {
    "server_error": {"type": "server_error", "code": "server_error"},
    "rate_limit_exceeded": {"type": "rate_limit_exceeded", "code": "rate_limit_exceeded"},
    "a code that is null": {"type": None, "code": None},
    "a code that is a number": {"type": "error", "code": 503},
    "a code that is not known": {"type": "telepathy_error", "code": "mind_is_elsewhere"},
    "a refusal": {"type": "invalid_request_error", "code": "invalid_value"},
}
SOON = 1
"""Seconds that a connection lasts, as it says itself: it is to be left after half of them."""
RESUMABLE = {"ringback": "resume"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def lasting(
    database_url: str, redis_url: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A gateway that calls again, as it is set up in production."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        own_database(database_url, "ringback_moves", migrated_template) as database,
        own_redis_db(redis_url, redis_number(OF_A_FILE)) as redis,
        running_line(
            database,
            redis,
            tmp_path_factory.mktemp("moves"),
            upstream=f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/realtime",
            tools="tests.conformance.toolbox.functions",
            agents=TOOLBOX / "agents",
            settings={"RINGBACK_DEFAULT_AGENT": "recorded", "DOCS_TOKEN": HOSTED_TOKEN},
        ) as line,
    ):
        yield Stage(line, listener)


async def hears_from(caller: Caller, connection: int, question: str = "And now?") -> None:
    """This connection answers what the caller asks."""
    await caller.ask(question)
    assert (await caller.hear_answer()).endswith(f" of {connection}")


async def until(true: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(eventually, true, what)


def at_first(seconds: float) -> Callable[[int], float | None]:
    """Of the first connection alone."""
    return lambda number: seconds if number == 1 else None


@pytest.mark.parametrize("names_event", [True, False])
@pytest.mark.parametrize("error", BUSY.values(), ids=BUSY)
async def test_a_connection_that_cannot_take_over_leaves_the_call_as_it_was(
    error: Event, names_event: bool, lasting: Stage
) -> None:
    """The client gets no error, and can come back later, when the server takes sessions again."""
    server = Odd(refuses=lambda number: error if number == 2 else None, names_event=names_event, expires=at_first(SOON))
    async with lasting.upstream(server), lasting.line.call(**RESUMABLE) as caller:
        await caller.hear_kind("session.created")
        await hears_from(caller, 1)
        await until(lambda: len(server.asked) >= 2, "a second connection")
        await hears_from(caller, 1)
        caller.vanish()
        async with lasting.line.call(resume=caller.token, **RESUMABLE) as again:
            await again.hear_kind("session.created")
            await hears_from(again, server.connected)
    assert not [event for event in (*caller.heard, *again.heard) if event["type"] == "error"]
    assert [item["content"][0]["text"] for item in server.told[-1]][:2] == ["And now?", "answer 1 of 1"]


@pytest.mark.parametrize("error", BUSY.values(), ids=BUSY)
async def test_a_call_that_is_dropped_goes_on_when_the_server_takes_it_again(error: Event, lasting: Stage) -> None:
    server = Odd(refuses=lambda number: error if number in (2, 3) else None, names_event=True)
    async with lasting.upstream(server) as upstream, lasting.line.call(**RESUMABLE) as caller:
        await caller.hear_kind("session.created")
        await hears_from(caller, 1)
        upstream.wires[0].connection.transport.abort()
        await hears_from(caller, 4)
    assert not [event for event in caller.heard if event["type"] == "error"]


@pytest.mark.parametrize("error", BUSY.values(), ids=BUSY)
async def test_a_client_that_could_not_come_back_can_try_again(error: Event, stage: Stage) -> None:
    """On a gateway that makes one attempt."""
    server = Odd(refuses=lambda number: error if number == 2 else None, names_event=True)
    async with stage.upstream(server), stage.line.call(**RESUMABLE) as caller:
        await caller.hear_kind("session.created")
        await hears_from(caller, 1)
        caller.vanish()
        async with stage.line.call(resume=caller.token, **RESUMABLE) as again:
            assert await again.hear_goodbye() == (1013, "upstream_unavailable")
        async with stage.line.call(resume=again.token, **RESUMABLE) as once_more:
            await hears_from(once_more, 3)


async def test_a_server_that_is_busy_at_first_is_called_again(lasting: Stage) -> None:
    server = Odd(refuses=lambda number: BUSY["server_error"] if number < 3 else None, names_event=True)
    async with lasting.upstream(server), lasting.line.call() as caller:
        await caller.hear_kind("session.created")
        await hears_from(caller, 3)


async def test_what_the_client_has_set_and_the_server_refuses_ends_no_session(lasting: Stage) -> None:
    """The next connection is asked for it once, and then begins without it: the client hears what holds."""
    refusal = {"type": "invalid_request_error", "code": "invalid_value", "message": "No such speed."}

    def refuses(number: int) -> Event | None:
        audio = server.asked[-1]["session"].get("audio") or {}
        return refusal if number > 1 and (audio.get("output") or {}).get("speed") == 1.5 else None

    server = Odd(refuses=refuses, names_event=True)
    async with lasting.upstream(server) as upstream, lasting.line.call(**RESUMABLE) as caller:
        await caller.hear_kind("session.created")
        await caller.send({"type": "session.update", "session": {"audio": {"output": {"speed": 1.5}}}})
        await caller.hear_kind("session.updated")
        for _ in range(2):
            upstream.wires[-1].connection.transport.abort()
            await caller.hear_kind("ringback.session.rebuilt")
            await hears_from(caller, server.connected)
    shown = [event["session"] for event in caller.heard if event["type"] == "session.updated"]
    assert [(session["audio"].get("output") or {}).get("speed") for session in shown] == [1.5, None]
    assert len(server.asked) == 5, "of the third connection nothing is asked in vain"


@pytest.mark.parametrize("odd", [{"echoes": "renamed"}, {"echoes": "never"}, {"greets": False}], ids=str)
async def test_a_call_outlives_its_connection_at_an_odd_server(odd: dict[str, object], lasting: Stage) -> None:
    server = Odd(**odd)  # type: ignore[arg-type]
    async with lasting.upstream(server) as upstream, lasting.line.call(**RESUMABLE) as caller:
        await caller.hear_kind("session.created")
        await hears_from(caller, 1, "My name is Ada.")
        upstream.wires[-1].connection.transport.abort()
        await caller.hear_kind("ringback.session.rebuilt")
        await hears_from(caller, 2)
        upstream.wires[-1].connection.transport.abort()
        await caller.hear_kind("ringback.session.rebuilt")
        await hears_from(caller, 3)
    assert not [event for event in caller.heard if event["type"] == "error"]
    words = [item["content"][0]["text"] for item in server.told[-1]]
    if server.echoes == "never":  # what it does not show may be said again, and is not lost
        assert {"My name is Ada.", "answer 1 of 1"} <= set(words)
    else:
        assert words == ["My name is Ada.", "answer 1 of 1", "And now?", "answer 3 of 2", "And now?"], "each once"


async def test_a_warning_before_the_confirmation_refuses_nothing(lasting: Stage) -> None:
    warning = {"type": "invalid_request_error", "code": None, "message": "`session.audio` is not known here."}
    server = Odd(warns=warning)
    async with lasting.upstream(server), lasting.line.call() as caller:
        await caller.hear_kind("session.created")
        await hears_from(caller, 1)
    assert len(server.asked) == 1
    assert not [event for event in caller.heard if event["type"] == "error"]


async def test_a_conversation_moves_once_at_a_server_whose_sessions_end_at_once(lasting: Stage) -> None:
    server = Odd(expires=lambda _: SOON)
    async with lasting.upstream(server), lasting.line.call(**RESUMABLE) as caller:
        await caller.hear_kind("session.created")
        assert (await caller.hear_kind("ringback.session.rebuilt"))["reason"] == "rotated"
        await hears_from(caller, 2)
        await asyncio.sleep(2 * SOON)
        assert server.connected == 2
