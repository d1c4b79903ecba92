"""The calls of a rehearsal, carried out here: what rows and workers do elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cli.rehearsal.talk import Talk, ToolCall
from cli.tools.run_inline import attempt
from gateway.conversation.actions import Event, RecordCall
from ringback.jobs.outcomes import Outcome, from_row
from ringback.jobs.states import CancelReason, Effect, JobState
from ringback.tools.call import Call
from ringback.tools.decorator import Tool
from workers.execution.results import MAX_NOTE_CHARS, clean_text
from workers.execution.retry_policy import Retry


@dataclass(slots=True)
class ToolRunner:
    """What runs, what waits for a yes, and what waits for the same call.

    Args:
        lasts: how long a call of a tool takes beside what it takes by itself, in seconds by the tool's name.
        deliver, progressed, start: of the line, which takes part in what comes of it.
    """

    tools: Mapping[str, Tool]
    talk: Talk
    user: str
    claims: Mapping[str, Any]
    lasts: Mapping[str, float]
    deliver: Callable[[UUID, str, str, Outcome, bool], None] = lambda *_: None
    progressed: Callable[[UUID, str], None] = lambda *_: None
    start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]] = asyncio.create_task
    _tasks: dict[UUID, asyncio.Task[None]] = field(default_factory=dict)
    _asked: dict[UUID, asyncio.TimerHandle] = field(default_factory=dict)
    _joined: dict[UUID, list[UUID]] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Every call has its outcome."""
        return all(call.outcome is not None for call in self.talk.calls)

    def record(self, record: RecordCall) -> None:
        """The call is known from now on."""
        job = record.job
        self.talk.calls.append(ToolCall(job.id, job.call_id, job.name, job.arguments))
        self._note("call", f"{job.name} ", job.arguments)

    def begin(self, record: RecordCall) -> None:
        """It runs, unless it has an outcome already, or waits for something."""
        job = record.job
        if record.outcome is not None:
            self._finish(job.id, record.outcome)
        elif job.joined_to is not None:
            self._joined.setdefault(job.joined_to, []).append(job.id)
        elif job.needs_approval and job.tool is not None:
            expired = from_row("timed_out", None, {"code": "approval_expired"})
            seconds = job.tool.manners.approval_seconds
            self._asked[job.id] = asyncio.get_running_loop().call_later(seconds, self._finish, job.id, expired)
        else:
            self._tasks[job.id] = self.start(self._run(self._call(job.id)))

    def decide(self, job_id: UUID, *, approved: bool) -> None:
        """Somebody has said yes or no."""
        timer = self._asked.pop(job_id, None)
        if timer is None:
            return
        timer.cancel()
        if approved:
            self._tasks[job_id] = self.start(self._run(self._call(job_id)))
        else:
            self._soon(job_id, from_row("cancelled", None, {"code": "approval_denied"}))

    def cancel(self, job_id: UUID, reason: CancelReason) -> None:
        """Nobody waits for it any more. What must not run twice is told, and not stopped."""
        call = self._call(job_id)
        outcome = from_row("cancelled", None, {"code": "cancelled"}, reason)
        call.cancelled.set()
        timer = self._asked.pop(job_id, None)
        if timer is not None:
            timer.cancel()
        task = self._tasks.get(job_id)
        if task is None:
            self._soon(job_id, outcome)
        elif self.tools[call.name].announcement.effect is not Effect.AT_MOST_ONCE:
            task.cancel()
            self._soon(job_id, outcome)

    def note_output(self, event: Event) -> None:
        """What the model is given to read, if that is what goes out to it."""
        item = event.get("item") or {}
        if item.get("type") != "function_call_output":
            return
        for call in self.talk.calls:
            if call.call_id == item["call_id"]:
                call.output = item["output"]
                self._note("result", f"{call.name} ", call.output)

    async def _run(self, call: ToolCall) -> None:
        tool = self.tools[call.name]
        attempts = tool.announcement.retries + 1
        while True:
            call.attempts += 1
            made = await attempt(tool, call.arguments, self._given(tool, call), attempts)
            call.fault = made.fault
            if made.fault is not None:
                self._note("fault", f"{call.name}: ", repr(made.fault))
            if not isinstance(made.verdict, Retry):
                break
            await asyncio.sleep(tool.announcement.limits.backoff * 2.0 ** (call.attempts - 1))
        await asyncio.sleep(self.lasts.get(call.name, 0.0))
        self._finish(call.job_id, made.verdict)

    def _given(self, tool: Tool, call: ToolCall) -> Call:
        loop = asyncio.get_running_loop()

        def report(note: str) -> None:
            kept = clean_text(note)[:MAX_NOTE_CHARS]
            call.progress.append(kept)
            self._note("progress", f"{call.name}: ", kept)
            loop.call_soon_threadsafe(self.progressed, call.job_id, kept)

        return Call(
            job_id=str(call.job_id),
            call_id=call.call_id,
            user=self.user,
            claims=self.claims,
            attempt=call.attempts,
            deadline=datetime.now(UTC) + timedelta(seconds=tool.announcement.timeout),
            arguments=call.arguments,
            _report=report,
            _cancelled=call.cancelled,
        )

    def _soon(self, job_id: UUID, outcome: Outcome) -> None:
        asyncio.get_running_loop().call_soon(self._finish, job_id, outcome)

    def _finish(self, job_id: UUID, outcome: Outcome, more: bool = False) -> None:
        """Once; those that have joined it end as it does, and are taken together with it, as rows are."""
        call = self._call(job_id)
        if call.outcome is not None:
            return
        call.outcome = outcome
        self._asked.pop(job_id, None)
        if outcome.state is not JobState.SUCCEEDED:
            self._note("end", f"{call.name}: ", str(outcome.state))
        joined = self._joined.pop(job_id, [])
        self.deliver(job_id, call.call_id, call.name, outcome, more or bool(joined))
        for number, each in enumerate(joined, 1):
            self._finish(each, outcome, more or number < len(joined))

    def _call(self, job_id: UUID) -> ToolCall:
        return next(call for call in self.talk.calls if call.job_id == job_id)

    def _note(self, who: str, before: str, what: Any) -> None:
        self.talk.note(asyncio.get_running_loop().time(), who, what, before)
