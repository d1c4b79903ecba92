"""An agent's file is changed while somebody talks to it: they go on, and the next caller meets the new one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.caller import Event
from tests.line import Line, eventually, running_line

pytestmark = [pytest.mark.long, pytest.mark.anyio]  # a line of its own

QUESTION = "What is the weather in London UK?"
ANSWER = "In London, UK it is"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    write(folder, "demo", "Be kind.")
    return folder


@pytest.fixture
def line(database: str, redis_db: str, tmp_path: Path, agents: Path) -> Iterator[Line]:
    with running_line(database, redis_db, tmp_path, agents=agents) as line:
        yield line


def write(folder: Path, name: str, instructions: str) -> None:
    text = f'instructions = "{instructions}"\ntools = ["weather"]\noutput_modalities = ["text"]\n'
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")


def instructions_given(line: Line) -> list[str]:
    """What each conversation's model was told to be, oldest first: every `instructions` that went up."""
    updates: list[Event] = [event for event in line.upstream_frames() if event["type"] == "session.update"]
    return [event["session"]["instructions"] for event in updates if "instructions" in event["session"]]


async def logged(line: Line, words: str) -> None:
    log = line.logs / "gateway.log"
    await asyncio.to_thread(eventually, lambda: words in log.read_text(encoding="utf-8"), f"the log to say {words!r}")


async def test_a_session_goes_on_as_it_began_and_a_new_one_has_the_new_instructions(line: Line, agents: Path) -> None:
    async with line.call() as old:
        await old.hear_kind("session.created")
        assert instructions_given(line) == ["Be kind."]
        write(agents, "demo", "Be brief, and nothing else.")
        write(agents, "sales", "Sell.")
        await logged(line, "agent demo read anew")
        await logged(line, "agent sales read anew")
        await old.ask(QUESTION)
        await old.hear_words(ANSWER)
        async with line.call() as new, line.call(agent="sales") as other:
            await new.hear_kind("session.created")
            await other.hear_kind("session.created")
            await new.ask(QUESTION)
            await new.hear_words(ANSWER)
        await old.ask("And in Paris?")
        await old.hear_kind("response.done")
    given = instructions_given(line)
    assert given.count("Be kind.") == 1, "the old one was told nothing new"
    assert sorted(given[1:]) == ["Be brief, and nothing else.", "Sell."]


async def test_a_session_that_is_resumed_has_the_agent_as_it_is_now(line: Line, agents: Path) -> None:
    async with line.call(ringback="resume") as before:
        await before.hear_kind("session.created")
        before.vanish()
    write(agents, "demo", "Be brief, and nothing else.")
    await logged(line, "agent demo read anew")
    async with line.call(ringback="resume", resume=before.token) as after:
        await after.hear_kind("session.created")
        assert after.session_id == before.session_id
    assert instructions_given(line) == ["Be kind.", "Be brief, and nothing else."]


async def test_a_file_that_became_wrong_or_went_takes_nobody_along(line: Line, agents: Path) -> None:
    async with line.call() as caller:
        await caller.hear_kind("session.created")
        (agents / "demo.toml").write_text("instructions = Be kind", encoding="utf-8")
        await logged(line, "demo.toml: not TOML")
        async with line.call() as next_one:
            await next_one.hear_kind("session.created")
        (agents / "demo.toml").unlink()
        await logged(line, "as the default, the agent stays as it was")
        async with line.call() as another:
            await another.hear_kind("session.created")
            await another.ask(QUESTION)
            await another.hear_words(ANSWER)
    assert instructions_given(line) == ["Be kind."] * 3
