"""Builds the history API's documents of sessions and calls from rows; the command line prints the same.

The database keeps one event for each step of a job (state, or delivery). Attempts, durations and transitions are
derived from those events here.

The fields of `Job`, `ListedJob` and `ListedSession` are the columns that are read: a field more is a column more
(docs/how-to/change-the-schema.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, cast
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from ringback.history.pagination import Document, Page, SessionState, cut
from ringback.jobs import outcomes
from ringback.jobs.states import (
    IN_A_CONVERSATION,
    TERMINAL,
    Approval,
    CancelReason,
    Delivery,
    Effect,
    HeardBy,
    JobState,
)
from ringback.moments import MOMENTS_AT_MOST, MomentKind
from ringback.transport import Transport

Ending = Literal["running", "retried", "lost", "succeeded", "failed", "timed_out", "cancelled", "dead", "unknown"]
"""How an attempt ended: as the job did, or "retried" or "lost" (with its worker) if another could follow."""

Utc = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class Problem(Document):
    """What went wrong. `message` is missing if a sweeper gave the job another attempt."""

    code: str
    message: str | None = None


class ListedJob(Document):
    """A job as lists show it. `error` says how it ended, and is null until then: see its attempts."""

    object: Literal["job"] = "job"
    id: UUID
    session_id: UUID
    call_id: str = Field(description="the model's id of the call (Realtime API, function_call item)")
    tool: str
    queue: str
    state: JobState
    delivery: Delivery
    attempt: int = Field(description="the number of the present or last attempt; 0 before the first")
    max_attempts: int
    worker_id: str | None
    error: Problem | None
    cancel_reason: CancelReason | None = Field(description="who cancelled it")
    approval: Approval | None = Field(description="of a call that needs approval: whether it was given")
    joined_to: UUID | None = Field(
        description="the same call, made before: this one was not run, and has that one's result"
    )
    rerun_of: UUID | None = Field(
        description="the call that an operator had run once more: this rerun's result stays in the history"
    )
    summary: str | None = Field(description="the tool's own story of the call, in one line")
    created_at: Utc
    started_at: Utc | None = Field(description="when the present or last attempt began")
    finished_at: Utc | None
    given_at: Utc | None = Field(description="when a conversation was given the result first")
    answer_began_at: Utc | None = Field(description="when the response began that tells the result")
    answer_id: str | None = Field(description="the model's id of that response")
    spoken_at: Utc | None = Field(description="when its first audio or text went to the client")
    heard_at: Utc | None = Field(description="when the user had heard its first second, or all of it if it is shorter")
    heard_by: HeardBy | None = Field(
        description="how that is known: the client said so (report, truncate), an estimate (clock), or it is unknown"
    )
    audio_ms: float | None = Field(description="how long that response sounds; null for text, and until it has ended")
    played_ms: float | None = Field(description="how much of it the user heard; null while that is unknown")


class Attempt(Document):
    """One run of a job on one worker. `ended_at` and `ms` are null while it runs."""

    number: int
    worker_id: str | None
    started_at: Utc
    ended_at: Utc | None
    ms: float | None
    ended: Ending
    error: Problem | None


class Step(Document):
    """The job after one transition: one row of job_events."""

    at: Utc
    state: JobState
    delivery: Delivery
    attempt: int
    worker_id: str | None = None
    epoch: int | None = Field(None, description="the epoch of the conversation that the answer went into")
    error: Problem | None = None
    approval: Approval | None = None


class Transition(Step):
    """A step with what it changed: worker and error are null if the row only repeats them."""

    ms: float = Field(description="milliseconds since the job was created")


class Timeline(Document):
    """Where the time went, in milliseconds; null for a part that has not happened, or is not known to have.

    The user waited for `waited`, `ran`, `rang`, `floor`, `voice` and `heard`, one after the other. `delivered` and
    `acked` say when the row knew of it: it is written behind the talk.
    """

    waited_ms: float | None = Field(description="created → first run begins")
    ran_ms: float | None = Field(description="all ended attempts together")
    rang_ms: float | None = Field(description="finished → the gateway has read it and given it to the conversation")
    floor_ms: float | None = Field(
        description="that → the response began that tells it: the model or the user was speaking"
    )
    voice_ms: float | None = Field(description="that → its first audio or text went to the client")
    heard_ms: float | None = Field(
        description="that → the user had heard its first second, or all of it if it is shorter"
    )
    delivered_ms: float | None = Field(description="finished → its row says that the conversation was given it")
    acked_ms: float | None = Field(
        description="that → the server has shown that it has it; 0 if the row says both at once"
    )


class Job(ListedJob):
    """A job with its whole life."""

    response_id: str | None
    epoch: int = Field(description="the epoch of the conversation that asked")
    effect: Effect
    timeout: float = Field(description="seconds that one attempt may run")
    arguments: Any = Field(description="as the model gave them; the model's text if that is not a JSON object")
    result: Any
    progress: str | None
    cancel_requested: bool
    delivered_epoch: int | None
    publish_count: int = Field(description="how often a sweeper published it again")
    deadline_at: Utc
    notified_at: Utc | None = Field(description="when the agent's webhook took the result that came after the session")
    notify_count: int = Field(description="how often that was tried")
    attempts: list[Attempt]
    transitions: list[Transition]
    timeline: Timeline


class ListedSession(Document):
    """A conversation. `counts` holds the number of its jobs in each state that occurs."""

    object: Literal["session"] = "session"
    id: UUID
    user_id: str
    agent: str
    model: str | None
    state: SessionState
    epoch: int
    gateway_id: str | None
    upstream_id: str | None = Field(description="the Realtime API's id of the conversation")
    transport: Transport = Field(description="how its voice goes")
    call_id: str | None = Field(description="the Realtime API's id of a call by WebRTC or SIP")
    created_at: Utc
    ended_at: Utc | None
    end_reason: str | None
    counts: dict[JobState, int]


class Session(ListedSession):
    """A conversation with its jobs: the first page of `GET /v1/jobs?session=…`."""

    jobs: Page[ListedJob]


class ShownMoment(Document):
    """What happened in a session, and when. `ringback.moments` says what each kind means."""

    at: Utc
    kind: str = Field(description=f"one of {', '.join(MomentKind)}; a later version may have more")
    epoch: int
    response_id: str | None
    ms: float | None
    detail: str | None


class SessionTimeline(Document):
    """When the user and the model spoke in a session, and when each of its calls ran and was heard.

    `jobs` holds the newest calls (`GET /v1/jobs?session=…` has more), and `moments` every moment that is kept, the
    oldest first.
    """

    object: Literal["timeline"] = "timeline"
    session_id: UUID
    created_at: Utc
    ended_at: Utc | None
    moments: list[ShownMoment]
    is_cut: bool = Field(description="true: no more moments of this session are kept")
    jobs: Page[ListedJob]


def page_of_jobs(rows: Sequence[Any], limit: int) -> Page[ListedJob]:
    """Return the document of the rows of `statements.history.page_of_jobs`."""
    shown, following = cut(rows, limit)
    data = [ListedJob(**_columns(ListedJob, row)) for row in shown]
    return Page[ListedJob](data=data, has_more=following is not None, next=following)


def page_of_sessions(rows: Sequence[Any], limit: int) -> Page[ListedSession]:
    """Return the document of the rows of `statements.history.page_of_sessions`."""
    shown, following = cut(rows, limit)
    data = [ListedSession(**_columns(ListedSession, row)) for row in shown]
    return Page[ListedSession](data=data, has_more=following is not None, next=following)


def job(row: Any) -> Job:
    """Return the document of one row of `statements.history.jobs_with_steps`."""
    steps = [Step.model_validate(step) for step in row.steps]
    attempts = attempts_of(steps)
    return Job(
        **_columns(Job, row),
        attempts=attempts,
        transitions=transitions_of(steps, row.created_at),
        timeline=timeline_of(steps, attempts, row.created_at, row),
    )


def session(row: Any, jobs: Page[ListedJob]) -> Session:
    """Return the document of one row of `statements.history.sessions_with_counts`, with the first page of its jobs."""
    return Session(**_columns(Session, row), jobs=jobs)


def session_timeline(row: Any, moments: Sequence[Any], jobs: Page[ListedJob]) -> SessionTimeline:
    """Return the document of one row of `statements.history.sessions_with_counts`, of `moments_of`, and its jobs."""
    return SessionTimeline(
        session_id=row.id,
        created_at=row.created_at,
        ended_at=row.ended_at,
        moments=[ShownMoment(**_columns(ShownMoment, moment)) for moment in moments],
        is_cut=len(moments) >= MOMENTS_AT_MOST,
        jobs=jobs,
    )


def transitions_of(steps: Sequence[Step], created_at: datetime) -> list[Transition]:
    """Return each step with what it changed."""
    found = []
    for before, step in zip([None, *steps], steps, strict=False):
        moved = before is None or before.state is not step.state
        runs = JobState.RUNNING in {step.state, before.state if before else None}
        own = {
            "worker_id": step.worker_id if moved and runs else None,
            "error": step.error if moved and step.state is not JobState.RUNNING else None,
            "approval": step.approval if before is None or before.approval is not step.approval else None,
        }
        found.append(Transition(**{**dict(step), **own}, ms=_ms(step.at - created_at)))
    return found


def attempts_of(steps: Sequence[Step]) -> list[Attempt]:
    """Return each run, from the step that began it to the step that ended it."""
    found = []
    for number, step in enumerate(steps):
        if step.state is not JobState.RUNNING:
            continue
        end = next((later for later in steps[number + 1 :] if later.state is not JobState.RUNNING), None)
        found.append(
            Attempt(
                number=step.attempt,
                worker_id=step.worker_id,
                started_at=step.at,
                ended_at=end.at if end else None,
                ms=_ms(end.at - step.at) if end else None,
                ended=_ending(end),
                error=end.error if end else None,
            )
        )
    return found


def timeline_of(
    steps: Sequence[Step], attempts: Sequence[Attempt], created_at: datetime, heard: Any = None
) -> Timeline:
    """Return where the time went.

    Args:
        heard: the job's row, or what else has its `given_at`, `answer_began_at`, `spoken_at` and `heard_at`.
    """
    finished = _first(step.at for step in steps if step.state in TERMINAL)
    sent = _first(step.at for step in steps if step.delivery in IN_A_CONVERSATION)
    acked = _first(step.at for step in steps if step.delivery is Delivery.ACKED)
    ran = [attempt.ms for attempt in attempts if attempt.ms is not None]
    moments = ("given_at", "answer_began_at", "spoken_at", "heard_at")
    given, began, spoken, had = (getattr(heard, name, None) for name in moments)
    return Timeline(
        waited_ms=_between(created_at, _first(attempt.started_at for attempt in attempts)),
        ran_ms=round(sum(ran), 1) if ran else None,
        rang_ms=_between(finished, given),
        floor_ms=_between(given, began),
        voice_ms=_between(began, spoken),
        heard_ms=_between(spoken, had),
        delivered_ms=_between(finished, sent),
        acked_ms=_between(sent, acked),
    )


def _ending(end: Step | None) -> Ending:
    if end is None:
        return "running"
    if end.state is JobState.PENDING:
        return "lost" if end.error and end.error.code == "worker_lost" else "retried"
    return cast(Ending, end.state.value)


def _columns(model: type[BaseModel], row: Any) -> dict[str, Any]:
    """Return the fields of `model` that a row has."""
    shown = {name: getattr(row, name) for name in model.model_fields if hasattr(row, name)}
    if "error" in shown:
        shown["error"] = _outcome_error(row)
    return shown


def _outcome_error(row: Any) -> dict[str, str] | None:
    """Return the error as the model was told it: a sweeper's rows hold only its code."""
    if JobState(row.state) not in TERMINAL:
        return None
    return outcomes.from_row(row.state, None, row.error, row.cancel_reason).error


def _first(moments: Iterable[datetime]) -> datetime | None:
    return next(iter(moments), None)


def _between(earlier: datetime | None, later: datetime | None) -> float | None:
    """Return the milliseconds; 0 where the gateway's clock and Postgres's differ by a little."""
    return max(0.0, _ms(later - earlier)) if earlier and later else None


def _ms(length: timedelta) -> float:
    return round(length / timedelta(milliseconds=1), 1)
