"""The story of one call, from the end of the user's speech until its result was heard, as the spans of its trace.

A session notes moments while a call goes on (`gateway.session.call_tracer`). Once the story is over, its spans are made
of them and of the job's events, which tell what happened in other processes: also of a worker that was killed and can
tell nothing. It does no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from ringback.jobs.states import TERMINAL, Approval, HeardBy, JobState
from ringback.telemetry import names
from ringback.telemetry.call_trace import Span, attempt_id

LOST = frozenset({"worker_lost", "outcome_unknown"})
"""Codes of an attempt whose worker can tell nothing of it."""


class Step(Protocol):
    """Event of a job, as `ringback.statements.jobs.steps` reads it; `at` is in Unix seconds."""

    at: float
    state: str
    attempt: int
    worker_id: str | None
    approval: str | None
    code: str | None


@dataclass(slots=True)
class ResponseLife:
    """What was heard of a response. Times are of the session's clock."""

    id: str
    began: float
    sounded: float | None = None
    """When the first of it that the user can hear was on its way to them."""
    ended: float | None = None
    status: str | None = None
    usage: Any = None


class Setting(NamedTuple):
    """What all calls of a session have in common."""

    session_id: str
    agent: str
    provider: str
    model: str


@dataclass(slots=True)
class CallStory:
    """Moments of one call, of the session's clock.

    Args:
        setting: where it was asked for.
        job_id: the job's.
        asked: when the model had asked for it.
        turn_ended: when the user's turn had ended which it belongs to; None: that was not heard here.
        asks: the response that asked for it, if its begin was heard.
    """

    setting: Setting
    job_id: UUID
    tool: str
    call_id: str
    asked: float
    queue: str | None = None
    epoch: int = 1
    turn_ended: float | None = None
    asks: ResponseLife | None = None
    joined_to: UUID | None = None
    recorded: float | None = None
    published: tuple[float, float] | None = None
    """When its message was on its way, and when the broker had it."""
    given: float | None = None
    """When its result was sent into the conversation."""
    echoed: float | None = None
    tells: ResponseLife | None = None
    """The response that is taken to tell its result."""
    heard: float | None = None
    """When the user had heard the first second of that response, or all of it; None: never, or it is not known."""
    heard_by: HeardBy | None = None
    """How it is known what they heard of it; None: that is not settled."""
    over: float | None = None
    """When no more was to become known of it; its spans are told then."""
    is_adopted: bool = False
    """True if another gateway has recorded the call: its moments from before are in the job's events alone."""
    private: dict[str, str] = field(default_factory=dict)
    """Attributes that may be personal; empty unless the operator wants them."""

    @property
    def began(self) -> float:
        """When the trace begins."""
        response_began = None if self.asks is None else self.asks.began
        return min(each for each in (self.asked, self.turn_ended, response_began) if each is not None)

    @property
    def is_told(self) -> bool:
        """True once a response that told the result has ended, heard or not."""
        return self.tells is not None and self.tells.ended is not None

    def ended(self, otherwise: float) -> float:
        """Return when the trace ends: `otherwise` if no response has told the result."""
        if self.tells is None:
            return otherwise
        told = self.tells.ended or self.tells.sounded or otherwise
        return told if self.heard is None else max(told, self.heard)


def spans_of(story: CallStory, steps: Sequence[Step], offset: float) -> list[Span]:
    """Return what stands under the root, in the order in which it began.

    Args:
        steps: the job's events, oldest first.
        offset: Unix time less the session's clock.
    """
    told = [*_asking(story, offset), *_working(story, steps), *_telling(story, steps, offset)]
    return sorted(told, key=lambda span: span.began)


def root_of(story: CallStory, steps: Sequence[Step], offset: float, over_at: float) -> Span:
    """Return the root: the whole story, which was over at that moment of the session's clock."""
    setting, last = story.setting, steps[-1] if steps else None
    done, heard = _done(steps), story.heard
    said: dict[str, Any] = {
        names.OPERATION: names.INVOKE,
        names.AGENT: setting.agent,
        names.CONVERSATION: setting.session_id,
        names.PROVIDER: setting.provider,
        names.MODEL: setting.model,
        names.TOOL: story.tool,
        names.TOOL_CALL: story.call_id,
        names.JOB: str(story.job_id),
        names.EPOCH: story.epoch,
        names.END_REASON: _end_reason(story),
        **({names.QUEUE: story.queue} if story.queue else {}),
        **({names.JOB_STATE: last.state} if last else {}),
        **({names.RESULT_WAIT: round(heard + offset - done, 6)} if heard is not None and done else {}),
        **story.private,
    }
    fails = last is not None and last.state in TERMINAL and last.state != JobState.SUCCEEDED
    error = (last.code or last.state) if fails and last else None
    name = f"{names.INVOKE} {setting.agent}"
    began, ended = story.began + offset, story.ended(over_at) + offset
    began = min(began, steps[0].at) if story.is_adopted and steps else began
    return Span(name, began, ended, said, error=error, joined_to=story.joined_to)


