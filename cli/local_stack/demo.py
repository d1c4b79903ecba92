"""`ringback demo`: a conversation with the whole stack, printed as it happens.

It starts the stack (see `cli.local_stack.stack`) and talks to the gateway with the official `openai` SDK, first by
typing, then aloud. It prints the transitions of each call, and the history. Exit code 0 means that every question was
answered with its function's result.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console

from cli.local_stack.demo_client import Answer, DemoClient, save_wav
from cli.local_stack.process_group import ProcessError
from cli.local_stack.signals import SignalWatch
from cli.local_stack.stack import Stack, running_stack
from ringback.errors import ConfigurationError

TYPED = "What is the weather in London UK?"
SPOKEN = (
    "what is the weather in london",
    "give me a quote of the day",
    "pick a random number between one and ten",
    "where is my order",
)
ORDER_SECONDS = "2"
"""order_status is slow on purpose; in a demo two seconds make the point."""


Conversation: TypeAlias = Coroutine[Any, Any, list[Answer]]


def run(output: Path) -> int:
    """Run the demo, and return the exit code."""
    interrupts = SignalWatch()
    interrupts.install()
    console = Console(highlight=False, soft_wrap=True)
    if not output.parent.is_dir():
        raise ConfigurationError(f"{output.parent} is no folder: give --output a file in one that exists")
    try:
        # The event loop is made before Ctrl-C is likely: a half-made loop cannot be closed.
        with asyncio.Runner() as runner, tempfile.TemporaryDirectory(prefix="ringback-demo-") as logs:
            runner.get_loop()
            return _run(console, output, Path(logs), lambda work: interrupts.run(runner, work))
    except ProcessError as problem:
        console.print(f"[red]{problem}[/red]")
        return 1
    except KeyboardInterrupt:
        console.print("\nInterrupted; all processes have ended.")
        return 130


def _run(console: Console, output: Path, logs: Path, talk: Callable[[Conversation], list[Answer]]) -> int:
    began = time.monotonic()
    console.print("Starting Postgres, Valkey, the simulated Realtime API, a gateway and a worker …")
    settings = {"RINGBACK_ORDER_DELAY": ORDER_SECONDS}
    with running_stack(durable=False, logs=logs, settings=settings) as stack:
        console.print(f"Ready after {time.monotonic() - began:.1f} s: {stack.url}\n")
        answers = talk(_converse(console, stack))
        _show_history(console, stack)
    audio = answers[1].audio if len(answers) > 1 else b""
    if audio:
        save_wav(output, audio)
        console.print(f"\nThe spoken answer is in [bold]{output}[/bold]; play it.")
    failed = [answer for answer in answers if not answer.succeeded]
    for answer in failed:
        console.print(f"[red]No proper answer to: {answer.question}[/red]")
    console.print(
        f"\n{len(answers) - len(failed)} of {len(answers)} questions answered, {time.monotonic() - began:.1f} s."
    )
    console.print("Now talk to it yourself: `make up` (or `ringback up`) prints a link to a page with a microphone.")
    return 1 if failed else 0


async def _converse(console: Console, stack: Stack) -> list[Answer]:
    from simulator.speech import ears, synthesis

    async with DemoClient(stack.url, stack.token, console) as talk:
        console.rule("typed", align="left", style="dim")
        answers = [await talk.type(TYPED)]
        if not (ears.available() and synthesis.available()):
            console.print("\nThe extra `voice` is not installed: the spoken half is left out.", style="yellow")
            return answers
        console.rule("spoken", align="left", style="dim")
        for question in SPOKEN:
            answer = await talk.say(question, await asyncio.to_thread(synthesis.speak, question))
            answers.append(answer)
    return answers


def _show_history(console: Console, stack: Stack) -> None:
    """Print the history, read over HTTP as an operator would."""
    import httpx

    from cli.output.tables import print_jobs
    from ringback.history.documents import ListedJob

    console.print()
    console.rule("what the history holds (GET /v1/jobs)", align="left", style="dim")
    answer = httpx.get(f"{stack.url}/v1/jobs", headers=stack.headers, timeout=10, trust_env=False)
    print_jobs(console, [ListedJob.model_validate(job) for job in answer.json()["data"]])
