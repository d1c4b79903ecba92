"""A conversation with a running stack through the official SDK, typed and then spoken: `converse.py URL TOKEN`.

Exit code 0: every question was answered with what its function returned, on the queue where that function lives.
"""

# ruff: noqa: T201 (a program that a person watches)

from __future__ import annotations

import asyncio
import sys

import httpx
from rich.console import Console

from cli.local_stack.demo_client import Answer, DemoClient
from simulator.speech import synthesis

TYPED = {
    "What is the weather in London UK?": ("weather", "default"),
    "Where is my order A-1042?": ("order_status", "slow"),
}
PLACED = ("acked", "spoken", "heard")
"""Deliveries of a result that the conversation is known to have."""
SPOKEN = {"give me a quote of the day": ("quote_of_the_day", "default")}


async def converse(url: str, token: str) -> list[Answer]:
    async with DemoClient(url, token, Console(highlight=False, soft_wrap=True)) as talk:
        answers = [await talk.type(question) for question in TYPED]
        return [*answers, *[await talk.say(question, synthesis.speak(question)) for question in SPOKEN]]


def recorded(url: str, token: str, answer: Answer) -> set[tuple[str, str, str, bool]]:
    """What the history holds of the calls behind an answer."""
    headers = {"Authorization": f"Bearer {token}"}
    jobs = [httpx.get(f"{url}/v1/jobs/{job}", headers=headers).raise_for_status().json() for job in answer.jobs]
    return {(job["tool"], job["queue"], job["state"], job["delivery"] in PLACED) for job in jobs}


def main(url: str, token: str) -> int:
    answers = asyncio.run(converse(url, token))
    wanted = {question: {(*place, "succeeded", True)} for question, place in {**TYPED, **SPOKEN}.items()}
    found = {answer.question: recorded(url, token, answer) for answer in answers}
    for answer in answers:
        print(f"{answer.question} → {answer.text}")
    if found != wanted:
        print(f"wanted {wanted}, found {found}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
