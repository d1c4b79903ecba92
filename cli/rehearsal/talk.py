"""The outcome of a rehearsed conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event as Flag
from typing import Any
from uuid import UUID

from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import JobState


@dataclass(slots=True)
class ToolCall:
    """One call that the model made.

    Args:
        name: of the tool.
        arguments: as the model gave them.
        output: what the model read, word for word; None if it has not read a result.
        outcome: how the call ended.
        progress: the notes that the tool reported.
        attempts: how often it was tried; 0 if it was refused, joined to another call or never begun.
        fault: the unexpected exception of the tool, if any.
    """

    job_id: UUID
    call_id: str
    name: str
    arguments: Any
    output: str | None = None
    outcome: Outcome | None = None
    progress: list[str] = field(default_factory=list)
    attempts: int = 0
    fault: Exception | None = None
    cancelled: Flag = field(default_factory=Flag, repr=False)

    @property
    def state(self) -> JobState:
        """Pending or running, or how it ended."""
        if self.outcome is not None:
            return self.outcome.state
        return JobState.RUNNING if self.attempts else JobState.PENDING

    @property
    def result(self) -> Any:
        """The tool's return value as JSON data; None unless the call succeeded."""
        return self.outcome.result if self.outcome else None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One entry of the timeline, `at` seconds after the conversation began."""

    at: float
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.at:7.1f} s  {self.who:<8}  {self.what}"


@dataclass(slots=True)
class Talk:
    """A finished conversation. `str(talk)` is a timeline, which explains a failed test.

    Args:
        calls: the calls, in the order in which they were made.
        said: what the user heard, one text for each time that the model spoke.
        moments: the timeline.
        events: all events that the client got, with `ringback.*`, without the sound.
        warnings: what the gateway would have logged.
    """

    calls: list[ToolCall] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    moments: list[TimelineEntry] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def progress(self) -> list[str]:
        """The progress notes of all calls."""
        return [note for call in self.calls for note in call.progress]

    @property
    def outputs(self) -> list[str | None]:
        """What the model read, call by call."""
        return [call.output for call in self.calls]

    def of_type(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the client's events of one type, such as "ringback.result"."""
        return [event for event in self.events if event["type"] == kind]

    def note(self, at: float, who: str, what: object, before: str = "") -> None:
        """Add an entry to the timeline."""
        text = what if isinstance(what, str) else json.dumps(what, ensure_ascii=False)
        self.moments.append(TimelineEntry(at, who, before + text))

    def __str__(self) -> str:
        return "\n".join(map(str, sorted(self.moments, key=lambda moment: moment.at)))
