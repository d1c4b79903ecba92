"""`converse`: runs a conversation from the first word to the last result, as fast as the machine can."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from cli.rehearsal.scripted_model import Calls, ScriptedModel, Turn, check_names, check_tools, needed_by, scenario
from cli.rehearsal.session import CHARACTER_MS, RehearsalError, RehearsalSession
from cli.rehearsal.talk import Talk
from cli.rehearsal.tool_runner import ToolRunner
from cli.rehearsal.virtual_clock import VirtualClockLoop
from gateway.conversation import Conversation
from ringback.agents.agent import Agent
from ringback.config.scopes import CLAIM, missing
from ringback.tools.decorator import Tool
from simulator.conversation import Conversation as Model
from simulator.speech.vad import BYTES_PER_MS

SESSION = UUID(int=0)
LONGEST_SECONDS = 7_200.0
"""The longest rehearsal, by its virtual clock: a session and all that may follow it."""
CHUNK_MS = 100
"""Milliseconds of the user's sound in one frame."""
LEAST_SPEECH_MS = 400
PAUSE_MS = 3_000
"""The longest silence before the model notices the end of a turn."""
WANTS = frozenset({"jobs", "results"})
"""What a client of a rehearsal may ask for; for "approvals", set `approves`."""
LOUD = b"\x00\x20\x00\xe0"  # two samples far above what counts as speech


def converse(
    *turns: str | Turn,
    tools: Sequence[Tool],
    calls: Calls | Sequence[Calls] = (),
    answers: Mapping[str, str] | None = None,
    agent: Agent | None = None,
    user: str = "somebody",
    claims: Mapping[str, Any] | None = None,
    scopes: Sequence[str] | None = None,
    approves: bool | None = None,
    wants: Sequence[str] = (),
    lasts: Mapping[str, float] | None = None,
) -> Talk:
    """Have a conversation in which the model calls tools, in this process.

    The user speaks, the model makes the calls of this script, the tools run, and the model tells the results. The
    gateway's conversation code decides which side speaks when. The clock skips waiting times, so that a tool may sleep
    for a minute.

    Args:
        turns: what the user says, one after the other; `Turn("…", after=2.0)` does not wait for an answer.
        tools: the tools that the model is offered.
        calls: the model's calls, `{"weather": {"city": "Rome"}}`, in the first turn; or a list of such, one for
            each turn. It may also call "cancel_call" and "answer_approval" while the gateway offers them.
        answers: how the model tells a result, by the tool's name: "It is {degrees} degrees."; by default it reads
            the result out.
        agent: the model's role; by default one that may call all of the tools.
        user: the user's name for the tools.
        claims: the user's claims.
        scopes: the user's scopes; by default all that the tools require.
        approves: the client's answer to a request for approval; None: the model asks the user aloud.
        wants: what the client asks for beside the Realtime API, "jobs" and "results".
        lasts: seconds by which calls take longer, by the tool's name: for plain functions, which the clock ignores.

    Raises:
        ValueError: an argument does not fit the turns or the tools.
        RehearsalError: the conversation cannot go on.
    """
    said = [turn if isinstance(turn, Turn) else Turn(turn) for turn in turns]
    check_tools(tools)
    check_names("lasts", lasts or {}, tools)
    if isinstance(wants, str) or not set(wants) <= WANTS:
        raise ValueError(f"wants={wants!r}: write a list; there are {', '.join(sorted(WANTS))}")
    part = scenario(said, tools, calls, answers)
    who = agent or Agent(name="rehearsal", instructions="Help the caller.", tools=("*",))
    known = {CLAIM: needed_by(tools) if scopes is None else sorted(scopes), **(claims or {})}
    offered = {
        tool.name: tool
        for tool in tools
        if who.allows(tool.name) and not missing(tool.announcement.behavior.scopes, known)
    }
    asks = {*wants, *(() if approves is None else ("approvals",))}

    async def load_plan() -> Talk:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualClockLoop)  # noqa: S101 (it is made below)
        model = Model(part, who.model)
        model.player.script = ScriptedModel(part)
        conversation = Conversation(
            SESSION, who, {name: tool.announcement for name, tool in offered.items()}, wants=frozenset(asks)
        )
        talk = Talk()
        runner = ToolRunner(offered, talk, user, known, lasts or {})
        session = RehearsalSession(conversation, model, loop, talk, runner, approves)
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await _hold(session, said)
        except TimeoutError:
            raise RehearsalError(f"the conversation is not over after {LONGEST_SECONDS:g} s\n{talk}") from None
        finally:
            session.end()
        return talk

    if _is_in_a_loop():
        raise RuntimeError("converse runs its own event loop: call it from a plain `def test_…`, not from an async one")
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(load_plan())


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _hold(session: RehearsalSession, turns: Sequence[Turn]) -> None:
    session.begin()
    await session.is_open.wait()
    ended_at = session.loop.time()
    for turn in turns:
        if turn.after is None:
            await session.until(lambda: session.is_quiet)
        else:
            await asyncio.sleep(max(0.0, ended_at + turn.after - session.loop.time()))
        ended_at = await _speak(session, turn.words)
    await session.until(lambda: session.is_quiet and session.runner.is_done)


async def _speak(session: RehearsalSession, words: str) -> float:
    """Send a turn as sound, and silence until the model notices its end; return the time of the last word."""
    session.talk.note(session.loop.time(), "user", words)
    for _ in range(max(len(words) * CHARACTER_MS, LEAST_SPEECH_MS) // CHUNK_MS):
        await _sound(session, LOUD * (CHUNK_MS * BYTES_PER_MS // len(LOUD)))
    ended_at = session.loop.time()
    turns = len(session.model.player.heard)
    for _ in range(PAUSE_MS // CHUNK_MS):
        if len(session.model.player.heard) > turns:
            if not _answers_by_itself(session.model):
                session.client_says({"type": "response.create"})
            return ended_at
        await _sound(session, bytes(CHUNK_MS * BYTES_PER_MS))
    session.client_says(
        {"type": "input_audio_buffer.commit"}
    )  # push to talk: without turn detection the model does not notice the end
    session.client_says({"type": "response.create"})
    return ended_at


def _answers_by_itself(model: Model) -> bool:
    detection = model.player.session["audio"]["input"]["turn_detection"] or {}
    return detection.get("create_response", True) is not False


async def _sound(session: RehearsalSession, pcm: bytes) -> None:
    session.client_says({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})
    await asyncio.sleep(CHUNK_MS / 1_000)
