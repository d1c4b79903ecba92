"""A conversation with tools of your own, on this machine, with no key: the whole stack and a scripted model.

    python -m examples.try_my_tools

It prints:

    > Are you open on sunday?
    The answer is: from 12 to 23 o'clock
    > A table for four at 19:00, please.
    Your table for 4 at 19:00:00 is booked.
    > A table for ten at 20:00, please.
    I am sorry. The largest table has 6 seats; offer two tables.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from openai import AsyncOpenAI

from cli.local_stack.stack import Stack, running_stack
from examples.ask_in_text import has_answered
from simulator.scripting.scenario import load
from simulator.server.server import NO_SPEECH, Simulator

HERE = Path(__file__).parent
QUESTIONS = (
    "Are you open on sunday?",
    "A table for four at 19:00, please.",
    "A table for ten at 20:00, please.",
)


async def main() -> None:
    """Start a model that follows our scenario, then everything else with our tools and our agent."""
    scenario = load(str(HERE / "my_scenario.yaml"))
    async with Simulator(scenario, speech=NO_SPEECH).serving() as model:
        settings = {
            "RINGBACK_TOOL_MODULES": "examples.my_tools",
            "RINGBACK_AGENTS": str(HERE / "my_agents"),
            "RINGBACK_DEFAULT_AGENT": "host",
            "REALTIME_URL": model.url,
        }
        with (
            tempfile.TemporaryDirectory() as logs,
            running_stack(durable=False, logs=Path(logs), settings=settings) as stack,
        ):
            await converse(stack)


async def converse(stack: Stack, agent: str = "host", questions: Sequence[str] = QUESTIONS) -> None:
    """Ask one question after the other in one session."""
    client = AsyncOpenAI(base_url=f"{stack.url}/v1", api_key=stack.token)
    async with client.realtime.connect(model=agent) as connection:
        for question in questions:
            print(">", question)
            await connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": question}]}
            )
            await connection.response.create()
            async for event in connection:
                if event.type == "response.done" and has_answered(event.response.to_dict()):
                    break


if __name__ == "__main__":
    asyncio.run(main())
