"""What the Realtime API refuses is remembered, by model and version, for a while, and only so much of it."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any, cast

import pytest

from gateway.background.tool_catalog import MAX_REFUSED, REFUSED_SECONDS, ToolCatalog
from ringback.agents.agent import Agent
from tests.unit.gateway.conversation.script import WEATHER

AGENT = Agent(name="demo", instructions="Be kind.", model="one")
NO_STORE = cast(Any, None)


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


def replace_model(agent: Agent, model: str) -> Agent:
    return agent.model_copy(update={"model": model})
