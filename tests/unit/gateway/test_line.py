"""What a session's client may have, by its agent and by whatever it came in with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from gateway.callers import REALTIME, TRUSTED, Caller
from gateway.endings import ENDED, SENTENCES
from gateway.line import Beginning, Over
from ringback.agents import Agent
from ringback.clients import Clients
from ringback.manners import Manners
from tests.unit.gateway.conversation.script import WEATHER

ASKED = frozenset({"", "calls", "jobs", "resume"})
STRANGER = Caller("ada", scopes=frozenset({REALTIME}))
BACKEND = Caller("shop", scopes=frozenset({REALTIME, TRUSTED, "orders:write"}))


def beginning(caller: Caller, **browser: Any) -> Beginning:
    clients = Clients.model_validate({"browser": browser})
    agent = Agent(name="demo", instructions="Be kind.", tools=("weather",), clients=clients)
    nowhere: Any = None
    return Beginning(UUID(int=1), caller, 1, agent, cast(Any, nowhere), cast(Any, nowhere), wants=ASKED)


def test_of_what_it_asks_for_a_client_gets_what_its_policy_lets_it_have() -> None:
    assert beginning(STRANGER).asks == {"jobs", "resume"}
    assert beginning(STRANGER, asks=["resume"]).asks == {"resume"}
    assert beginning(BACKEND, asks=["resume"]).asks == {"calls", "jobs", "resume"}


def test_a_function_that_asks_for_a_scope_is_there_for_those_who_hold_it() -> None:
    writes = replace(WEATHER, manners=Manners(scopes=("orders:write",)))
    assert beginning(STRANGER).may_have(WEATHER)
    assert not beginning(STRANGER).may_have(writes)
    assert beginning(BACKEND).may_have(writes)
    assert not beginning(BACKEND).may_have(replace(WEATHER, name="other")), "the agent has the first word"


def test_an_end_that_the_server_decides_leaves_nothing_to_come_back_to() -> None:
    assert {reason for reason in ENDED if not Over.because(reason).is_final} == set()
    assert set(ENDED) - set(SENTENCES) == {"budget_spent"}, "whose sentence says which budget"
