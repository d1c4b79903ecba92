"""What was used, on a running line: as much as the Realtime API said of each response, no more and no less."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.local_stack.stack import our
from gateway.budgets.budgets import price_table
from ringback.agents.agent import Agent
from ringback.usage.prices import Usage
from tests.forked import run
from tests.line import GATEWAYS, OTHER_TOKEN, PATIENCE, TOKEN, Line, eventually, running_line

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

MODEL = Agent(name="demo", instructions="Hello.").model
ANSWERS = {"What is the weather in London?": "In London, UK it is", "A quote, please.": "Here is your quote"}


@pytest.fixture
def line(database: str, redis_db: str, tmp_path: Path) -> Iterator[Line]:
    with running_line(database, redis_db, tmp_path, gateways=2) as line:
        yield line


def used(line: Line) -> list[Any]:
    """The `usage` of each response that the Realtime API has ended."""
    said = [event for events in line.simulator.said().values() for event in events]
    return [event["response"]["usage"] for event in said if event["type"] == "response.done"]


def told(line: Line, by: str = "user") -> Any:
    return line.get(f"/v1/usage?group_by={by}")


async def talk(line: Line, token: str, gateway: str, times: int) -> None:
    async with line.call(token=token, on=gateway) as caller:
        for question, words in times * list(ANSWERS.items()):
            await caller.ask(question)
            await caller.hear_words(words)


def test_the_sums_are_those_of_the_realtime_api_by_whomever_and_wherever_it_was_used(line: Line) -> None:
    async def go() -> None:
        await asyncio.gather(talk(line, TOKEN, GATEWAYS[0], 1), talk(line, OTHER_TOKEN, GATEWAYS[1], 1))

    asyncio.run(go())
    expected = used(line)
    assert len(expected) >= 8, "each question takes a call, and then an answer"
    page = eventually(
        lambda: told(line) if told(line)["total"]["responses"] == len(expected) else None, "all to be told"
    )
    assert page["total"]["input_tokens"] == sum(usage["input_tokens"] for usage in expected)
    assert page["total"]["output_tokens"] == sum(usage["output_tokens"] for usage in expected)
    micros = sum(price_table(None).micros(MODEL, Usage.of(usage)) or 0 for usage in expected)
    assert page["total"]["cost"] == pytest.approx(micros / 1_000_000)
    assert [group["key"] for group in page["data"]] == ["somebody", "tester"]
    assert [group["key"] for group in told(line, "model")["data"]] == [MODEL]
    env = {"DATABASE_URL": line.database}
    printed = run([*our("usage"), "--by", "user", "--json"], env=env, timeout=PATIENCE)
    assert json.loads(printed.stdout) == page


def test_a_client_that_hangs_up_in_the_middle_of_a_response_has_used_it(line: Line) -> None:
    line.simulator.order("knobs", text_delta_ms=200)

    async def go() -> None:
        async with line.call() as caller:
            await caller.ask("A quote, please.")
            await caller.hear_kind("response.created")
            caller.vanish()

    asyncio.run(go())
    page = eventually(lambda: told(line) if told(line)["total"]["responses"] else None, "it to be told")
    assert page["total"]["input_tokens"] > 0
