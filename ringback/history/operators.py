"""Documents of what operators do and see: the audit log, and queues, tools and workers with their live figures.

The API and the command line build them from the rows of `ringback.statements.operators`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from ringback.history import serving
from ringback.history.documents import Utc
from ringback.history.pagination import DEFAULT_LIMIT, MAX_LIMIT, Document, Listing, Query, Since, printable
from ringback.history.serving import ServedTool
from ringback.jobs.states import Approval, Delivery, JobState

MAX_REASON = 500
"""Characters of an operator's reason."""
MAX_CONCURRENCY = 100_000
"""More calls than any number of workers runs at once: a larger limit is a slip."""
DEFAULT_WINDOW = timedelta(minutes=15)
MAX_WINDOW = timedelta(days=1)
"""A longer window holds more calls than one statement may read."""


class ActName(StrEnum):
    """Kind of an act."""

    CANCEL = "job.cancel"
    RETRY = "job.retry"
    APPROVE = "job.approve"
    DENY = "job.deny"
    PAUSE_QUEUE = "queue.pause"
    RESUME_QUEUE = "queue.resume"
    LIMIT_QUEUE = "queue.limit"
    PAUSE_TOOL = "tool.pause"
    RESUME_TOOL = "tool.resume"
    LIMIT_TOOL = "tool.limit"
    END_SESSION = "session.end"
    CREATE_KEY = "key.create"
    LISTEN = "session.listen"
    REVOKE_KEY = "key.revoke"
    SIGN_OUT = "user.sign_out"
    ERASE_USER = "user.erase"
    GUARD = "call.guard"
    LIMIT_TENANT = "tenant.limit"
    RETAIN_TENANT = "tenant.retain"


Reason = Annotated[str, Field(min_length=1, max_length=MAX_REASON), AfterValidator(printable)]


class AuditQuery(Query):
    """Filters for acts: an act must fit all of them."""

    act: ActName | None = Field(None, description=f"one of {', '.join(ActName)}")
    since: Since | None = Field(None, description="a time, or how long ago: 15m, 2h, 1d (up to ten years)")
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description=f"a whole number from 1 to {MAX_LIMIT}")
    after: int | None = Field(None, ge=1, description="the `next` of the page before")


class RecordedAct(Document):
    """One act of an operator, as it was written when it was done."""

    object: Literal["act"] = "act"
    id: int
    at: Utc
    subject: str = Field(description="the user of the credential; empty once that user is erased")
    credential: str = Field(description="with what: `key:<id>`, `token:<user>` or `cli:<user>@<host>`")
    act: ActName
    target: str = Field(
        description="id or name that was acted on; empty: a filter chose the rows, or a user was erased"
    )
    filter: dict[str, Any] | None = Field(description="the filter that chose the rows")
    rows: int = Field(description="how many rows the act changed")
    reason: str | None


class AuditPage(Document):
    """Part of the audit log, newest first. Pass `next` as `after` to get the part that follows."""

    object: Literal["list"] = "list"
    data: list[RecordedAct]
    has_more: bool
    next: int | None


class Acted(Document):
    """What an act on the calls that match a filter has done."""

    object: Literal["acted"] = "acted"
    act: ActName
    ids: list[UUID] = Field(description="the calls that were cancelled, or the reruns that were made")
    has_more: bool
    next: str | None = Field(description="pass it as `after` in the filter, to act on the calls that follow")


class FiguresQuery(Query):
    """How far back the figures reach."""

    window: Since | None = Field(None, description="how long ago the calls were made: 15m, 2h, 1d at most")

    @property
    def length(self) -> timedelta:
        """Return the window, at most MAX_WINDOW."""
        return min(self.window, MAX_WINDOW) if isinstance(self.window, timedelta) else DEFAULT_WINDOW


class Percentiles(Document):
    """Milliseconds that half, 95 and 99 of a hundred calls took at most."""

    p50: float
    p95: float
    p99: float


class Figures(Document):
    """What the calls of the window came to."""

    calls: int = Field(description="calls that were made in the window; at most the newest 5,000 are counted")
    failed: int = Field(description="of those that are over: failed, timed out, dead or of unknown outcome")
    error_rate: float | None = Field(description="share of those among the calls that are over; null: none is")
    wait_ms: Percentiles | None = Field(description="from the call to the start of its run, of calls with one attempt")
    run_ms: Percentiles | None = Field(description="from the start of the last attempt to its end")


