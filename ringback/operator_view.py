"""History for operators, on the command line: why a call failed, and what was said. The API shows this to no tenant."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from ringback.history import documents
from ringback.history.documents import Job, ListedJob, Session, Utc
from ringback.history.pagination import Document, Page
from ringback.jobs import outcomes
from ringback.jobs.states import TERMINAL, JobState
from ringback.statements.history import LINES_AT_MOST
from ringback.statements.jobs.transitions import outcome_of

UNHEARD = "[speech without a transcript]"
AT_THE_END = 2**62
"""Position of a call that was recorded without one."""


class Failure(Document):
    """Reason why the last failed attempt failed, as its worker wrote it (`workers.execution.failures`)."""

    attempt: int
    type: str
    at: str = Field(description="file:line of the innermost frame in the tool author's code")
    trace: str


class JobForOperators(Job):
    """Job as `ringback jobs show --json` prints it."""

    failure: Failure | None


class Line(Document):
    """Line of a transcript: a message, a call or a result."""

    at: Utc
    who: Literal["user", "assistant", "system", "call", "result"]
    text: str
    job_id: UUID | None = None


class SessionForOperators(Session):
    """Conversation as `ringback sessions show --json` prints it."""

    transcript: list[Line]
    is_cut: bool = Field(description="true: the oldest lines are left out")


def job(row: Any, failure: dict[str, Any] | None) -> JobForOperators:
    """Return the document of `history.documents.job`, with what `statements.history.failure_of` found."""
    return JobForOperators(**dict(documents.job(row)), failure=Failure(**failure) if failure else None)


def session(row: Any, jobs: Page[ListedJob], messages: Sequence[Any], calls: Sequence[Any]) -> SessionForOperators:
    """Return the document of `history.documents.session`, with the rows of `messages_of` and `calls_of` in order."""
    placed = sorted([*map(_message, messages), *(line for call in calls for line in _call(call))], key=_place)
    return SessionForOperators(
        **dict(documents.session(row, jobs)),
        transcript=[line for *_, line in placed],
        is_cut=max(len(messages), len(calls)) >= LINES_AT_MOST,
    )


Placed = tuple[int, int, Line]
"""Position of a line among the items of its conversation, its kind (message, call, result), and the line."""


def _place(placed: Placed) -> Any:
    position, kind, line = placed
    return position, kind, line.at


def _message(row: Any) -> Placed:
    text = " ".join(part.get("text") or UNHEARD for part in row.content)
    return row.position, 0, Line(at=row.created_at, who=row.role, text=text)


def _call(row: Any) -> Iterator[Placed]:
    """Yield the call, and its result at the position at which the conversation got it."""
    place = AT_THE_END if row.position is None else row.position
    asked = row.arguments if isinstance(row.arguments, str) else json.dumps(row.arguments, ensure_ascii=False)
    yield place, 1, Line(at=row.created_at, who="call", text=f"{row.tool} {asked}", job_id=row.id)
    if JobState(row.state) in TERMINAL:
        output = outcomes.from_row(**outcome_of(row)).output()
        answered = place if row.answer_position is None else max(place, row.answer_position)
        yield answered, 2, Line(at=row.finished_at, who="result", text=f"{row.tool} {output}", job_id=row.id)
