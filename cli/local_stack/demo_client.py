"""The demo's client: the official `openai` SDK, and a timeline of its events."""

from __future__ import annotations

import asyncio
import base64
import time
import wave
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from rich.console import Console
from rich.markup import escape

from ringback.errors import ConfigurationError

RATE = 24_000
"""Samples a second, as the protocol requires; 16 bits each, one channel."""
CHUNK_MS = 100
FASTER = 10
"""How many times faster than speech the question is sent: the model counts samples, not time."""
PAUSE_MS = 900
"""The silence by which the model detects the end of a question."""
ANSWER_SECONDS = 20.0
"""Longer than any answer of the demo takes; after it the question counts as unanswered."""

# Events that the timeline leaves out: another event has the whole.
QUIET = (
    ".delta",
    "conversation.item.added",
    "conversation.item.done",
    "content_part.added",
    "content_part.done",
    "output_item.added",
    "output_item.done",
    "output_audio.done",
    "output_text.done",
    "rate_limits.updated",
    "input_audio_buffer.committed",
)


@dataclass
class Answer:
    """The reply to one question."""

    question: str
    text: str = ""
    audio: bytes = b""
    jobs: dict[str, str] = field(default_factory=dict)
    """Each job's last state before its result entered the conversation."""
    acked: set[str] = field(default_factory=set)

    @property
    def is_complete(self) -> bool:
        """True if the model spoke, and every result is in the conversation."""
        return bool(self.text and self.jobs) and set(self.jobs) == self.acked

    @property
    def succeeded(self) -> bool:
        """True if the model told the results of succeeded calls."""
        return self.is_complete and set(self.jobs.values()) == {"succeeded"}


class DemoClient:
    """One conversation with the gateway at `url`; use it as an async context manager."""

    def __init__(self, url: str, token: str, console: Console) -> None:
        self._url = url
        self._token = token
        self._console = console
        self._began = 0.0

    async def __aenter__(self) -> Self:
        # The stack is on this machine: a proxy from the environment is not used.
        http = DefaultAsyncHttpxClient(trust_env=False)
        self._client = AsyncOpenAI(api_key=self._token, base_url=f"{self._url}/v1", http_client=http)
        directly: Any = {"proxy": None}  # the SDK's type lists only some of the options that it passes on
        self._manager = self._client.realtime.connect(
            model="demo", extra_query={"ringback": "jobs"}, websocket_connection_options=directly
        )
        self._connection = await self._manager.enter()
        created = await self._connection.recv()
        if created.type != "session.created":
            raise ConfigurationError(f"the gateway answered {created.type}: see its log")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._manager.__aexit__(kind, problem, trace)
        await self._client.close()

    async def type(self, question: str) -> Answer:
        """Ask in writing."""
        self._began = time.monotonic()
        self._line("→", "conversation.item.create", question)
        message: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": question}]}
        await self._connection.conversation.item.create(item=message)
        self._line("→", "response.create")
        await self._connection.response.create()
        return await self._hear(question)

    async def say(self, question: str, pcm: bytes) -> Answer:
        """Ask aloud: `pcm` is the question as 16-bit samples."""
        self._began = time.monotonic()
        self._line("→", "input_audio_buffer.append", f"{len(pcm) / 2 / RATE:.1f} s of speech")
        speaking = asyncio.create_task(self._speak(pcm))
        try:
            return await self._hear(question)
        finally:
            speaking.cancel()

    async def _speak(self, pcm: bytes) -> None:
        sound = pcm + bytes(2 * RATE * PAUSE_MS // 1_000)
        step = 2 * RATE * CHUNK_MS // 1_000
        for start in range(0, len(sound), step):
            chunk = base64.b64encode(sound[start : start + step]).decode()
            await self._connection.input_audio_buffer.append(audio=chunk)
            await asyncio.sleep(CHUNK_MS / 1_000 / FASTER)

    async def _hear(self, question: str) -> Answer:
        answer = Answer(question)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while not answer.is_complete:
                    self._take(answer, _plain(await self._connection.recv()))
        except TimeoutError:
            self._console.print(f"[red]no answer within {ANSWER_SECONDS:.0f} s[/red]")
        await self._tell_life(answer)
        return answer

    def _take(self, answer: Answer, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "response.output_audio.delta":
            answer.audio += base64.b64decode(event["delta"])
        elif kind == "ringback.job":
            self._take_job(answer, event["job"])
        elif kind == "response.done":
            answer.text = _text(event["response"])
            self._line("←", kind, str(event["response"]["status"]))
        elif kind == "error":
            self._line("←", kind, event["error"]["message"])
        elif not kind.endswith(QUIET):
            self._line("←", kind, str(event.get("transcript", "")))

    def _take_job(self, answer: Answer, job: dict[str, str]) -> None:
        job_id, state = job["id"], job["state"]
        if state == "acked":
            answer.acked.add(job_id)
        else:
            answer.jobs[job_id] = state
        self._line("◆", f"job {job_id[:8]} {state}", job["tool"], style="cyan")

    def _line(self, arrow: str, what: str, detail: str = "", style: str = "") -> None:
        at = (time.monotonic() - self._began) * 1_000
        quoted = f"[dim]{escape(detail)}[/dim]" if detail else ""
        text = f"[{style}]{what:<54}[/{style}]" if style else f"{what:<54}"
        self._console.print(f"{at:8.0f} ms  {arrow}  {text} {quoted}".rstrip())

    async def _tell_life(self, answer: Answer) -> None:
        """Print each call's transitions as Postgres recorded them."""
        headers = {"Authorization": f"Bearer {self._token}"}
        async with httpx.AsyncClient(base_url=self._url, headers=headers, timeout=10, trust_env=False) as http:
            for job_id in answer.jobs:
                job = (await http.get(f"/v1/jobs/{job_id}")).json()
                steps = " → ".join(f"{_step(step)} +{step['ms']:.0f}" for step in job["transitions"])
                self._console.print(f"             [cyan]job {job_id[:8]} {job['tool']}: {steps} ms[/cyan]")
        self._console.print()


def save_wav(path: Path, pcm: bytes) -> None:
    """Write samples to a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)


def _step(step: dict[str, Any]) -> str:
    return str(step["state"] if step["delivery"] in ("none", "ready") else step["delivery"])


def _text(response: dict[str, Any]) -> str:
    """Return the words of a response; a reasoning model's commentary before a call does not count."""
    said = [item for item in response.get("output") or [] if item.get("phase") != "commentary"]
    parts = [part for item in said for part in item.get("content") or []]
    return " ".join(part.get("transcript") or part.get("text") or "" for part in parts).strip()


def _plain(event: Any) -> dict[str, Any]:
    """Return an event as a dict: the SDK has classes for known events only."""
    return event if isinstance(event, dict) else event.to_dict(mode="json")