def _asking(story: CallStory, offset: float) -> Iterator[Span]:
    if story.asks is not None:
        yield _response(story.asks, story.setting, names.ASKS, offset, or_ended=story.asked)
    if story.recorded is not None:
        yield Span(names.RECORD, story.asked + offset, story.recorded + offset)
        if story.published is not None and story.queue is not None:
            said = {
                names.MESSAGING: names.CELERY,
                names.MESSAGING_OPERATION: names.SEND,
                names.DESTINATION: story.queue,
            }
            name = f"{names.SEND} {story.queue}"
            began, ended = story.published
            yield Span(name, began + offset, ended + offset, said, is_message=True)


def _working(story: CallStory, steps: Sequence[Step]) -> Iterator[Span]:
    """Tell of waiting, and of attempts whose workers can tell nothing."""
    for before, after in pairwise(steps):
        if before.approval == Approval.REQUESTED:
            yield Span(names.APPROVAL_WAIT, before.at, after.at)
        elif before.state == JobState.PENDING and after.state == JobState.RUNNING:
            yield Span(names.QUEUE_WAIT, before.at, after.at, {names.ATTEMPT: after.attempt})
        elif before.state == JobState.RUNNING and after.code in LOST:
            yield _lost(story, before, after)


def _lost(story: CallStory, claimed: Step, after: Step) -> Span:
    said: dict[str, Any] = {
        names.OPERATION: names.EXECUTE,
        names.TOOL: story.tool,
        names.TOOL_TYPE: names.FUNCTION,
        names.TOOL_CALL: story.call_id,
        names.CONVERSATION: story.setting.session_id,
        names.AGENT: story.setting.agent,
        names.PROVIDER: story.setting.provider,
        names.JOB: str(story.job_id),
        names.ATTEMPT: claimed.attempt,
        names.JOB_STATE: after.state,
        **({names.WORKER: claimed.worker_id} if claimed.worker_id else {}),
    }
    span_id = attempt_id(story.job_id, claimed.attempt)
    name = f"{names.EXECUTE} {story.tool}"
    return Span(name, claimed.at, after.at, said, error=names.LOST, span_id=span_id)


def _telling(story: CallStory, steps: Sequence[Step], offset: float) -> Iterator[Span]:
    given, tells, done = story.given, story.tells, _done(steps)
    if given is None:
        return
    if done is not None:
        yield Span(names.RING, done, given + offset)
    if story.echoed is not None:
        yield Span(names.SEND_RESULT, given + offset, story.echoed + offset)
    if tells is not None:
        yield Span(names.FLOOR_WAIT, given + offset, tells.began + offset)
        yield _response(tells, story.setting, names.TELLS, offset, or_ended=tells.sounded or tells.began)
        if tells.sounded is not None:
            yield Span(names.FIRST_AUDIO, tells.began + offset, tells.sounded + offset)
            if story.heard is not None:
                said = {names.HEARD_BY: str(story.heard_by)}
                yield Span(names.HEARD, tells.sounded + offset, story.heard + offset, said)


def _response(life: ResponseLife, setting: Setting, purpose: str, offset: float, *, or_ended: float) -> Span:
    said: dict[str, Any] = {
        names.OPERATION: names.GENERATE,
        names.PROVIDER: setting.provider,
        names.MODEL: setting.model,
        names.CONVERSATION: setting.session_id,
        names.RESPONSE_ID: life.id,
        names.PURPOSE: purpose,
        **dict(_usage(life.usage)),
    }
    error = life.status if life.status == "failed" else None
    ended = or_ended if life.ended is None else life.ended
    return Span(f"{names.GENERATE} {setting.model}", life.began + offset, ended + offset, said, error=error)


def _usage(usage: Any) -> Iterable[tuple[str, int]]:
    """Return the tokens that a server counts; what it sends may have any shape."""
    for whole, audio, kind in (
        (names.INPUT_TOKENS, names.INPUT_AUDIO_TOKENS, "input"),
        (names.OUTPUT_TOKENS, names.OUTPUT_AUDIO_TOKENS, "output"),
    ):
        for name, found in (
            (whole, _in(usage, f"{kind}_tokens")),
            (audio, _in(_in(usage, f"{kind}_token_details"), "audio_tokens")),
        ):
            if isinstance(found, int):
                yield name, found


def _in(data: Any, name: str) -> Any:
    return data.get(name) if isinstance(data, dict) else None


def _done(steps: Sequence[Step]) -> float | None:
    """Return when the job had its outcome."""
    return next((step.at for step in steps if step.state in TERMINAL), None)


def _end_reason(story: CallStory) -> str:
    if story.tells is None:
        return "not_told"
    if story.tells.status in (None, "completed"):
        return "completed" if story.tells.ended is not None else "session_ended"
    return "interrupted" if story.tells.status in ("cancelled", "incomplete") else str(story.tells.status)
