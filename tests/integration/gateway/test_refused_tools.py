"""A worker brings a tool that the Realtime API refuses: every session lives, and has all the others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from ringback.config.settings import postgres_url
from ringback.statements import processes
from ringback.statements.clock import now, seconds
from ringback.tables import processes as processes_table
from ringback.tools.spec import ToolSpec
from tests.line import Line, eventually, running_line
from tests.servers import engine_of, execute

pytestmark = [pytest.mark.long, pytest.mark.anyio]  # a line of its own

QUESTION, ANSWER = "What is the weather in London UK?", "In London, UK it is"
PAIR = {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]}
"""OpenAI wants to know of every array what its items are."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def line(database: str, redis_db: str, tmp_path: Path) -> Iterator[Line]:
    agents = tmp_path / "agents"
    agents.mkdir()
    text = 'instructions = "Be kind."\ntools = ["*"]\noutput_modalities = ["text"]\n'
    (agents / "demo.toml").write_text(text, encoding="utf-8")
    with running_line(database, redis_db, tmp_path, agents=agents) as line:
        yield line


def announce(line: Line, name: str) -> None:
    """A worker of another make announces a tool whose schema none of ours would let pass, and lives."""
    schema = {"type": "object", "properties": {"where": PAIR}, "required": ["where"]}
    tool, worker = ToolSpec(name, "How high it is.", schema, queue="heights"), f"worker-{name}"
    with engine_of(postgres_url(line.database)).begin() as connection:
        execute(connection, processes.register(worker, "worker", "here", os.getpid(), ["heights"], 1))
        lasting = update(processes_table).where(processes_table.c.id == worker)
        connection.execute(lasting.values(lease_until=now() + seconds(3_600.0)))
        for statement in processes.announce(worker, [tool]):
            execute(connection, statement)


def offers(line: Line, conversation: int = 0) -> list[list[str]]:
    """The functions that each `session.update` of a conversation named, oldest first."""
    events = list(line.simulator.heard().values())[conversation]
    updates = [event["session"] for event in events if event["type"] == "session.update"]
    return [sorted(tool["name"] for tool in session["tools"]) for session in updates]


async def logged(line: Line, words: str) -> str:
    log = line.logs / "gateway.log"

    def said() -> str | None:
        return next((entry for entry in log.read_text(encoding="utf-8").splitlines() if words in entry), None)

    return str(await asyncio.to_thread(eventually, said, f"the log to say {words!r}"))


async def talk(caller: Any) -> None:
    await caller.ask(QUESTION)
    await caller.hear_words(ANSWER)


async def test_one_tool_that_is_refused_costs_no_session_and_no_other_tool(line: Line) -> None:
    announce(line, "tide")
    async with line.call() as caller:
        await caller.hear_kind("session.created")
        first, second = offers(line)
        assert "tide" in first
        assert second == [name for name in first if name != "tide"]
        told = await logged(line, "tool refused by the Realtime API: tide (queue heights, version ")
        assert "In context=('properties', 'where'), array schema missing items." in told
        async with line.call() as other:
            await other.hear_kind("session.created")
            assert offers(line, 1) == [second], "what is refused is known by now"
        announce(line, "elevation")
        await logged(line, "tool refused by the Realtime API: elevation")
        await asyncio.to_thread(eventually, lambda: len(offers(line)) == 4, "the offer to be made anew")
        assert offers(line)[2:] == [sorted([*second, "elevation"]), second]
        await talk(caller)
        assert not [event for event in caller.heard if event["type"] == "error"]
