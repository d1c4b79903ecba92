"""Runs the calls of a rehearsal, in place of rows and workers."""

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
    """The calls that run, wait for approval, or have joined another.

    Args:
        lasts: seconds by which calls take longer, by the tool's name.
        deliver, progressed, start: callbacks of the session.
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
        """True if every call has its outcome."""
        return all(call.outcome is not None for call in self.talk.calls)

    def record(self, record: RecordCall) -> None:
        """Add the call to the talk."""
        job = record.job
        self.talk.calls.append(ToolCall(job.id, job.call_id, job.name, job.arguments))
        self._note("call", f"{job.name} ", job.arguments)

    def begin(self, record: RecordCall) -> None:
        """Run the call, unless it has an outcome already, waits for approval, or has joined another."""
        job = record.job
        if record.outcome is not None:
            self._finish(job.id, record.outcome)
        elif job.joined_to is not None:
            self._joined.setdefault(job.joined_to, []).append(job.id)
        elif job.needs_approval and job.tool is not None:
            expired = from_row("timed_out", None, {"code": "approval_expired"})
            seconds = job.tool.behavior.approval_seconds
            self._asked[job.id] = asyncio.get_running_loop().call_later(seconds, self._finish, job.id, expired)
        else:
            self._tasks[job.id] = self.start(self._run(self._call(job.id)))

    def decide(self, job_id: UUID, *, approved: bool) -> None:
        """Approve or deny a call that waits for approval."""
        timer = self._asked.pop(job_id, None)
        if timer is None:
            return
        timer.cancel()
        if approved:
            self._tasks[job_id] = self.start(self._run(self._call(job_id)))
        else:
            self._soon(job_id, from_row("cancelled", None, {"code": "approval_denied"}))

    def cancel(self, job_id: UUID, reason: CancelReason) -> None:
        """Cancel a call. An `at_most_once` tool is told, and not stopped."""
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
        """Record the result that the model reads, if the event has one."""
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
        """End a call once. Calls that have joined it end alike, and are delivered together, like rows."""
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