class Control(Document):
    """What an operator has set for all workers."""

    paused: bool = False
    concurrency: int | None = Field(None, description="how many calls may run at once; null: no limit was set here")


class LiveQueue(Document):
    """A queue: who serves it, what waits in it, and its figures."""

    object: Literal["queue"] = "queue"
    name: str
    control: Control
    workers: list[str] = Field(description="ids of the live workers that consume it")
    slots: int = Field(description="calls that they run at once, of any queue")
    tools: list[str] = Field(description="tools that they serve on it")
    pending: int = Field(description="calls that wait for a worker; at most 1,000 are counted")
    held: int = Field(description="of those, the calls that wait because of a pause or a limit")
    oldest_seconds: float | None = Field(description="for how long the oldest of them has waited")
    running: int
    figures: Figures


class LiveTool(ServedTool):
    """A tool that live workers serve, with what it does now."""

    control: Control
    versions: dict[str, int] = Field(description="each version that is served, and by how many workers")
    running: int = Field(description="calls that run now, of the caller's tenant; of all for the tenant `default`")
    failures: int = Field(description="failures in a row, as its breaker counts them")
    breaker_open_until: Utc | None = Field(description="until when the breaker refuses calls; null: it is closed")
    figures: Figures


class FollowedStep(Document):
    """One step of a call, as `ringback jobs tail --json` prints it."""

    object: Literal["step"] = "step"
    event: int
    at: Utc
    id: UUID
    session_id: UUID
    tool: str
    queue: str
    state: JobState
    delivery: Delivery
    attempt: int
    worker_id: str | None
    error: dict[str, Any] | None
    approval: Approval | None
    rerun_of: UUID | None
    summary: str | None


class ControlledRow(Document):
    """A queue or a tool after an act on it."""

    object: Literal["control"] = "control"
    kind: Literal["queue", "tool"]
    name: str
    control: Control


def followed_step(row: Any) -> FollowedStep:
    """Return the document of one row of `statements.operators.steps.since`."""
    return FollowedStep(**{name: getattr(row, name) for name in FollowedStep.model_fields if name != "object"})


def page_of_acts(rows: Sequence[Any], limit: int) -> AuditPage:
    """Return the document of the rows of `statements.operators.audit.page_of_acts`."""
    shown = rows[:limit]
    data = [
        RecordedAct(**{name: getattr(row, name) for name in RecordedAct.model_fields if name != "object"})
        for row in shown
    ]
    following = data[-1].id if len(rows) > limit else None
    return AuditPage(data=data, has_more=following is not None, next=following)


def live_queues(rows: Iterable[Any]) -> Listing[LiveQueue]:
    """Return the document of the rows of `statements.operators.figures.live_queues`."""
    return Listing[LiveQueue](
        data=[
            LiveQueue(
                name=row.name,
                control=_control(row),
                workers=row.workers or [],
                slots=row.slots,
                tools=row.tools or [],
                pending=row.pending,
                held=row.held,
                oldest_seconds=row.oldest_seconds,
                running=row.running,
                figures=_figures(row),
            )
            for row in rows
        ]
    )


def live_tools(rows: Iterable[Any]) -> Listing[LiveTool]:
    """Return the document of the rows of `statements.operators.figures.live_tools_of`."""
    own = ("versions", "running", "failures", "breaker_open_until")
    return Listing[LiveTool](
        data=[
            LiveTool(
                **dict(serving.tool(row)),
                **{name: getattr(row, name) for name in own},
                control=_control(row),
                figures=_figures(row),
            )
            for row in rows
        ]
    )


def controlled(row: Any) -> ControlledRow:
    """Return the document of a row of `controls`."""
    return ControlledRow(kind=row.kind, name=row.name, control=_control(row))


def _control(row: Any) -> Control:
    return Control(paused=bool(row.paused), concurrency=row.concurrency)


def _figures(row: Any) -> Figures:
    ended = row.ended or 0
    return Figures(
        calls=row.calls or 0,
        failed=row.failed or 0,
        error_rate=round(row.failed / ended, 4) if ended else None,
        wait_ms=_percentiles(row.wait),
        run_ms=_percentiles(row.run),
    )


def _percentiles(seconds: Sequence[float] | None) -> Percentiles | None:
    """Return seconds by share as milliseconds; None if no call was measured."""
    if not seconds or seconds[0] is None:
        return None
    p50, p95, p99 = (round(each * 1_000, 1) for each in seconds)
    return Percentiles(p50=p50, p95=p95, p99=p99)
