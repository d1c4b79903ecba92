"""Connects both conversations and the tools in one process, as a gateway's session does with sockets and rows.

All messages pass through one queue, so that each side handles them one after the other, as on a connection.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from cli.rehearsal.talk import Talk
from cli.rehearsal.tool_runner import ToolRunner
from cli.rehearsal.virtual_clock import VirtualClockLoop
from gateway import protocol
from gateway.conversation import Conversation
from gateway.conversation.actions import (
    Action,
    Cancel,
    Close,
    Decide,
    LetClientIn,
    RecordCall,
    Reopen,
    SendToClient,
    SendToModel,
    Warn,
)
from gateway.upstream import realtime_events
from ringback.errors import RingbackError
from ringback.jobs.outcomes import Outcome
from simulator.conversation import Conversation as Model
from simulator.effects import Effect, HangUp, Hear, Later, Play, Send, Speak, Track
from simulator.speech.vad import BYTES_PER_MS

MOST_STEPS = 200_000
"""A conversation with more steps loops for ever."""
A_HAIR = 1e-6
"""Seconds. Sums of seconds are not exact: an event that is due at a time is certainly due a little later."""
SAID = ("response.output_audio_transcript.done", "response.output_text.done")
SOUND = "response.output_audio.delta"
CHARACTER_MS = 60
"""Milliseconds of speech for a character: seventeen characters a second."""


class RehearsalError(AssertionError, RingbackError):
    """The rehearsal cannot go on; the text says why, and has the timeline so far."""


@dataclass(slots=True)
class RehearsalSession:
    """One rehearsed conversation, in place of a gateway's session.

    Args:
        conversation: the gateway's.
        model: the simulator's.
        loop: has the virtual clock.
        runner: runs the calls.
        answers_for_user: the client's answer to a request for approval; None: the client is not asked.
    """

    conversation: Conversation
    model: Model
    loop: VirtualClockLoop
    talk: Talk
    runner: ToolRunner
    answers_for_user: bool | None = None
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _queue: deque[Callable[[], None]] = field(default_factory=deque)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _alarm: asyncio.TimerHandle | None = None
    _spoke_at: dict[str, float] = field(default_factory=dict)
    """When the model began to speak an item, by the item's id."""
    _sounded: dict[str, int] = field(default_factory=dict)
    """How many bytes of an item were heard, by the item's id."""
    _steps: int = 0
    _problem: BaseException | None = None

    def begin(self) -> None:
        """Begin the conversation, as the Realtime API does when a connection opens."""
        self.loop.set_exception_handler(lambda _, told: self._fail(told.get("exception") or RuntimeError(str(told))))
        self.runner.deliver, self.runner.progressed, self.runner.start = self._deliver, self._progressed, self._start
        self._perform(self.model.open())
        self._run()

    @property
    def is_quiet(self) -> bool:
        """True if no task, message or timer is left: only the user can go on."""
        return not self._tasks and not self._queue and self._wakes_at() is None

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until the condition holds."""
        while not holds():
            self._check()
            self.changed.clear()
            await self.changed.wait()
        self._check()

    def client_says(self, event: Mapping[str, Any]) -> None:
        """Send a frame of the client, through the gateway's policy."""
        said = protocol.read(json.dumps(event))
        if isinstance(said, protocol.Rejection):
            raise RehearsalError(f"the gateway refuses {event['type']}: {said.message}\n{self.talk}")
        self._do(self.conversation.receive_client(said, self.loop.time()))
        self._run()

    def end(self) -> None:
        """Cancel all tasks and timers."""
        for task in self._tasks:
            task.cancel()
        if self._alarm is not None:
            self._alarm.cancel()

    # — effects of the model's side —

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(event):
                    self._queue.append(lambda event=event: self._model_says(event))  # type: ignore[misc]
                case Play(track):
                    self._start(self._play(track))
                case Later(after_ms, then):
                    self._start(self._later(after_ms / 1_000, then))
                case Hear(item_id):  # each turn is identified by its number, without recognition
                    self._perform(self.model.heard(item_id, ""))
                case Speak(response_id, texts):
                    self._perform(self.model.voiced(response_id, {text: silence(text) for text in texts}))
                case HangUp(code, reason):
                    raise RehearsalError(f"the model hung up: {code} {reason}\n{self.talk}")

    async def _play(self, track: Track) -> None:
        while (wait_ms := track.wait_ms) is not None:
            await asyncio.sleep(wait_ms / 1_000)
            if track.wait_ms is not None:
                self._perform(self.model.advance(track))
                self._run()

    async def _later(self, seconds: float, then: Callable[[], list[Effect]]) -> None:
        await asyncio.sleep(seconds)
        self._perform(then())
        self._run()

    def _model_says(self, event: dict[str, Any]) -> None:
        frame = json.dumps(event)
        if event["type"] == SOUND:
            item = event["item_id"]
            self._sounded[item] = self._sounded.get(item, 0) + len(base64.b64decode(event["delta"]))
            audio = realtime_events.passing_audio(frame)
            if audio is not None:
                self.conversation.audio_passed(*audio, self.loop.time())
            return None
        return self._do(self.conversation.receive_model(realtime_events.read(frame), self.loop.time()))

    # — actions of the gateway's side —

    def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case SendToModel(event):
                    self.runner.note_output(event)
                    self._queue.append(lambda event=event: self._perform(self.model.receive(json.dumps(event))))  # type: ignore[misc]
                case SendToClient(event):
                    self._client_hears(event)
                case RecordCall():
                    self._queue.append(lambda action=action: self._record(action))  # type: ignore[misc]
                case Cancel(job_id, why):
                    self.runner.cancel(job_id, why)
                case Decide(job_id, approved):
                    self.runner.decide(job_id, approved=approved)
                case LetClientIn():
                    self.is_open.set()
                case Warn(text):
                    self.talk.warnings.append(text)
                case Reopen(reason) | Close(_, reason):
                    raise RehearsalError(f"the gateway closed the connection: {reason}\n{self.talk}")
                case _:
                    pass  # actions that write rows, which a rehearsal does not have

    def _record(self, record: RecordCall) -> None:
        self.runner.record(record)
        self._do(self.conversation.recorded(record, self.loop.time()))
        self.runner.begin(record)

    def _deliver(self, job_id: UUID, call_id: str, name: str, outcome: Outcome, more: bool) -> None:
        self._do(self.conversation.deliver(job_id, call_id, name, outcome, self.loop.time(), more=more))
        self._run()

    def _progressed(self, job_id: UUID, note: str) -> None:
        self._do(self.conversation.progressed(job_id, note))
        self._run()

    def _client_hears(self, event: Mapping[str, Any]) -> None:
        self.talk.events.append(event)
        now, kind = self.loop.time(), event["type"]
        if kind == "response.content_part.added":
            self._spoke_at[event["item_id"]] = now
        elif kind in SAID:
            text = self._heard_of(event)
            self.talk.said.append(text)
            self.talk.note(self._spoke_at.get(event["item_id"], now), "model", text)
        elif kind == "ringback.approval.requested" and self.answers_for_user is not None:
            answer = {"type": "ringback.approval.respond", "job_id": event["job"]["id"]}
            yes = self.answers_for_user
            self.talk.note(now, "client", "yes" if yes else "no")
            self._queue.append(lambda: self.client_says({**answer, "approved": yes}))
        elif kind == "error":
            self.talk.note(now, "error", event["error"]["message"])

    def _heard_of(self, event: Mapping[str, Any]) -> str:
        """Return the words of a message that were heard: a transcript runs ahead of the sound."""
        if "text" in event:
            return str(event["text"])
        sounded = self._sounded.get(event["item_id"], 0) // BYTES_PER_MS
        return str(event["transcript"])[: sounded // CHARACTER_MS]

    # — the loop —

    def _run(self) -> None:
        """Handle messages until the queue is empty."""
        while self._queue:
            self._count()
            self._queue.popleft()()
        self._set_the_alarm()
        self.changed.set()

    def _count(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise RehearsalError(f"the conversation loops for ever\n{self.talk}")

    def _wakes_at(self) -> float | None:
        """Return when the conversation wants to be woken; None if that is only the end of an idle session."""
        moment, ends_at = self.conversation.wake_at(self.loop.time()), self.conversation.limits.wake_at()
        return None if ends_at is not None and moment is not None and moment >= ends_at else moment

    def _set_the_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        moment = self._wakes_at()
        self._alarm = None if moment is None else self.loop.call_at(moment, self._ring, moment)

    def _ring(self, moment: float) -> None:
        self.loop.now = max(self.loop.now, moment + A_HAIR)
        try:
            self._count()
            self._do(self.conversation.tick(self.loop.time()))
            self._run()
        except Exception as problem:
            self._fail(problem)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._fail(problem)
        self.changed.set()

    def _fail(self, problem: BaseException) -> None:
        self._problem = self._problem or problem
        self.changed.set()

    def _check(self) -> None:
        if self._problem is not None:
            raise self._problem


def silence(text: str) -> bytes:
    """Return silence as long as it takes to speak the text."""
    return bytes(len(text) * CHARACTER_MS * BYTES_PER_MS)
