"""Rendering of an outcome: what the model reads of it, what the client is shown, and when it is spoken of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from ringback.jobs.outcomes import MAX_OUTPUT_CHARS, Outcome
from ringback.jobs.states import JobState
from ringback.tools.behavior import Audience, Late, ToolBehavior

SHOWN = {
    "shown": True,
    "note": "The result is on the user's screen. You have not seen it: do not read it out or guess.",
}
NOT_SHOWN = {
    "error": {
        "code": "nowhere_to_show",
        "message": "The function has finished, but its result can only be shown on a screen, and this user has none.",
    }
}
OUT_OF_DATE = {
    "error": {"code": "out_of_date", "message": "The function took too long: its result is out of date. Leave it out."}
}


class SpeakTiming(Enum):
    """When the model should speak of an outcome."""

    SOON = auto()
    """As soon as neither side speaks."""
    QUIET = auto()
    """When both sides have been quiet for a while."""
    NEVER = auto()
    """When the user asks for it."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """One outcome, in one conversation."""

    output: str
    """Of the `function_call_output` item."""
    moment: SpeakTiming = SpeakTiming.SOON
    shown: Any = None
    """The result as the client is shown it (`ringback.result`); meaningful where `is_shown`."""
    is_shown: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What decides how an outcome is rendered when it arrives.

    Args:
        age: seconds since the call was asked for.
        is_late: the user has had a turn since.
        is_unwanted: the call was cancelled.
        is_action: it changes something: that it was done must be told, also if it was cancelled.
        client_shows: the client asked for results.
        max_chars: of the output.
    """

    age: float = 0.0
    is_late: bool = False
    is_unwanted: bool = False
    is_action: bool = False
    client_shows: bool = False
    max_chars: int = MAX_OUTPUT_CHARS


def render(outcome: Outcome, behavior: ToolBehavior, now: DeliveryContext) -> Rendering:
    """Render an outcome. The model always tells an error; a result goes by the tool's behavior."""
    moment = _moment(outcome, behavior, now)
    if outcome.state is not JobState.SUCCEEDED:
        return Rendering(outcome.output(now.max_chars), moment)
    if behavior.drop_after is not None and now.age > behavior.drop_after:
        return Rendering(json.dumps(OUT_OF_DATE), SpeakTiming.NEVER)
    is_shown = behavior.audience is not Audience.MODEL and now.client_shows
    output = outcome.output(now.max_chars)
    if behavior.audience is Audience.CLIENT:
        output = json.dumps(SHOWN if is_shown else NOT_SHOWN)
    return Rendering(output, moment, outcome.result if is_shown else None, is_shown)


def _moment(outcome: Outcome, behavior: ToolBehavior, now: DeliveryContext) -> SpeakTiming:
    was_done = now.is_action and outcome.state is JobState.SUCCEEDED
    if now.is_unwanted and not was_done:
        return SpeakTiming.NEVER
    if not now.is_late or behavior.late is Late.SPEAK:
        return SpeakTiming.SOON
    return SpeakTiming.NEVER if behavior.late is Late.SILENT else SpeakTiming.QUIET
