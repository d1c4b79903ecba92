"""What the Realtime API refuses is remembered, by model and version, for a while, and only so much of it."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.background.tool_catalog import MAX_REFUSED, REFUSED_SECONDS, ToolCatalog
from ringback.agents.agent import Agent
from ringback.tools.spec import ToolSpec
from tests.unit.gateway.conversation.script import WEATHER

AGENT = Agent(name="demo", instructions="Be kind.", model="one")
NO_STORE = cast(Any, None)
PATIENCE = 20.0


def test_a_refused_tool_is_told_of_by_queue_version_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    tool_catalog = ToolCatalog(NO_STORE)
    assert tool_catalog.takes(AGENT, WEATHER)
    with caplog.at_level(logging.ERROR):
        tool_catalog.leave_out(AGENT, WEATHER, "invalid_function_parameters: no items")
    assert not tool_catalog.takes(AGENT, WEATHER)
    told = f"weather (queue default, version {WEATHER.version}, model one): invalid_function_parameters: no items"
    assert told in caplog.text


def test_another_version_and_another_model_are_offered() -> None:
    tool_catalog = ToolCatalog(NO_STORE)
    tool_catalog.leave_out(AGENT, WEATHER, "no")
    assert tool_catalog.takes(AGENT, replace(WEATHER, parameters={"type": "object", "properties": {}}))
    assert tool_catalog.takes(replace_model(AGENT, "another"), WEATHER)


def test_a_model_of_the_settings_stands_for_every_agents() -> None:
    tool_catalog = ToolCatalog(NO_STORE, "the one")
    tool_catalog.leave_out(AGENT, WEATHER, "no")
    assert not tool_catalog.takes(replace_model(AGENT, "another"), WEATHER)


def test_the_oldest_goes_where_there_are_too_many() -> None:
    tool_catalog = ToolCatalog(NO_STORE)
    tools = [replace(WEATHER, name=f"tool_{number}") for number in range(MAX_REFUSED + 1)]
    for tool in tools:
        tool_catalog.leave_out(AGENT, tool, "no")
    assert tool_catalog.takes(AGENT, tools[0])
    assert not any(tool_catalog.takes(AGENT, tool) for tool in tools[1:])


def test_a_refusal_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    tool_catalog = ToolCatalog(NO_STORE)
    tool_catalog.leave_out(AGENT, WEATHER, "no")
    later = time.monotonic() + REFUSED_SECONDS + 1
    monkeypatch.setattr("gateway.background.tool_catalog.time.monotonic", lambda: later)
    assert tool_catalog.takes(AGENT, WEATHER)


class Rows:
    """A table of live tools that a test fills."""

    def __init__(self) -> None:
        self.tools: list[ToolSpec] = []
        self.asked = asyncio.Event()

    async def rows(self, _statement: Any) -> list[Any]:
        self.asked.set()
        return [SimpleNamespace(**asdict(tool), manners=tool.behavior.as_data()) for tool in self.tools]


def test_who_watches_is_told_once_what_workers_announce_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.background.tool_catalog.LOOK_SECONDS", 0.0)

    async def run() -> None:
        rows, told, another = Rows(), asyncio.Event(), asyncio.Event()
        tool_catalog = ToolCatalog(cast(Any, rows))
        tool_catalog.watch(told.set)
        tool_catalog.watch(another.set)
        tool_catalog.unwatch(another.set)
        following = asyncio.create_task(tool_catalog.follow())
        await rows.asked.wait()
        assert (tool_catalog.tools, told.is_set()) == ({}, False), "the same tools are no change"
        rows.tools.append(WEATHER)
        async with asyncio.timeout(PATIENCE):
            await told.wait()
        assert tool_catalog.tools == {WEATHER.name: WEATHER}
        assert not another.is_set(), "it watches no more"
        following.cancel()

    asyncio.run(run())


def replace_model(agent: Agent, model: str) -> Agent:
    return agent.model_copy(update={"model": model})
