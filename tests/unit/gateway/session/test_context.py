"""What a session's client may have, by its agent and its credential."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from math import inf
from typing import Any, cast

import pytest

from gateway.auth.authenticator import REALTIME, TRUSTED, Principal
from gateway.close_codes import ENDED, FINAL, SENTENCES
from gateway.session.context import EXPIRED_SECONDS, Alarm, SessionEnded, SessionState, UpstreamLink
from gateway.upstream.connection import WebSocketUpstream
from ringback.agents.agent import Agent
from ringback.agents.client_policy import Clients
from ringback.tools.behavior import ToolBehavior
from tests.session_parts import session_state
from tests.unit.gateway.conversation.script import WEATHER, Script

ASKED = frozenset({"", "calls", "jobs", "resume"})
STRANGER = Principal("ada", scopes=frozenset({REALTIME}))
BACKEND = Principal("shop", scopes=frozenset({REALTIME, TRUSTED, "orders:write"}))


def session(principal: Principal, **browser: Any) -> SessionState:
    clients = Clients.model_validate({"browser": browser})
    agent = Agent(name="demo", instructions="Be kind.", tools=("weather",), clients=clients)
    return session_state(agent=agent, principal=principal, wants=ASKED)


def test_of_what_it_asks_for_a_client_gets_what_its_policy_lets_it_have() -> None:
    assert session(STRANGER).asks == {"jobs", "resume"}
    assert session(STRANGER, asks=["resume"]).asks == {"resume"}
    assert session(BACKEND, asks=["resume"]).asks == {"calls", "jobs", "resume"}


def test_a_function_that_asks_for_a_scope_is_there_for_those_who_hold_it() -> None:
    writes = replace(WEATHER, behavior=ToolBehavior(scopes=("orders:write",)))
    assert session(STRANGER).may_have(WEATHER)
    assert not session(STRANGER).may_have(writes)
    assert session(BACKEND).may_have(writes)
    assert not session(BACKEND).may_have(replace(WEATHER, name="other")), "the agent has the first word"


def test_an_end_that_the_server_decides_leaves_nothing_to_come_back_to() -> None:
    assert {reason for reason in ENDED if not SessionEnded.because(reason).is_final} == set()
    phone = {"call_ended", "call_transferred"}  # a phone reads no sentence
    assert set(ENDED) - set(SENTENCES) - phone == {"budget_spent"}, "whose sentence says which budget"


class Brain:
    """As much of one as a link asks."""

    is_expired = False


def link(**fields: Any) -> UpstreamLink:
    nowhere: Any = None
    return UpstreamLink(1, nowhere, cast(Any, Brain()), opened_at=100.0, **fields)


def test_a_connection_that_ends_when_it_was_to_end_has_lasted_as_long_as_it_may() -> None:
    assert link().why_it_ended(200.0) == "upstream_closed"
    assert link(expires_at=200.0).why_it_ended(200.0 - EXPIRED_SECONDS) == "upstream_closed"
    assert link(expires_at=200.0).why_it_ended(199.0) == "session_expired"
    assert link(expires_at=200.0, why_closed="upstream_hung").why_it_ended(199.0) == "upstream_hung"


def test_a_connection_that_hung_was_good_until_it_last_said_something() -> None:
    assert link(heard_at=101.0).held_seconds(140.0) == 40.0
    assert link(heard_at=101.0, why_closed="upstream_hung").held_seconds(140.0) == 1.0


def test_what_a_server_does_later_ends_nothing_for_good() -> None:
    assert not FINAL & {"upstream_unavailable", "upstream_silent", "upstream_closed", "upstream_hung", "rotated"}


HOUR, NOW, NEVER = 3_600.0, 0.0, inf
"""From the moment of asking, in seconds."""
PATIENCE = 20.0


async def asks(alarm: Alarm, *moments: float) -> None:
    for moment in moments:
        alarm.ring_at(time.monotonic() + moment)


@pytest.mark.parametrize(
    "moments",
    [(NOW,), (HOUR, NOW), (NOW, HOUR), (NEVER, NOW), (NOW, NEVER), (HOUR, NOW, HOUR)],
    ids=str,
)
def test_an_alarm_rings_at_the_earliest_moment_that_was_asked_for(moments: tuple[float, ...]) -> None:
    async def run() -> None:
        rung = asyncio.Event()
        alarm = Alarm(rung.set)
        for _ in range(2):  # it rings again when it is asked to
            rung.clear()
            await asks(alarm, *moments)
            await asyncio.wait_for(rung.wait(), PATIENCE)

    asyncio.run(run())


@pytest.mark.parametrize("is_stopped", [False, True], ids=["rung", "stopped"])
def test_an_alarm_forgets_the_moment_at_which_it_has_rung_or_was_stopped(is_stopped: bool) -> None:
    async def run() -> None:
        rung = asyncio.Event()
        alarm = Alarm(rung.set)
        await asks(alarm, NOW)
        if is_stopped:
            alarm.stop()
        else:
            await asyncio.wait_for(rung.wait(), PATIENCE)
        rung.clear()
        await asks(alarm, HOUR)
        for _ in range(5):  # turns of the loop, in each of which a timer that is due would ring
            await asyncio.sleep(0)
        assert not rung.is_set()
        await asks(alarm, NOW)
        await asyncio.wait_for(rung.wait(), PATIENCE)

    asyncio.run(run())


AUDIO = '{"type":"response.output_audio.delta","item_id":"item_1","delta":"AAAA"}'
TEXT = '{"type":"response.output_text.delta","response_id":"resp_1","item_id":"item_1","delta":"Hi"}'
DETAIL = '{"type":"response.content_part.done","response_id":"resp_1","item_id":"item_1"}'
ARGUMENTS = DETAIL.replace("content_part", "function_call_arguments")
STARTED = {"type": "response.created", "response": {"id": "resp_1", "conversation_id": "conv_1"}}


@pytest.mark.parametrize(
    ("frame", "passes"),
    [
        *((AUDIO, True), (TEXT, True), (TEXT.replace("resp_1", "resp_2"), None)),
        *((DETAIL, True), (ARGUMENTS, False), (DETAIL.replace("resp_1", "resp_2"), None)),
        ('{"type":"response.done"}', None),
    ],
    ids=["audio", "text", "of another response", "detail", "of a call", "of another’s", "what is to be read"],
)
def test_a_link_lets_pass_what_decides_nothing_and_shows_that_it_is_alive(frame: str, passes: bool | None) -> None:
    script, upstream = Script().opened(), WebSocketUpstream(cast(Any, None))
    script.model(STARTED, json.loads(AUDIO))  # the first audio of a response is looked at
    link = UpstreamLink(1, upstream, script.conversation)
    assert link.passes(frame, script.now) is passes
    assert link.heard_at == script.now


def test_a_guard_looks_at_each_detail() -> None:
    script = Script().opened()
    script.model(STARTED)
    link = UpstreamLink(1, WebSocketUpstream(cast(Any, None)), script.conversation, guard=cast(Any, object()))
    assert link.passes(DETAIL, script.now) is None
